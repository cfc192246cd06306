import { assert, describe, it } from "@effect/vitest"
import { inspect } from "node:util"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { maskInPlace, maskInto, MaskKeys } from "../../src/codec/Mask.ts"

// RFC 6455 §5.3, literally.
const byteLoop = (bytes: Uint8Array, key: Uint8Array, phase: number): Uint8Array =>
  bytes.map((byte, i) => byte ^ key[(i + phase) % 4]!)

const keyOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true)

const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size))

// Around every threshold between bytes, 32-bit words, 64-bit words and copying.
const sizes = [0, 1, 2, 3, 4, 7, 12, 16, 23, 24, 25, 31, 39, 40, 41, 64, 127, 191, 192, 193, 199, 200, 256, 257, 1000]

describe("Mask", () => {
  it("equals the byte loop in place, for all alignments, lengths and phases", () => {
    for (let byteOffset = 0; byteOffset < 9; byteOffset++) {
      for (let start = 0; start < 4; start++) {
        for (const size of sizes) {
          for (let phase = 0; phase < 4; phase++) {
            const key = random(4)
            const buffer = random(byteOffset + start + size + 9)
            const expected = buffer.slice()
            const from = byteOffset + start
            expected.set(byteLoop(buffer.slice(from, from + size), key, phase), from)
            maskInPlace(buffer.subarray(byteOffset), start, start + size, keyOf(key), phase)
            // The whole buffer: nothing around the range may change.
            assert.deepStrictEqual(buffer, expected, `offset ${byteOffset}+${start}, ${size} bytes, phase ${phase}`)
          }
        }
      }
    }
  })

  it("equals the byte loop from one buffer into another", () => {
    for (let sourceStart = 0; sourceStart < 5; sourceStart++) {
      for (let targetStart = 0; targetStart < 9; targetStart++) {
        for (const size of sizes) {
          const phase = (sourceStart + size) % 4
          const key = random(4)
          const source = random(sourceStart + size + 3)
          const before = source.slice()
          const target = random(targetStart + size + 5)
          const expected = target.slice()
          expected.set(byteLoop(source.slice(sourceStart, sourceStart + size), key, phase), targetStart)
          maskInto(source, sourceStart, sourceStart + size, target, targetStart, keyOf(key), phase)
          assert.deepStrictEqual(target, expected, `${sourceStart} to ${targetStart}, ${size} bytes`)
          assert.deepStrictEqual(source, before)
        }
      }
    }
  })

  it.prop("masking in pieces is masking at once, and twice is nothing", {
    data: Schema.Uint8Array,
    repeat: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })),
    key: Schema.Int.check(Schema.isBetween({ minimum: -0x80000000, maximum: 0x7fffffff })),
    cuts: Arbitrary.array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 700 })).pipe(Arbitrary.schema), {
      maxLength: 6
    })
  }, ({ cuts, data, key, repeat }) => {
    const bytes = new Uint8Array(data.length * repeat)
    for (let i = 0; i < repeat; i++) bytes.set(data, i * data.length)
    const once = bytes.slice()
    maskInPlace(once, 0, once.length, key, 0)
    const pieces = bytes.slice()
    let at = 0
    for (const cut of [...cuts.map((n) => Math.min(n, bytes.length)).sort((a, b) => a - b), bytes.length]) {
      maskInPlace(pieces, at, cut, key, at & 3)
      at = cut
    }
    assert.deepStrictEqual(pieces, once)
    maskInPlace(once, 0, once.length, key, 0)
    assert.deepStrictEqual(once, bytes)
  })

  it("follows a resizable buffer", () => {
    const buffer = new ArrayBuffer(256, { maxByteLength: 1024 })
    const small = new Uint8Array(buffer)
    maskInPlace(small, 0, 256, 0x04030201, 0)
    buffer.resize(1024)
    const bytes = new Uint8Array(buffer).fill(0)
    maskInPlace(bytes, 0, 1024, 0x04030201, 0)
    assert.deepStrictEqual(bytes, byteLoop(new Uint8Array(1024), Uint8Array.of(1, 2, 3, 4), 0))
    // The same for the 32-bit words of a short range.
    const short = new ArrayBuffer(64, { maxByteLength: 512 })
    const view = new Uint8Array(short)
    maskInPlace(view, 0, 64, 0x04030201, 0)
    short.resize(512)
    view.fill(0)
    maskInPlace(view, 400, 500, 0x04030201, 0)
    assert.deepStrictEqual(view.slice(400, 500), byteLoop(new Uint8Array(100), Uint8Array.of(1, 2, 3, 4), 0))
  })

  it("never hands out a key's bytes twice, and refills the pool", () => {
    let filled = 0
    let next = 1
    const keys = new MaskKeys((bytes) => {
      filled += bytes.length
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      for (let i = 0; i < words.length; i++) words[i] = next++
    })
    assert.strictEqual(filled, 0, "an unused pool asks for nothing")
    const seen = new Set<number>()
    for (let i = 0; i < 5000; i++) seen.add(keys.next())
    assert.strictEqual(seen.size, 5000)
    assert.strictEqual(filled, 3 * 8192)
  })

  it("does not hand out stale keys after a source that failed", () => {
    let fail = true
    const keys = new MaskKeys((bytes) => {
      if (fail) throw new Error("no entropy")
      bytes.fill(7)
    })
    assert.throws(() => keys.next())
    fail = false
    assert.strictEqual(keys.next(), 0x07070707)
  })

  it("keys cannot be read by printing what holds them", () => {
    const keys = new MaskKeys((bytes) => bytes.fill(0x5a))
    keys.next()
    assert.notMatch(`${JSON.stringify(keys)}${inspect(keys, { depth: 10, showHidden: true })}`, /1515870810|90/)
  })
})
