/** Node's primitives do what the portable ones do. */
import { assert, describe, it } from "@effect/vitest"
import { Handshake, Primitives } from "@effect-ws/core"
import { NodePrimitives } from "@effect-ws/node"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const node = NodePrimitives.primitives
const { portable } = Primitives

const bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
/** UTF-16 units, so lone surrogates among them. */
const units = Schema.Array(Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff })),
  Schema.Int.check(Schema.isBetween({ minimum: 0xd800, maximum: 0xdfff }))
]))

const encode = (primitives: Primitives.Primitives, text: string, offset: number): Uint8Array => {
  const target = new Uint8Array(offset + text.length * 3 + 5)
  const written = primitives.encodeUtf8Into(text, target, offset)
  assert.isTrue(target.subarray(0, offset).every((byte) => byte === 0))
  assert.strictEqual(primitives.utf8Length(text), written)
  return target.subarray(offset, offset + written)
}

const decode = (primitives: Primitives.Primitives, data: Uint8Array): string => {
  // Inside of a larger buffer, whose other bytes must not matter.
  const larger = new Uint8Array(data.length + 6).fill(0xc3)
  larger.set(data, 3)
  return primitives.decodeUtf8(larger.subarray(1), 2, 2 + data.length)
}

const isUtf8 = (data: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data)
    return true
  } catch {
    return false
  }
}

const samples = [
  "",
  "ascii",
  "h\u00e9llo",
  "\u20ac\u{1f600}",
  "\ufeffwith a BOM",
  "\ud800",
  "\udc00\ud800",
  "a\ud83d",
  "\u0000",
  "x".repeat(70_000),
  "\u20ac".repeat(30_000)
]

describe("NodePrimitives", () => {
  for (const text of samples) {
    it(`encodes and decodes ${JSON.stringify(text.slice(0, 12))} (${text.length}) as the portable ones do`, () => {
      const encoded = encode(node, text, 3)
      assert.deepStrictEqual(encoded, encode(portable, text, 3))
      assert.strictEqual(decode(node, encoded), decode(portable, encoded))
      assert.strictEqual(decode(node, encoded), text.toWellFormed())
    })
  }

  it("decodes ASCII, every byte of it", () => {
    const ascii = Uint8Array.from({ length: 300 }, (_, i) => i & 0x7f)
    for (const [start, end] of [[0, 300], [3, 131], [7, 7], [299, 300]] as const) {
      assert.strictEqual(node.decodeAscii!(ascii, start, end), portable.decodeUtf8(ascii, start, end))
    }
  })

  it.prop("tells UTF-8 from what is not, within its bounds", [Schema.String, Schema.Uint8Array], ([text, noise]) => {
    for (const data of [new TextEncoder().encode(text), noise]) {
      const larger = new Uint8Array(data.length + 6).fill(0xc3)
      larger.set(data, 3)
      assert.strictEqual(node.isUtf8!(larger.subarray(1), 2, 2 + data.length), isUtf8(data))
    }
  })

  it.prop("encodes every string alike", [Arbitrary.schema(units)], ([units]) => {
    const text = String.fromCharCode(...units)
    assert.deepStrictEqual(encode(node, text, 1), encode(portable, text, 1))
  })

  it.prop("decodes all bytes alike, UTF-8 or not", [Arbitrary.schema(bytes)], ([values]) => {
    const data = Uint8Array.from(values)
    assert.strictEqual(decode(node, data), decode(portable, data))
  })

  it("keeps a BOM and replaces what is not UTF-8", () => {
    assert.strictEqual(decode(node, Uint8Array.of(0xef, 0xbb, 0xbf, 0x41)), "\ufeffA")
    assert.strictEqual(decode(node, Uint8Array.of(0x41, 0xff, 0x42)), "A\ufffdB")
    assert.strictEqual(decode(node, Uint8Array.of(0xed, 0xa0, 0x80)), "\ufffd\ufffd\ufffd")
  })

  it("allocates memory of its own: a plain Uint8Array, not a piece of a shared pool", () => {
    for (const size of [0, 1, 100, 5000, 100_000]) {
      const one = node.allocate(size)
      assert.strictEqual(Object.getPrototypeOf(one), Uint8Array.prototype)
      assert.strictEqual(one.length, size)
      assert.strictEqual(one.byteOffset, 0)
      assert.strictEqual(one.buffer.byteLength, size)
    }
  })

  it("fills with random bytes, in place and no further", () => {
    const whole = new Uint8Array(100_000)
    node.randomFill(whole.subarray(0, 70_000))
    assert.isTrue(whole.subarray(0, 70_000).some((byte) => byte !== 0))
    assert.isTrue(whole.subarray(65_536, 70_000).some((byte) => byte !== 0))
    assert.isTrue(whole.subarray(70_000).every((byte) => byte === 0))
  })

  it("sha1 answers a handshake as the portable one does", () => {
    assert.strictEqual(Handshake.acceptKey("dGhlIHNhbXBsZSBub25jZQ==", node.sha1), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    for (let length = 0; length < 200; length++) {
      const key = "k".repeat(length)
      assert.strictEqual(Handshake.acceptKey(key, node.sha1), Handshake.acceptKey(key))
    }
  })
})
