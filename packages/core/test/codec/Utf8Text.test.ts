import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { portable } from "../../src/Primitives.ts"

const { allocate, decodeUtf8, encodeUtf8Into, randomFill, utf8Length } = portable

const check = (text: string, offset: number): void => {
  const expected = new TextEncoder().encode(text)
  const target = allocate(offset + text.length * 3 + 4)
  assert.strictEqual(encodeUtf8Into(text, target, offset), expected.length)
  assert.strictEqual(utf8Length(text), expected.length)
  assert.deepStrictEqual(target.slice(offset, offset + expected.length), expected)
  assert.strictEqual(decodeUtf8(target, offset, offset + expected.length), text.toWellFormed())
}

describe("Primitives.portable", () => {
  it.prop("encodes in place, measures and decodes", {
    text: Schema.String,
    offset: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
  }, ({ offset, text }) => check(text, offset))

  it("replaces lone surrogates and keeps pairs, at both sides of the short-text path", () => {
    for (const pad of ["", "x".repeat(23), "x".repeat(24), "x".repeat(25), "x".repeat(300)]) {
      const lone = ["\ud83d", "\ude00", "\ude00\ud83d", "\ude00\ude00", "\ud83d\ud83d\ude00", "\ud83dx"]
      const pairs = ["\udc00\udc00", "\ud800\udc00", "\ud83d\ude01", "\udbff\udffe", "\udbff\udfff", "\ud800\ue000", "\udbff\udbff"]
      for (const text of ["", "\x7f", "\x80", "é", "\u07ff", "\u0800", "€", "\ud7ff", "\ue000", "😀", ...pairs, ...lone]) {
        check(pad + text, 3)
        check(text + pad, 0)
      }
    }
  })

  it("keeps a BOM and replaces what is not UTF-8", () => {
    assert.strictEqual(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 0, 4), "\ufeffa")
    assert.strictEqual(decodeUtf8(Uint8Array.of(0x61, 0xff, 0x62), 0, 3), "a\ufffdb")
    assert.strictEqual(decodeUtf8(Uint8Array.of(0x61, 0x62, 0x63, 0x64), 1, 3), "bc")
  })

  it("fills more than getRandomValues gives at once, to the last byte", () => {
    const bytes = allocate(65536 * 2 + 100)
    randomFill(bytes)
    // 64 zero bytes in a row do not happen by chance.
    for (const at of [0, 65536 - 64, 65536, 65536 * 2 - 64, 65536 * 2 + 36]) {
      assert.isTrue(bytes.subarray(at, at + 64).some((byte) => byte !== 0), `at ${at}`)
    }
    randomFill(allocate(0))
  })
})
