/** Masking and copying in WebAssembly: the module is that of its text, and does what the words do. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import wabt from "wabt"
import { maskInPlace, maskTextInPlace } from "../../src/codec/Mask.ts"
import { copyInto, maskShared, maskTextShared, sharedBuffer } from "../../src/codec/Simd.ts"
import { simdModule } from "../../src/codec/SimdModule.ts"

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("Simd", () => {
  it("is made of Simd.wat", async () => {
    const { parseWat } = await wabt()
    const text = readFileSync(new URL("../../src/codec/Simd.wat", import.meta.url), "utf8")
    const { buffer } = parseWat("Simd.wat", text, { simd: true, bulk_memory: true }).toBinary({})
    assert.strictEqual(Buffer.from(buffer).toString("base64"), simdModule, "run node scripts/build-simd.ts")
  })

  const shared = sharedBuffer(1024)

  it("hands out memory of one buffer until that is used up, then other memory", () => {
    const first = sharedBuffer(10)
    const second = sharedBuffer(10)
    assert.strictEqual(first.buffer, shared.buffer)
    assert.isAtLeast(second.byteOffset, first.byteOffset + 10)
    const tooLarge = sharedBuffer(3 * 1024 * 1024)
    assert.strictEqual(tooLarge.length, 3 * 1024 * 1024)
    assert.notStrictEqual(tooLarge.buffer, shared.buffer)
  })

  it.prop("masks as the bytes are masked one by one, and nothing beside them", {
    start: between(0, 200),
    size: between(0, 800),
    key: between(-0x80000000, 0x7fffffff),
    phase: between(0, 3)
  }, ({ key, phase, size, start }) => {
    for (let i = 0; i < shared.length; i++) shared[i] = i * 7
    const expected = Array.from(shared, (byte, i) =>
      i < start || i >= start + size ? byte : byte ^ ((key >>> (((i - start + phase) & 3) * 8)) & 0xff))
    maskInPlace(shared, start, start + size, key, phase)
    assert.deepStrictEqual([...shared], expected)
  })

  it.prop("masks a text as it masks bytes, and knows whether it is ASCII", {
    start: between(0, 70),
    size: between(0, 200),
    key: between(-0x80000000, 0x7fffffff),
    others: Arbitrary.array(between(0, 300), { maxLength: 2 }),
    value: between(0x80, 0xff)
  }, ({ key, others, size, start, value }) => {
    const text = Uint8Array.from({ length: size }, (_, i) => others.includes(i) ? value : i * 5 & 0x7f)
    for (let i = 0; i < shared.length; i++) shared[i] = 0xff
    shared.set(text, start)
    maskInPlace(shared, start, start + size, key, 0)
    assert.strictEqual(maskTextInPlace(shared, start, start + size, key), text.every((byte) => byte < 0x80))
    assert.deepStrictEqual([...shared.subarray(start, start + size)], [...text])
    assert.isTrue(shared.every((byte, i) => (i >= start && i < start + size) || byte === 0xff))
  })

  it("knows each byte of a text", () => {
    for (let size = 1; size < 140; size++) {
      for (let at = 0; at < size; at++) {
        shared.fill(0x7f)
        shared[at] = 0x80
        assert.isFalse(maskTextShared(shared, 0, size, 0))
      }
      shared.fill(0x7f, 0, size)
      shared[size] = 0x80
      assert.isTrue(maskTextShared(shared, 0, size, 0))
    }
  })

  it.prop("copies between all kinds of memory", {
    start: between(0, 100),
    size: between(0, 300),
    at: between(0, 100),
    kinds: Arbitrary.schema(Schema.Literals(["shared", "from", "to", "none"]))
  }, ({ at, kinds, size, start }) => {
    const isShared = { from: kinds === "shared" || kinds === "from", to: kinds === "shared" || kinds === "to" }
    const source = isShared.from ? shared.subarray(0, 500) : new Uint8Array(500)
    const target = isShared.to ? shared.subarray(500) : new Uint8Array(500)
    for (let i = 0; i < 500; i++) source[i] = i * 3
    target.fill(0xee)
    copyInto(source, start, start + size, target, at)
    assert.deepStrictEqual([...target.subarray(at, at + size)], [...source.subarray(start, start + size)])
    assert.isTrue(target.every((byte, i) => (i >= at && i < at + size) || byte === 0xee))
  })

  it("leaves memory that is not its own to others", () => {
    const bytes = new Uint8Array(100)
    assert.isFalse(maskShared(bytes, 0, 100, -1))
    assert.isTrue(bytes.every((byte) => byte === 0))
    assert.isUndefined(maskTextShared(bytes, 0, 100, -1))
    assert.isFalse(maskTextInPlace(bytes, 0, 100, 0x01010101), "is not known")
    assert.isTrue(bytes.every((byte) => byte === 1))
    assert.isTrue(maskShared(shared.subarray(4, 68), 0, 64, 0))
  })
  it("ends with the memory that it has: 2 MiB for all", async () => {
    vi.resetModules()
    const simd = await import("../../src/codec/Simd.ts")
    const buffers = Array.from({ length: 65 }, () => simd.sharedBuffer(32 * 1024))
    const { buffer } = buffers[0]!
    assert.deepStrictEqual(buffers.map((one) => one.buffer === buffer), buffers.map((_, i) => i < 64))
    assert.deepStrictEqual(buffers.slice(0, 3).map((one) => one.byteOffset), [0, 32 * 1024, 64 * 1024])
    vi.resetModules()
    const fresh = await import("../../src/codec/Simd.ts")
    assert.deepStrictEqual([1, 64, 65, 1].map((size) => fresh.sharedBuffer(size).byteOffset), [0, 64, 128, 256])
  })

  it("does without WebAssembly where there is none: memory is ordinary, and others mask and copy", async () => {
    vi.stubGlobal("WebAssembly", undefined)
    vi.resetModules()
    try {
      const simd = await import("../../src/codec/Simd.ts")
      assert.isFalse(simd.maskShared(new Uint8Array(4), 0, 4, 1))
      const [one, other] = [simd.sharedBuffer(100), simd.sharedBuffer(100)]
      assert.deepStrictEqual([one.length, one.buffer.byteLength], [100, 100])
      assert.notStrictEqual(one.buffer, other.buffer)
      assert.isFalse(simd.maskShared(one, 0, 100, -1))
      assert.isUndefined(simd.maskTextShared(one, 0, 100, -1))
      one.fill(7)
      simd.copyInto(one, 10, 20, other, 5)
      assert.deepStrictEqual([...other.subarray(4, 16)], [0, ...new Uint8Array(10).fill(7), 0])
    } finally {
      vi.unstubAllGlobals()
      vi.resetModules()
    }
  })

  it("copies to the same memory again and again", () => {
    for (const value of [1, 2, 3]) {
      const source = shared.subarray(0, 8).fill(value)
      copyInto(source, 0, 4, shared, 100 + value)
      assert.deepStrictEqual([...shared.subarray(100 + value, 104 + value)], [value, value, value, value])
    }
  })
})
