import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { endOfWhole, isUtf8, Utf8Validator } from "../../src/codec/Utf8.ts"

const decodes = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

// The length of the longest prefix that can still become UTF-8, by trying to complete it.
const tails = [
  [],
  [0x80],
  [0xa0],
  [0x90],
  [0x80, 0x80],
  [0xa0, 0x80],
  [0x90, 0x80],
  [0x80, 0x80, 0x80],
  [0xa0, 0x80, 0x80],
  [0x90, 0x80, 0x80]
]
const canBecomeUtf8 = (bytes: Uint8Array): boolean => tails.some((tail) => decodes(Uint8Array.of(...bytes, ...tail)))

const firstRefused = (bytes: Uint8Array): number => {
  const validator = new Utf8Validator()
  for (let i = 0; i < bytes.length; i++) if (!validator.push(bytes, i, i + 1)) return i
  return -1
}

const interesting = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
  0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff
]

const byte = Arbitrary.schema(Schema.Literals(interesting))
const size = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })))

describe("Utf8", () => {
  it("agrees with TextDecoder on every sequence of up to three bytes at the borders, at once and byte by byte", () => {
    for (const a of interesting) {
      for (const b of interesting) {
        for (const c of interesting) {
          const bytes = Uint8Array.of(a, b, c)
          const expected = decodes(bytes)
          assert.strictEqual(isUtf8(bytes, 0, 3), expected, `${bytes}`)
          const validator = new Utf8Validator()
          let valid = true
          for (let i = 0; i < 3; i++) valid = validator.push(bytes, i, i + 1)
          assert.strictEqual(valid && validator.isComplete(), expected, `${bytes}`)
        }
      }
    }
  })

  it.prop("agrees with TextDecoder on mutated text under any chunking", {
    text: Schema.String,
    noise: Arbitrary.array(byte, { maxLength: 4 }),
    at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })),
    pad: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 70 })),
    step: size
  }, ({ at, noise, pad, step, text }) => {
    const whole = new TextEncoder().encode(`${"a".repeat(pad)}é€${text}😀${"z".repeat(pad)}${text}`)
    const bytes = Uint8Array.of(...whole.subarray(0, at), ...noise, ...whole.subarray(at))
    const expected = decodes(bytes)
    assert.strictEqual(isUtf8(bytes, 0, bytes.length), expected)
    const validator = new Utf8Validator()
    let valid = true
    for (let i = 0; i < bytes.length; i += step) {
      valid = validator.push(bytes, i, Math.min(i + step, bytes.length))
    }
    assert.strictEqual(valid && validator.isComplete(), expected)
  })

  it.prop("fails at the first byte that no text can have there", {
    bytes: Arbitrary.array(byte, { maxLength: 6 })
  }, ({ bytes }) => {
    const data = Uint8Array.from(bytes)
    let expected = -1
    for (let i = 1; i <= data.length && expected < 0; i++) if (!canBecomeUtf8(data.slice(0, i))) expected = i - 1
    assert.strictEqual(firstRefused(data), expected, `${data}`)
  })

  it("refuses at the second byte what can only become overlong, a surrogate or too large", () => {
    assert.strictEqual(firstRefused(Uint8Array.of(0xf4, 0x90)), 1)
    assert.strictEqual(firstRefused(Uint8Array.of(0xed, 0xa0)), 1)
    assert.strictEqual(firstRefused(Uint8Array.of(0xe0, 0x9f)), 1)
    assert.strictEqual(firstRefused(Uint8Array.of(0xf0, 0x8f)), 1)
    for (const first of [0xc0, 0xc1, 0xf5, 0xff, 0x80]) assert.strictEqual(firstRefused(Uint8Array.of(first)), 0)
  })

  it("finds one bad byte at every place of a long ASCII text, at every alignment", () => {
    for (let offset = 0; offset < 8; offset++) {
      for (let at = 0; at < 90; at++) {
        const bytes = new Uint8Array(offset + 90).fill(0x61)
        assert.isTrue(isUtf8(bytes, offset, offset + 90))
        bytes[offset + at] = 0xff
        assert.isFalse(isUtf8(bytes, offset, offset + 90), `${offset} ${at}`)
        // A bad byte outside the range is nobody's business.
        assert.isTrue(isUtf8(bytes, offset, offset + at))
        assert.isTrue(isUtf8(bytes, offset + at + 1, offset + 90))
      }
    }
  })

  it("tells where the last character begins if it is not whole", () => {
    const text = new TextEncoder().encode("a\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}a")
    const whole = (end: number): number => {
      while (!decodes(text.subarray(0, end))) end--
      return end
    }
    for (let end = 0; end <= text.length; end++) assert.strictEqual(endOfWhole(text, 0, end), whole(end), `${end}`)
    // It looks at nothing before `start`, and at no more than three bytes.
    assert.strictEqual(endOfWhole(text, 3, 4), 4)
    // What is in front of it is not its own.
    assert.strictEqual(endOfWhole(Uint8Array.of(0xf0, 0x80), 1, 2), 2)
    assert.strictEqual(endOfWhole(Uint8Array.of(0xf0, 0x80), 2, 2), 2)
    assert.strictEqual(endOfWhole(Uint8Array.of(0xf0, 0x80, 0x80, 0x80, 0x80), 0, 5), 5)
    assert.strictEqual(endOfWhole(Uint8Array.of(0xff), 0, 1), 0)
  })

  it("keeps failing until it is reset", () => {
    const validator = new Utf8Validator()
    assert.isFalse(validator.push(Uint8Array.of(0xff), 0, 1))
    assert.isFalse(validator.push(Uint8Array.of(0x61), 0, 1))
    assert.isFalse(validator.isComplete())
    validator.reset()
    assert.isTrue(validator.push(Uint8Array.of(0xe2, 0x82), 0, 2))
    assert.isFalse(validator.isComplete())
    validator.reset()
    assert.isTrue(validator.isComplete())
    assert.isTrue(validator.push(Uint8Array.of(0xe2, 0x82, 0xac), 0, 3))
    assert.isTrue(validator.isComplete())
  })
})
