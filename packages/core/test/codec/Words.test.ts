import { assert, describe, it } from "@effect/vitest"
import { int32Under, littleEndian, uint64Under } from "../../src/codec/Words.ts"

const kinds = [
  { name: "32", under: int32Under, size: 4 },
  { name: "64", under: uint64Under, size: 8 }
] as const

describe("Words", () => {
  it("knows the byte order of this machine", () => {
    assert.strictEqual(littleEndian, new Uint16Array(Uint8Array.of(1, 0).buffer)[0] === 1)
  })

  for (const { name, size, under } of kinds) {
    it(`views the buffer under bytes as words of ${name} bits, from the buffer's beginning`, () => {
      const buffer = new ArrayBuffer(64)
      const bytes = new Uint8Array(buffer, 8, 20)
      const words = under(bytes, 3)
      assert.strictEqual(words.buffer, buffer)
      assert.strictEqual(words.byteOffset, 0)
      assert.strictEqual(words.length, 64 / size)
      assert.strictEqual(under(bytes, 3), words, "of the same bytes the same view")
      assert.strictEqual(under(new Uint8Array(buffer, 4), 2), words, "of other bytes of the same buffer, too")
      assert.strictEqual(under(bytes, 64 / size), words)
      const other = new Uint8Array(64)
      assert.strictEqual(under(other, 1).buffer, other.buffer)
      assert.strictEqual(under(bytes, 1).buffer, buffer)
    })

    it(`makes a larger view of ${name} bits where a buffer has grown`, () => {
      const buffer = new ArrayBuffer(16, { maxByteLength: 64 })
      const bytes = new Uint8Array(buffer)
      const before = under(bytes, 1)
      const fixed = before.length
      buffer.resize(64)
      for (const of of [bytes, new Uint8Array(buffer)]) {
        const words = under(of, 64 / size)
        assert.isAtLeast(words.length, 64 / size)
        assert.isAtLeast(words.length, fixed)
      }
    })

    it(`keeps no view of ${name} bits of a large buffer alive, and leaves the one that it keeps`, () => {
      const small = new Uint8Array(64)
      const words = under(small, 1)
      const large = new Uint8Array(0x40001)
      const first = under(large, 1)
      assert.strictEqual(first.buffer, large.buffer)
      assert.strictEqual(first.length, Math.floor(0x40001 / size), "whole words only")
      assert.notStrictEqual(under(large, 1), first)
      assert.strictEqual(under(small, 1), words)
      const limit = new Uint8Array(0x40000)
      assert.strictEqual(under(limit, 1), under(limit, 1))
    })
  }
})
