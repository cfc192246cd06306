import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as FrameDecoder from "../src/FrameDecoder.ts"
import * as Frame from "../src/Frame.ts"
import * as Opcode from "../src/Opcode.ts"
import { portable } from "../src/Primitives.ts"
import { concat } from "./support/FakeTransport.ts"

const encode = (frame: Frame.Frame): Uint8Array => Result.getOrThrow(Frame.encode(frame))

// Pushes `bytes` in pieces whose sizes cycle through `steps`.
const run = (bytes: Uint8Array, steps: ReadonlyArray<number>, options?: FrameDecoder.Options) => {
  const decoder = FrameDecoder.make(options)
  const frames: Array<Frame.Frame> = []
  let rule: string | undefined
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(at + steps[i % steps.length]!, bytes.length)
    const decoded = decoder.push(bytes.subarray(at, end))
    frames.push(...decoded.frames)
    rule = decoded.error?.rule
    at = end
  }
  return { frames, rule, empty: decoder.isEmpty() }
}

const frames = Arbitrary.array(Arbitrary.schema(Frame.Frame), { maxLength: 6 })
const steps = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))), {
  minLength: 1,
  maxLength: 6
})
const any = { allowedRsv: 7 } as const

describe("FrameDecoder", () => {
  it.prop("any chunking of the same bytes gives the frames that were encoded", { frames, steps }, (given) => {
    const bytes = concat(given.frames.map(encode))
    for (const chunks of [given.steps, [1], [Infinity]]) {
      const decoded = run(bytes, chunks, any)
      assert.deepStrictEqual(decoded.frames, given.frames)
      assert.isUndefined(decoded.rule)
      assert.isTrue(decoded.empty)
    }
  })

  it("any chunking gives the same large frames", () => {
    const large = [125, 126, 1000, 65535, 65536, 70000].flatMap((size) =>
      [true, false].map((masked) => {
        const data = new Uint8Array(size)
        portable.randomFill(data)
        return Frame.make(Opcode.Binary, data, { masked })
      })
    )
    const bytes = concat(large.map(encode))
    for (const chunks of [[1], [2], [7, 1, 300], [4096], [65536], [Infinity]]) {
      assert.deepStrictEqual(run(bytes, chunks).frames, large)
    }
  })

  it.prop("is total on random bytes, and chunking changes neither frames nor error", {
    parts: Arbitrary.array(Arbitrary.schema(Schema.Uint8Array), { maxLength: 8 }),
    steps,
    mask: Schema.Literals(["required", "forbidden", "any"])
  }, (given) => {
    const bytes = concat(given.parts)
    const options = { mask: given.mask, maxPayloadLength: 64, allowedRsv: 7 }
    const whole = run(bytes, [Infinity], options)
    assert.deepStrictEqual(run(bytes, given.steps, options), whole)
    assert.deepStrictEqual(run(bytes, [1], options), whole)
  })

  it("keeps the frames before a violation, and says nothing but the violation afterwards", () => {
    const decoder = FrameDecoder.make()
    const hello = encode(Frame.make(Opcode.Text, "hello"))
    const { error, frames } = decoder.push(concat([hello, hello, Uint8Array.of(0x83, 0x00), hello]))
    assert.strictEqual(frames.length, 2)
    assert.strictEqual(error?.rule, "ReservedOpcode")
    assert.strictEqual(error?.code, 1002)
    const after = decoder.push(hello)
    assert.deepStrictEqual(after.frames, [])
    assert.strictEqual(after.error, error)
    assert.isFalse(decoder.isEmpty())
  })

  it("refuses a declared length over the limit with 1009, before its payload", () => {
    const header = Uint8Array.of(0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0)
    const { error } = FrameDecoder.make().push(header)
    assert.strictEqual(error?.rule, "MessageTooBig")
    assert.strictEqual(error?.code, 1009)
    const huge = FrameDecoder.make().push(Uint8Array.of(0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255))
    assert.strictEqual(huge.error?.rule, "MessageTooBig")
    const exact = Frame.make(Opcode.Binary, new Uint8Array(200))
    assert.strictEqual(run(encode(exact), [3], { maxPayloadLength: 200 }).frames.length, 1)
    assert.strictEqual(run(encode(exact), [3], { maxPayloadLength: 199 }).rule, "MessageTooBig")
    assert.isUndefined(FrameDecoder.make().push(Uint8Array.of(0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0)).error, "1 MiB")
    assert.strictEqual(
      FrameDecoder.make().push(Uint8Array.of(0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1)).error?.rule,
      "MessageTooBig"
    )
  })

  it("holds the mask rule of its role", () => {
    const masked = encode(Frame.make(Opcode.Text, "x", { masked: true }))
    const plain = encode(Frame.make(Opcode.Text, "x"))
    assert.strictEqual(run(plain, [9], { mask: "required" }).rule, "MaskMissing")
    assert.strictEqual(run(masked, [9], { mask: "forbidden" }).rule, "MaskUnexpected")
    assert.strictEqual(run(masked, [9], { mask: "required" }).frames.length, 1)
    assert.strictEqual(run(plain, [9], { mask: "forbidden" }).frames.length, 1)
  })

  it("knows whether the input stopped inside a frame", () => {
    const bytes = encode(Frame.make(Opcode.Binary, new Uint8Array(300), { masked: true }))
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decoder = FrameDecoder.make()
      decoder.push(bytes.subarray(0, cut))
      assert.strictEqual(decoder.isEmpty(), cut === 0 || cut === bytes.length, `cut at ${cut}`)
    }
  })

  it("neither changes nor keeps a chunk", () => {
    const frame = Frame.make(Opcode.Binary, crypto.getRandomValues(new Uint8Array(500)), { masked: true })
    const chunk = encode(frame)
    const before = chunk.slice()
    const decoded = FrameDecoder.make().push(chunk).frames[0]!
    assert.deepStrictEqual(chunk, before)
    chunk.fill(0)
    assert.deepStrictEqual(decoded.data, frame.data)
  })

  it("does linear work byte by byte", () => {
    // Counts reads of the input and bytes copied or allocated, not time.
    let reads = 0
    let copied = 0
    let allocated = 0
    const size = 20_000
    const bytes = encode(Frame.make(Opcode.Binary, new Uint8Array(size), { masked: true }))
    const counting = (chunk: Uint8Array): Uint8Array =>
      new Proxy(chunk, {
        get: (target, key) => {
          if (typeof key === "string" && key !== "length") reads++
          return Reflect.get(target, key, target)
        }
      })
    const RealUint8Array = globalThis.Uint8Array
    const realSet = RealUint8Array.prototype.set
    const decoder = FrameDecoder.make()
    let frames = 0
    globalThis.Uint8Array = new Proxy(RealUint8Array, {
      construct: (target, args: [number]) => {
        if (typeof args[0] === "number") allocated += args[0]
        return Reflect.construct(target, args)
      }
    })
    RealUint8Array.prototype.set = function(source, offset) {
      copied += source.length
      return realSet.call(this, source, offset)
    }
    try {
      for (let i = 0; i < bytes.length; i++) frames += decoder.push(counting(bytes.subarray(i, i + 1))).frames.length
    } finally {
      globalThis.Uint8Array = RealUint8Array
      RealUint8Array.prototype.set = realSet
    }
    assert.strictEqual(frames, 1)
    assert.strictEqual(reads, bytes.length, "each byte is looked at once")
    assert.strictEqual(allocated, size, "the payload is allocated once")
    assert.isAtMost(copied, size, "and never moved")
  })
})
