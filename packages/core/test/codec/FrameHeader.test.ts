import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { FrameHeader, headerLength, writeHeader } from "../../src/codec/FrameHeader.ts"
import type { ProtocolRule } from "../../src/WebSocketError.ts"

type Mask = "required" | "forbidden" | "any"

// Parses in chunks of `step` and says where the header stopped.
const parse = (bytes: Uint8Array, mask: Mask, step: number, allowedRsv = 0) => {
  const header = new FrameHeader(mask)
  header.allowedRsv = allowedRsv
  let at = 0
  while (at < bytes.length && !header.complete && header.violation === undefined) {
    at = header.parse(bytes, at, Math.min(at + step, bytes.length))
  }
  return { header, at }
}

// The rule must be named at exactly the byte that proves it, however the bytes come.
const refused = (rule: ProtocolRule, bytes: ReadonlyArray<number>, mask: Mask = "any", allowedRsv = 0) => {
  const data = Uint8Array.from(bytes)
  for (const step of [1, 2, 3, 5, 100]) {
    assert.strictEqual(parse(data, mask, step, allowedRsv).header.violation, rule, `in pieces of ${step}`)
  }
  const early = parse(data.subarray(0, -1), mask, 1, allowedRsv)
  assert.isUndefined(early.header.violation, "not before its last byte")
  const trailing = parse(Uint8Array.of(...bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), mask, 100, allowedRsv)
  assert.strictEqual(trailing.header.violation, rule, "with more bytes behind it")
  assert.isFalse(trailing.header.complete)
  assert.strictEqual(trailing.header.parse(data, 0, data.length), 0, "nothing is consumed behind a violation")
}

describe("FrameHeader", () => {
  it("refuses reserved bits that nobody claimed (§5.2)", () => {
    for (const bits of [0x40, 0x20, 0x10, 0x70]) refused("ReservedBit", [0x81 | bits])
    refused("ReservedBit", [0x81 | 0x20], "any", 4)
    assert.isTrue(parse(Uint8Array.of(0xc1, 0x00), "any", 1, 4).header.complete)
    assert.strictEqual(parse(Uint8Array.of(0xc1, 0x00), "any", 1, 4).header.rsv, 4)
  })

  it("refuses reserved opcodes (§5.2)", () => {
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
      refused("ReservedOpcode", [0x80 | opcode])
      refused("ReservedOpcode", [opcode])
    }
    for (const opcode of [0, 1, 2, 8, 9, 10]) {
      assert.isTrue(parse(Uint8Array.of(0x80 | opcode, 0), "any", 1).header.complete)
    }
  })

  it("refuses fragmented control frames (§5.5)", () => {
    for (const opcode of [8, 9, 10]) refused("ControlFragmented", [opcode])
  })

  it("refuses control frames over 125 bytes (§5.5)", () => {
    for (const opcode of [8, 9, 10]) {
      refused("ControlTooLong", [0x80 | opcode, 126])
      refused("ControlTooLong", [0x80 | opcode, 127])
      // Before the mask rule.
      refused("ControlTooLong", [0x80 | opcode, 126], "required")
      assert.isTrue(parse(Uint8Array.of(0x80 | opcode, 125), "any", 1).header.complete)
    }
  })

  it("refuses a missing and an unexpected mask (§5.1)", () => {
    refused("MaskMissing", [0x81, 0x00], "required")
    refused("MaskUnexpected", [0x81, 0x80], "forbidden")
    assert.isTrue(parse(Uint8Array.of(0x81, 0x80, 1, 2, 3, 4), "required", 1).header.complete)
    assert.isTrue(parse(Uint8Array.of(0x81, 0x00), "forbidden", 1).header.complete)
  })

  it("refuses a length with its highest bit set at that byte (§5.2)", () => {
    refused("LengthHighBit", [0x82, 127, 0x80])
    refused("LengthHighBit", [0x82, 127, 0xff])
  })

  it("refuses a length that is not in its shortest form (§5.2)", () => {
    refused("LengthNotMinimal", [0x82, 126, 0, 0])
    refused("LengthNotMinimal", [0x82, 126, 0, 125])
    refused("LengthNotMinimal", [0x82, 127, 0, 0, 0, 0, 0, 0])
    assert.strictEqual(parse(Uint8Array.of(0x82, 126, 0, 126), "any", 9).header.length, 126)
    assert.strictEqual(parse(Uint8Array.of(0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0), "any", 9).header.length, 65536)
  })

  it("names the first of several broken rules", () => {
    refused("ReservedBit", [0x70 | 0x0f])
    refused("ReservedOpcode", [0x0f])
    refused("ControlFragmented", [0x09])
  })

  it("makes a length above 2^53-1 infinite", () => {
    const at = (...length: ReadonlyArray<number>) => parse(Uint8Array.of(0x82, 127, ...length), "any", 3).header.length
    assert.strictEqual(at(0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(at(0, 0x20, 0, 0, 0, 0, 0, 0), Infinity)
    assert.strictEqual(at(0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), Infinity)
  })

  it("reads back what was written, at every length form and chunking", () => {
    const lengths = [0, 1, 125, 126, 127, 65535, 65536, 2 ** 31, 2 ** 32, 2 ** 32 + 5, 2 ** 40 + 77, 2 ** 53 - 1]
    for (const length of lengths) {
      for (const masked of [true, false]) {
        const bytes = new Uint8Array(20).fill(0xee)
        const end = writeHeader(bytes, 3, 0x82, length, masked, 0x84c3b2a1 | 0)
        assert.strictEqual(end - 3, headerLength(length, masked))
        assert.strictEqual(bytes[end], 0xee, "nothing is written behind the header")
        for (let step = 1; step < 16; step++) {
          const { at, header } = parse(bytes.subarray(3), "any", step)
          assert.isTrue(header.complete)
          assert.strictEqual(at, end - 3)
          assert.strictEqual(header.length, length)
          assert.strictEqual(header.masked, masked)
          assert.strictEqual(header.maskKey, masked ? 0x84c3b2a1 | 0 : 0)
        }
      }
    }
  })

  it("uses the shortest form", () => {
    assert.deepStrictEqual([125, 126, 65535, 65536].map((n) => headerLength(n, false)), [2, 4, 4, 10])
    assert.deepStrictEqual([125, 126, 65535, 65536].map((n) => headerLength(n, true)), [6, 8, 8, 14])
  })

  it.prop("is total, and the same in one piece and byte by byte", {
    bytes: Schema.Uint8Array,
    mask: Schema.Literals(["required", "forbidden", "any"]),
    allowedRsv: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
  }, ({ allowedRsv, bytes, mask }) => {
    const whole = parse(bytes, mask, Infinity, allowedRsv)
    const single = parse(bytes, mask, 1, allowedRsv)
    assert.strictEqual(whole.at, single.at)
    for (const field of ["violation", "complete", "fin", "rsv", "opcode"] as const) {
      assert.strictEqual(whole.header[field], single.header[field], field)
    }
    if (whole.header.complete) {
      assert.strictEqual(whole.header.length, single.header.length)
      assert.strictEqual(whole.header.maskKey, single.header.maskKey)
    }
  })

  it("starts over after reset", () => {
    const { header } = parse(Uint8Array.of(0x82, 0xfe, 0x01, 0x00, 9, 9, 9, 9), "any", 1)
    header.reset()
    assert.isFalse(header.complete)
    assert.strictEqual(header.parse(Uint8Array.of(0x89, 0x00), 0, 2), 2)
    assert.isTrue(header.complete)
    assert.strictEqual(header.length, 0)
    assert.strictEqual(header.maskKey, 0)
    assert.isFalse(header.masked)
  })
})
