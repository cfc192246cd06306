import { assert, describe, it } from "@effect/vitest"
import { portable, sharedBuffer } from "../src/Primitives.ts"

const encoder = new TextEncoder()

describe("Primitives", () => {
  it("decodes a part of bytes, keeps a byte order mark, and replaces what is not UTF-8", () => {
    const bytes = encoder.encode("x\uFEFFh\u00e9\u20ac\u{1f600}x")
    assert.strictEqual(portable.decodeUtf8(bytes, 1, bytes.length - 1), "\uFEFFh\u00e9\u20ac\u{1f600}")
    assert.strictEqual(portable.decodeUtf8(Uint8Array.of(0x61, 0xff, 0x62), 0, 3), "a\uFFFDb")
  })

  it("encodes at an offset, and knows the size before", () => {
    for (const text of ["", "a", "\u00e9\u20ac\u{1f600}", "a\ud800", "\udc00a", "a".repeat(100), "\u20ac".repeat(100)]) {
      const target = new Uint8Array(text.length * 3 + 10).fill(0xee)
      const written = portable.encodeUtf8Into(text, target, 5)
      assert.deepStrictEqual(target.slice(5, 5 + written), encoder.encode(text))
      assert.strictEqual(portable.utf8Length(text), written)
      assert.deepStrictEqual([...target.subarray(0, 5)], [0xee, 0xee, 0xee, 0xee, 0xee])
    }
  })

  it("allocates memory of its own, of exactly the size", () => {
    const [one, other] = [portable.allocate(10), portable.allocate(10)]
    assert.deepStrictEqual([one.length, one.buffer.byteLength], [10, 10])
    assert.notStrictEqual(one.buffer, other.buffer)
  })

  it("fills any number of bytes with random ones, also more than one call to the platform may fill", () => {
    for (const size of [1, 65_536, 65_537, 200_000]) {
      const bytes = new Uint8Array(size + 1000)
      portable.randomFill(bytes.subarray(500, 500 + size))
      assert.isTrue(bytes.subarray(0, 500).every((byte) => byte === 0) && bytes.subarray(500 + size).every((byte) => byte === 0))
      if (size < 1000) continue
      // The chance that 100 bytes are all 0 is none.
      for (const at of [500, 400 + size]) assert.isTrue(bytes.subarray(at, at + 100).some((byte) => byte !== 0))
    }
    portable.randomFill(new Uint8Array(0))
  })

  it("hands out shared memory", () => {
    assert.strictEqual(sharedBuffer(100).length, 100)
  })
})
