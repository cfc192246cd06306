import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Frame from "../src/Frame.ts"
import * as Opcode from "../src/Opcode.ts"

const ok = Result.getOrThrow
const ruleOf = (result: Result.Result<unknown, { readonly rule: string }>): string | undefined =>
  Result.isFailure(result) ? result.failure.rule : undefined
const hello = new TextEncoder().encode("Hello")
const key = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)

// RFC 6455 §5.7, all of its examples.
const golden: ReadonlyArray<readonly [string, Frame.Frame, ReadonlyArray<number>]> = [
  ["an unmasked text", Frame.make(Opcode.Text, "Hello"), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]],
  [
    "a masked text",
    Frame.make(Opcode.Text, "Hello", { masked: true }),
    [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
  ],
  ["a first fragment", Frame.make(Opcode.Text, "Hel", { fin: false }), [0x01, 0x03, 0x48, 0x65, 0x6c]],
  ["a last fragment", Frame.make(Opcode.Continuation, "lo"), [0x80, 0x02, 0x6c, 0x6f]],
  ["an unmasked ping", Frame.make(Opcode.Ping, "Hello"), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]],
  [
    "a masked pong",
    Frame.make(Opcode.Pong, hello, { masked: true }),
    [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
  ]
]

describe("Frame", () => {
  it("encodes and decodes the examples of RFC 6455 §5.7", () => {
    for (const [name, frame, bytes] of golden) {
      assert.deepStrictEqual(ok(Frame.encode(frame, { maskKey: key })), Uint8Array.from(bytes), name)
      assert.deepStrictEqual(ok(Frame.decode(Uint8Array.from(bytes))), frame, name)
    }
    const medium = ok(Frame.encode(Frame.make(Opcode.Binary, new Uint8Array(256))))
    assert.deepStrictEqual(medium.slice(0, 4), Uint8Array.of(0x82, 0x7e, 0x01, 0x00))
    assert.strictEqual(medium.length, 260)
    const large = ok(Frame.encode(Frame.make(Opcode.Binary, new Uint8Array(65536))))
    assert.deepStrictEqual(large.slice(0, 10), Uint8Array.of(0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0))
    assert.strictEqual(large.length, 65546)
  })

  it.prop("decoding what was encoded is the frame, and the Schema agrees with the codec", { frame: Frame.Frame }, ({
    frame
  }) => {
    const before = frame.data.slice()
    const bytes = ok(Frame.encode(frame))
    assert.deepStrictEqual(frame.data, before, "masking never touches the caller's data")
    const decoded = ok(Frame.decode(bytes))
    assert.deepStrictEqual(decoded, frame)
    assert.isTrue(Frame.equivalence(decoded, frame))
    assert.deepStrictEqual(Schema.decodeUnknownSync(Frame.FrameFromBytes)(bytes), frame)
    const encoded = Schema.encodeSync(Frame.FrameFromBytes)(frame)
    assert.strictEqual(encoded.length, bytes.length)
    assert.deepStrictEqual(Schema.decodeUnknownSync(Frame.FrameFromBytes)(encoded), frame)
    if (!frame.masked) assert.deepStrictEqual(encoded, bytes)
  })

  it.prop("codec and Schema accept and refuse the same bytes, and neither throws", {
    bytes: Schema.Uint8Array,
    opening: Schema.Literals([0x81, 0x01, 0x89, 0x09, 0x83, 0xf2]),
    second: Schema.Literals([0, 1, 2, 5, 0x80, 0x85, 126, 127, 0xfe])
  }, ({ bytes, opening, second }) => {
    for (const candidate of [bytes, Uint8Array.of(opening, second, ...bytes)]) {
      const codec = Frame.decode(candidate)
      const face = Schema.decodeUnknownResult(Frame.FrameFromBytes)(candidate)
      assert.strictEqual(Result.isSuccess(codec), Result.isSuccess(face))
      if (Result.isSuccess(codec) && Result.isSuccess(face)) assert.deepStrictEqual(face.success, codec.success)
    }
  })

  it.prop("encode, the Schema's check and its encoding refuse the same frames", {
    fin: Schema.Boolean,
    opcode: Schema.Literals([0, 1, 2, 8, 9, 10]),
    size: Schema.Int.check(Schema.isBetween({ minimum: 120, maximum: 130 }))
  }, ({ fin, opcode, size }) => {
    const frame = Frame.make(opcode, new Uint8Array(size), { fin })
    const legal = opcode < 8 || (fin && size <= 125)
    assert.strictEqual(Result.isSuccess(Frame.encode(frame)), legal)
    assert.strictEqual(Schema.is(Frame.Frame)(frame), legal)
    assert.strictEqual(Result.isSuccess(Schema.encodeUnknownResult(Frame.FrameFromBytes)(frame)), legal)
  })

  it("refuses what may not stand on the wire with a typed error", () => {
    const long = new Uint8Array(126)
    for (const opcode of [Opcode.Close, Opcode.Ping, Opcode.Pong] as const) {
      assert.strictEqual(ruleOf(Frame.encode(Frame.make(opcode, long))), "ControlTooLong")
      assert.strictEqual(ruleOf(Frame.encode(Frame.make(opcode, "", { fin: false }))), "ControlFragmented")
      assert.strictEqual(ruleOf(Frame.makeFrame(opcode, long, { masked: true })), "ControlTooLong")
      assert.isTrue(Result.isSuccess(Frame.encode(Frame.make(opcode, long.subarray(1)))))
    }
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16, -1, 0.5, NaN]) {
      const frame = { ...Frame.make(Opcode.Text, "x"), opcode } as Frame.Frame
      assert.strictEqual(ruleOf(Frame.encode(frame)), "ReservedOpcode", `${opcode}`)
      assert.isFalse(Schema.is(Frame.Frame)(frame))
    }
    for (const size of [0, 3, 5]) {
      const result = Frame.encode(Frame.make(Opcode.Text, "x", { masked: true }), { maskKey: new Uint8Array(size) })
      assert.strictEqual(ruleOf(result), "MaskKeySize")
    }
  })

  it("never takes the size of a payload from something that is not bytes (ws CVE-2016-10518)", () => {
    for (const data of [1000, { length: 1000 }, [1, 2, 3], null, undefined]) {
      const frame = { ...Frame.make(Opcode.Binary, ""), data } as unknown as Frame.Frame
      assert.strictEqual(ruleOf(Frame.encode(frame)), "PayloadType")
    }
  })

  it("decodes exactly one frame: missing and extra bytes are issues that say how many", () => {
    const bytes = ok(Frame.encode(Frame.make(Opcode.Binary, new Uint8Array(300), { masked: true })))
    for (let cut = 0; cut < bytes.length; cut++) {
      assert.strictEqual(ruleOf(Frame.decode(bytes.subarray(0, cut))), "FrameIncomplete", `cut at ${cut}`)
    }
    assert.strictEqual(ruleOf(Frame.decode(Uint8Array.of(...bytes, 0))), "FrameTrailing")
    const face = Schema.decodeUnknownResult(Frame.FrameFromBytes)
    const missing = face(bytes.subarray(0, -2))
    assert.include(Result.isFailure(missing) ? missing.failure.message : "", "2 bytes of the frame are missing")
    const extra = face(Uint8Array.of(...bytes, 1, 2, 3))
    assert.include(Result.isFailure(extra) ? extra.failure.message : "", "3 bytes follow the frame")
    const reserved = face(Uint8Array.of(0x83, 0))
    assert.include(Result.isFailure(reserved) ? reserved.failure.message : "", "ReservedOpcode")
  })

  it("allocates nothing for a length that is only declared", () => {
    const claim = Uint8Array.of(0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255)
    assert.strictEqual(ruleOf(Frame.decode(claim)), "FrameIncomplete")
  })

  it("draws a fresh key for every masked frame", () => {
    const keys = new Set<string>()
    for (let i = 0; i < 500; i++) {
      keys.add(ok(Frame.makeFrame(Opcode.Text, "x", { masked: true })).slice(2, 6).join())
    }
    // Two equal keys in 500 of 2^32 would be a one in 34,000 chance; three never.
    assert.isAtLeast(keys.size, 499)
  })

  it("makeFrame is make and encode", () => {
    const frame = Frame.make(Opcode.Text, "é", { rsv1: true, rsv3: true })
    assert.deepStrictEqual(ok(Frame.makeFrame(frame)), Uint8Array.of(0xd1, 2, 0xc3, 0xa9))
    const short = Frame.makeFrame(Opcode.Text, "é", { rsv1: true, rsv3: true })
    assert.deepStrictEqual(ok(short), ok(Frame.makeFrame(frame)))
    assert.deepStrictEqual(ok(Frame.decode(ok(Frame.makeFrame(frame)))), frame)
  })

  it("gives a payload of its own", () => {
    const bytes = Uint8Array.of(0x82, 2, 1, 2)
    const { data } = ok(Frame.decode(bytes))
    bytes.fill(9)
    assert.deepStrictEqual(data, Uint8Array.of(1, 2))
  })

  it("tells frames apart", () => {
    const frame = Frame.make(Opcode.Text, "a")
    assert.isTrue(Frame.equivalence(frame, Frame.make(Opcode.Text, "a")))
    assert.isFalse(Frame.equivalence(frame, Frame.make(Opcode.Text, "b")))
    assert.isFalse(Frame.equivalence(frame, Frame.make(Opcode.Binary, "a")))
    assert.isFalse(Frame.equivalence(frame, Frame.make(Opcode.Text, "a", { masked: true })))
  })

  it.effect("generates legal frames of every opcode", () =>
    Effect.gen(function*() {
      const frames = yield* Arbitrary.sampleEffect(Arbitrary.schema(Frame.Frame), { count: 300, seed: 1 })
      assert.strictEqual(new Set(frames.map((frame) => frame.opcode)).size, 6)
      for (const frame of frames) assert.isTrue(Result.isSuccess(Frame.encode(frame)))
    }))
})
