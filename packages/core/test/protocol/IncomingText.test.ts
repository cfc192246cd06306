import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Utf8Validator } from "../../src/codec/Utf8.ts"
import { portable, type Primitives } from "../../src/Primitives.ts"
import { decodeText, IncomingText } from "../../src/protocol/IncomingText.ts"
import { chop, chunking } from "../support/Sequences.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

// The first and the last character of each length.
const edges = ["\0", "\u007f", "\u0080", "\u07c0", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}"]

/** The parts pushed one after the other, each overwritten afterwards; `undefined` where one was refused. */
const read = (parts: ReadonlyArray<Uint8Array>, takesAfter: (part: number) => boolean = () => false) => {
  const text = new IncomingText(portable)
  let taken = ""
  for (const [i, part] of parts.entries()) {
    const ascii = part.every((byte) => byte < 0x80)
    const given = part.slice()
    if (!text.push(given, 0, given.length, ascii)) return undefined
    given.fill(0xff)
    if (takesAfter(i)) taken += text.take()
  }
  const { isComplete, length } = text
  return { isComplete, length, text: taken + text.take(), left: text.length }
}

describe("IncomingText", () => {
  it("makes room for what is joined, wherever it stands in its chunk", () => {
    let most = 0
    const allocate = (size: number) => {
      most = Math.max(most, size)
      return portable.allocate(size)
    }
    const text = new IncomingText({ ...portable, allocate })
    const chunk = new Uint8Array(100_000).fill(0x61)
    for (const at of [0, 50_000, 99_990]) assert.isTrue(text.push(chunk, at, at + 10, true))
    assert.strictEqual(text.take(), "a".repeat(30))
    assert.isAtMost(most, 256)
  })

  it("joins a text that is cut anywhere, between and inside characters of every length", () => {
    for (const padding of [0, 61, 62, 63, 64, 65, 1020, 1024, 3000]) {
      for (const edge of edges) {
        const text = `${"a".repeat(padding)}${edge}${"\u20ac".repeat(30)}${edge}`
        const bytes = encoder.encode(text)
        const size = encoder.encode(edge).length
        for (const at of [padding, padding + 1, padding + size, bytes.length - size, bytes.length - 1, bytes.length]) {
          const got = read([bytes.slice(0, at), bytes.slice(at)])
          assert.deepStrictEqual(got, { isComplete: true, length: bytes.length, text, left: 0 })
        }
      }
    }
  })

  it("hands out whole characters only: a part that ends inside one keeps its beginning back", () => {
    for (const edge of edges) {
      const bytes = encoder.encode(`${"a".repeat(100)}${edge}`)
      for (let cut = 1; cut < bytes.length - 99; cut++) {
        const text = new IncomingText(portable)
        assert.isTrue(text.push(bytes, 0, 100 + cut, false))
        const isWhole = 100 + cut === bytes.length
        assert.strictEqual(text.take(), isWhole ? `${"a".repeat(100)}${edge}` : "a".repeat(100))
        assert.strictEqual(text.isComplete, isWhole)
        assert.strictEqual(text.length, isWhole ? 0 : cut)
        if (isWhole) continue
        assert.strictEqual(text.take(), "")
        assert.isTrue(text.push(bytes, 100 + cut, bytes.length, false))
        assert.isTrue(text.isComplete)
        assert.strictEqual(text.take(), edge)
        assert.strictEqual(text.length, 0)
      }
    }
  })

  it("refuses what cannot become UTF-8 with the part that proves it, in parts of any size", () => {
    const wrong = [[0x80], [0xc1], [0xff], [0xe0, 0x80], [0xed, 0xa0], [0xf0, 0x8f], [0xf4, 0x90], [0xe2, 0x82, 0x41]]
    for (const bytes of wrong) {
      for (const before of [0, 10, 63, 64, 200]) {
        for (const behind of [0, 10, 200]) {
          const all = Uint8Array.of(...new Uint8Array(before).fill(0x61), ...bytes, ...new Uint8Array(behind).fill(0x62))
          assert.isUndefined(read([all]), `${bytes} behind ${before}, before ${behind}`)
          for (let cut = 0; cut <= bytes.length; cut++) {
            assert.isUndefined(read([all.slice(0, before + cut), all.slice(before + cut)]))
          }
        }
      }
    }
    const text = new IncomingText(portable)
    text.push(encoder.encode("a".repeat(99)), 0, 99, true)
    assert.isTrue(text.push(Uint8Array.of(0xe2, 0x82), 0, 2, false))
    assert.isFalse(text.isComplete, "it ends inside a character")
  })

  it("takes U+FFFD for what it is: a character like others, or the sign of bytes that are not UTF-8", () => {
    const asked: Array<boolean> = []
    const asking: Primitives = {
      ...portable,
      isUtf8: (bytes, start, end) => {
        const valid = new Utf8Validator().push(bytes, start, end)
        asked.push(valid)
        return valid
      }
    }
    for (const primitives of [portable, asking]) {
      const good = encoder.encode("a\ufffdb")
      assert.strictEqual(decodeText(primitives, good, 0, good.length, false), "a\ufffdb")
      assert.isUndefined(decodeText(primitives, Uint8Array.of(0x61, 0xff), 0, 2, false))
      assert.strictEqual(decodeText(primitives, Uint8Array.of(0x61, 0xff), 0, 1, false), "a")
    }
    assert.deepStrictEqual(asked, [true, false])
  })

  it("lets the platform decode ASCII as such, where it is known to be that", () => {
    const primitives: Primitives = { ...portable, decodeAscii: () => "decoded as ASCII" }
    const bytes = encoder.encode("a".repeat(64))
    const text = new IncomingText(primitives)
    text.push(bytes, 0, 64, true)
    assert.strictEqual(text.take(), "decoded as ASCII")
    text.push(bytes, 0, 64, false)
    assert.strictEqual(text.take(), "a".repeat(64))
    assert.strictEqual(decodeText(portable, bytes, 1, 3, true), "aa", "a platform may have no such decoder")
  })

  it("joins parts of a few bytes before it decodes them, 1 KiB at a time", () => {
    let decoded = 0
    const text = new IncomingText({ ...portable, decodeUtf8: (...of) => (decoded++, portable.decodeUtf8(...of)) })
    const bytes = encoder.encode("\u20ac".repeat(10_000))
    for (let at = 0; at < bytes.length; at += 10) assert.isTrue(text.push(bytes, at, Math.min(at + 10, bytes.length), false))
    assert.strictEqual(text.length, bytes.length)
    assert.strictEqual(text.take(), "\u20ac".repeat(10_000))
    assert.isAtMost(decoded, 31)
    for (let at = 0; at < 640; at += 64) text.push(bytes, at, at + 64, false)
    assert.isAtMost(decoded, 31 + 20)
  })

  it.prop("reads as TextDecoder does, and fails as early as a validator that sees each byte", {
    text: Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", "\u00e9", "\u8a9e", "\u{1f600}", ...edges])), { maxLength: 400 }),
    noise: Arbitrary.array(Arbitrary.schema(Schema.Literals([0x61, 0x80, 0xc3, 0xe0, 0xed, 0xf0, 0xf4, 0xff])), { maxLength: 2 }),
    at: Arbitrary.schema(int(0, 900)),
    chunking,
    takes: Arbitrary.array(Arbitrary.schema(Schema.Boolean), { minLength: 1, maxLength: 5 })
  }, ({ at, chunking, noise, takes, text }) => {
    const whole = encoder.encode(text.join(""))
    const bytes = Uint8Array.of(...whole.subarray(0, at), ...noise, ...whole.subarray(at))
    const parts = chop(bytes, chunking)
    const validator = new Utf8Validator()
    const verdicts = parts.map((part) => validator.push(part, 0, part.length))
    const failing = verdicts.indexOf(false)
    const got = read(parts, (i) => takes[i % takes.length]!)
    if (failing >= 0) {
      assert.isUndefined(got)
      assert.isDefined(read(parts.slice(0, failing)), "not earlier than it is proven")
    } else {
      const left = got?.left ?? -1
      assert.strictEqual(got?.isComplete, validator.isComplete())
      assert.strictEqual(left === 0, validator.isComplete())
      assert.strictEqual(got?.text, decoder.decode(bytes.subarray(0, bytes.length - left)))
    }
  })
})
