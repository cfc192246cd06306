import { CompressionBudget, type Extension, type MessageExtension, PerMessageDeflate } from "@effect-ws/core"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import * as Zlib from "node:zlib"
import * as HandleCodec from "../src/deflate/HandleCodec.ts"
import * as MessageCodec from "../src/deflate/MessageCodec.ts"
import * as NodeDeflate from "../src/NodeDeflate.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))

const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** Inflates one message, given in parts: its bytes, or what is wrong with it. */
const inflate = (
  decoder: Pick<PerMessageDeflate.Decompressor, "push" | "next">,
  ...parts: ReadonlyArray<Uint8Array>
): Uint8Array | string => {
  const out: Array<Uint8Array> = []
  for (const [i, part] of parts.entries()) {
    decoder.push(part, i === parts.length - 1)
    for (;;) {
      const step = decoder.next()
      if (step === undefined) break
      if (!(step instanceof Uint8Array)) return step.detail
      out.push(step)
    }
  }
  return new Uint8Array(Buffer.concat(out))
}

/** Random, yet the same each time. */
const noise = (size: number, seed = 1): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

const split = (bytes: Uint8Array, steps: ReadonlyArray<number>): Array<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + steps[i % steps.length]!)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts.length === 0 ? [bytes] : parts
}

const hello = bytesOf("Hello")

const pairOf = (codec: PerMessageDeflate.Codec["Service"], client: PerMessageDeflate.Options, server: PerMessageDeflate.Options) => {
  const budget = CompressionBudget.make()
  const near = PerMessageDeflate.make(codec, budget, { threshold: 0, ...client })
  const far = PerMessageDeflate.make(codec, budget, { threshold: 0, ...server })
  const offer: Extension.ExtensionHeader = { name: near.name, params: near.offers[0]! }
  const answer = far.answer(offer)!
  const agreed = Result.getOrThrow(near.agree({ name: far.name, params: answer.params }))
  return { budget, client: agreed.open(), server: answer.open() }
}

const carry = (
  from: MessageExtension.Transform,
  to: MessageExtension.Transform,
  message: Uint8Array,
  steps: ReadonlyArray<number>
) => {
  if (from.encoder.begin(message) === 0) return message
  const parts = split(message, steps)
  const sent = new Uint8Array(Buffer.concat(parts.map((part, i) => from.encoder.push(part, i === parts.length - 1))))
  to.decoder.begin(4)
  return inflate(to.decoder, ...split(sent, steps))
}

const codecs: Readonly<Record<string, PerMessageDeflate.Codec["Service"]>> = {
  "by handles": { ...NodeDeflate.codec, compressor: HandleCodec.compressor, decompressor: HandleCodec.decompressor },
  "by documented interfaces": {
    ...NodeDeflate.codec,
    compressor: MessageCodec.compressor,
    decompressor: MessageCodec.decompressor
  }
}

for (const [how, codec] of Object.entries(codecs)) {
  const compressor = (options: Partial<PerMessageDeflate.CompressorOptions> = {}) =>
    codec.compressor({ windowBits: 15, level: 6, memLevel: 8, ...options })

  const pair = (client: PerMessageDeflate.Options, server: PerMessageDeflate.Options) => pairOf(codec, client, server)

  const once = (...parts: ReadonlyArray<Uint8Array>): Uint8Array | string => {
    const decompressor = codec.decompressor({ windowBits: 15 })
    const inflated = inflate(decompressor, ...parts)
    decompressor.close()
    return inflated
  }

  describe(`NodeDeflate ${how}`, () => {
    describe("the examples of RFC 7692 §7.2.3", () => {
      it("§7.2.3.1, a fixed block; §7.2.3.2, sharing the window", () => {
        const deflate = compressor()
        assert.deepStrictEqual(plain(deflate.push(hello, true)), hex("f2 48 cd c9 c9 07 00"))
        assert.deepStrictEqual(plain(deflate.push(hello, true)), hex("f2 00 11 00 00"))
        deflate.reset()
        assert.deepStrictEqual(plain(deflate.push(hello, true)), hex("f2 48 cd c9 c9 07 00"))
        deflate.close()
        const decompressor = codec.decompressor({ windowBits: 15 })
        assert.deepStrictEqual(inflate(decompressor, hex("f2 48 cd"), hex("c9 c9 07 00")), hello)
        assert.deepStrictEqual(inflate(decompressor, hex("f2 00 11 00 00")), hello)
        decompressor.reset()
        assert.isString(inflate(decompressor, hex("f2 00 11 00 00")))
        decompressor.close()
      })

      it("§7.2.3.3, a stored block", () => {
        assert.deepStrictEqual(once(hex("00 05 00 fa ff 48 65 6c 6c 6f 00")), hello)
      })

      it("§7.2.3.4, a final block; then a new stream, in the same message and the next", () => {
        const final = hex("f3 48 cd c9 c9 07 00 00")
        assert.deepStrictEqual(once(final), hello)
        const decompressor = codec.decompressor({ windowBits: 15 })
        assert.deepStrictEqual(inflate(decompressor, final), hello)
        assert.deepStrictEqual(inflate(decompressor, hex("f3 48 cd c9 c9 07 00"), final), bytesOf("HelloHello"))
        // without the header of a further block, as some compressors leave it
        assert.deepStrictEqual(inflate(decompressor, hex("f3 48 cd c9 c9 07 00")), hello)
        assert.deepStrictEqual(inflate(decompressor, hex("f2 48 cd c9 c9 07 00")), hello)
        assert.deepStrictEqual(inflate(decompressor, hex("f2 00 11 00 00")), hello)
        // the window ends with the stream
        assert.deepStrictEqual(inflate(decompressor, final), hello)
        assert.strictEqual(inflate(decompressor, hex("f2 00 11 00 00")), "invalid distance too far back")
        decompressor.close()
        const another = codec.decompressor({ windowBits: 15 })
        assert.deepStrictEqual(inflate(another, hex("f3 48 cd c9 c9 07 00")), hello)
        assert.isString(inflate(another, new Uint8Array(0)))
        another.close()
      })

      it("§7.2.3.5, two blocks", () => {
        assert.deepStrictEqual(once(hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")), hello)
      })

      it("§7.2.3.6, an empty message", () => {
        assert.deepStrictEqual(once(hex("00")), new Uint8Array(0))
        const deflate = compressor()
        assert.deepStrictEqual(plain(deflate.push(new Uint8Array(0), true)), hex("00"))
        deflate.close()
      })
    })

    it("agrees with node:zlib's own functions", () => {
      const text = bytesOf(JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: `name ${id * 7}` }))))
      const deflated = new Uint8Array(Zlib.deflateRawSync(text, { finishFlush: Zlib.constants.Z_SYNC_FLUSH }))
      assert.deepStrictEqual(once(deflated.subarray(0, -4)), text)
      assert.deepStrictEqual(once(new Uint8Array(Zlib.deflateRawSync(text))), text)
      const deflate = compressor()
      const sent = Buffer.concat([deflate.push(text, true), hex("00 00 ff ff")])
      assert.deepStrictEqual(
        new Uint8Array(Zlib.inflateRawSync(sent, { finishFlush: Zlib.constants.Z_SYNC_FLUSH })),
        text
      )
      deflate.close()
    })

    it("says what is wrong with what is no DEFLATE, or not whole, and stays there", () => {
      const text = bytesOf("a message that is long enough to be cut somewhere, cut somewhere, and anywhere else")
      const deflate = compressor()
      const whole = deflate.push(text, true)
      deflate.close()
      for (let length = 0; length < whole.length; length++) assert.isString(once(whole.subarray(0, length)), `${length}`)
      const failures: ReadonlyArray<readonly [name: string, bytes: Uint8Array]> = [
        ["nothing at all", new Uint8Array(0)],
        ["a block of type 3", hex("06")],
        ["a stored block whose lengths disagree", hex("00 05 00 fa fe 48 65 6c 6c 6f 00")],
        ["a distance before the start", hex("f2 00 11 00 00")],
        ["a stored block that lacks four bytes", hex("00 09 00 f6 ff 48 65 6c 6c 6f")],
        ["garbage", noise(100)],
        ["the four bytes that must be stripped", Buffer.concat([whole, hex("00 00 ff ff")])],
        ["garbage behind a message", Buffer.concat([whole, noise(20)])],
        ["garbage behind a final block", Buffer.concat([hex("f3 48 cd c9 c9 07 00"), noise(20)])],
        ["the start of a dynamic block", hex("04 c0 31")]
      ]
      for (const [name, bytes] of failures) assert.isString(once(bytes), name)
      const decompressor = codec.decompressor({ windowBits: 15 })
      assert.isString(inflate(decompressor, hex("06")))
      assert.isString(inflate(decompressor, hex("00")))
      decompressor.close()
    })

    for (const windowBits of [9, 10, 11, 12, 13, 14, 15]) {
      it(`keeps to a window of ${windowBits} bits, and uses it`, () => {
        const deflate = compressor({ windowBits })
        // zlib looks back at most 262 bytes less than the window
        const secret = noise(200, 7)
        const gap = (1 << windowBits) - 262 - 200
        const first = deflate.push(secret, true)
        const between = deflate.push(noise(gap, windowBits), true)
        const again = deflate.push(secret, true)
        assert.isBelow(again.length, 40)
        deflate.push(noise((1 << windowBits) + 1), true)
        assert.isAbove(deflate.push(secret, true).length, 190)
        deflate.close()
        const run = (bits: number) => {
          const decompressor = codec.decompressor({ windowBits: bits })
          const all = [first, between, again].map((message) => inflate(decompressor, message))
          decompressor.close()
          return all[2]
        }
        assert.deepStrictEqual(run(windowBits), secret)
        assert.deepStrictEqual(run(15), secret)
        if (windowBits > 9) assert.strictEqual(run(windowBits - 1), "invalid distance too far back")
      })
    }

    it("inflates what was made with a window of 8 bits", () => {
      const decompressor = codec.decompressor({ windowBits: 8 })
      assert.deepStrictEqual(inflate(decompressor, hex("f2 48 cd c9 c9 07 00")), hello)
      decompressor.close()
    })

    it("hands out memory that is its receiver's own", () => {
      const deflate = compressor()
      const decompressor = codec.decompressor({ windowBits: 15 })
      const sent = deflate.push(hello, true)
      decompressor.push(sent, true)
      const received = decompressor.next()
      assert.isUndefined(decompressor.next())
      decompressor.push(deflate.push(bytesOf("another one"), true), true)
      assert.deepStrictEqual(decompressor.next(), bytesOf("another one"))
      assert.deepStrictEqual(plain(sent), hex("f2 48 cd c9 c9 07 00"))
      assert.deepStrictEqual(received, hello)
      assert.instanceOf(received, Uint8Array)
      deflate.close()
      decompressor.close()
    })

    it("compresses what does not get smaller, in one piece and in slices", () => {
      const bytes = noise(1_000_000)
      for (const level of [1, 6, 9]) {
        const deflate = compressor({ level })
        const whole = deflate.push(bytes, true)
        assert.deepStrictEqual(once(whole), bytes)
        assert.isBelow(whole.length, bytes.length * 1.001)
        deflate.reset()
        const size = codec.sliceSize(level)
        const slices = split(bytes, [size])
        const sent = slices.map((slice, i) => deflate.push(slice, i === slices.length - 1))
        assert.deepStrictEqual(once(...sent), bytes)
        deflate.close()
      }
    })

    it("gives all of what fills a step, at the end of its input too", () => {
      const deflate = compressor()
      for (let size = 64 * 1024 - 1; size < 64 * 1024 + 300; size++) {
        const zeros = new Uint8Array(size)
        deflate.reset()
        assert.deepStrictEqual(once(deflate.push(zeros, true)), zeros)
      }
      deflate.close()
    })

    it("counts the bytes of a context as they were measured", () => {
      const size = (windowBits: number, memLevel: number) =>
        Math.round(codec.compressorBytes({ windowBits, memLevel, level: 6 }) / 1024)
      assert.deepStrictEqual([size(15, 8), size(15, 1), size(13, 6), size(9, 1)], [268, 205, 124, 79])
      const inflating = [15, 14, 9].map((windowBits) => codec.decompressorBytes({ windowBits }) / 1024)
      assert.deepStrictEqual(inflating, [46, 30, 14.5])
    })
  })

  describe(`PerMessageDeflate on Node, ${how}`, () => {
    const bits = Schema.Literals([9, 10, 12, 15])
    const options = Schema.Struct({
      level: Schema.Literals([1, 4, 6, 9]),
      memLevel: Schema.Literals([1, 8, 9]),
      windowBits: Schema.Struct({ own: bits, peer: bits }),
      noContextTakeover: Schema.Struct({ own: Schema.Boolean, peer: Schema.Boolean })
    })
    const step = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 700 }))
    const part = Schema.Tuple([Schema.Boolean, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })), step])
    const message = Schema.Struct({
      fromClient: Schema.Boolean,
      compressed: Schema.Boolean,
      // made of repeated and of random parts
      parts: Schema.Array(part).check(Schema.isMaxLength(5))
    })

    it.prop("any split of any messages arrives, compressed or not, under any agreement", {
      client: Arbitrary.schema(options),
      server: Arbitrary.schema(options),
      messages: Arbitrary.array(Arbitrary.schema(message), { maxLength: 12 }),
      steps: Arbitrary.array(Arbitrary.schema(step), { minLength: 1, maxLength: 4 })
    }, ({ client, messages, server, steps }) => {
      let compressed = true
      const compress = () => compressed
      const { budget, ...sides } = pair({ ...client, compress }, { ...server, compress })
      for (const message of messages) {
        const bytes = new Uint8Array(
          Buffer.concat(message.parts.map(([even, seed, size]) => even ? new Uint8Array(size) : noise(size, seed)))
        )
        compressed = message.compressed
        const [from, to] = message.fromClient ? [sides.client, sides.server] : [sides.server, sides.client]
        assert.deepStrictEqual(carry(from, to, bytes, steps), bytes)
      }
      sides.client.close()
      sides.server.close()
      // what is left waits to be borrowed
      if (!client.noContextTakeover.own && !server.noContextTakeover.peer && !client.noContextTakeover.peer &&
        !server.noContextTakeover.own) assert.deepStrictEqual([budget.contexts, budget.bytes], [0, 0])
    })

    it("keeps its window across messages that are not compressed", () => {
      const { client, server } = pair({}, { threshold: 100 })
      const long = noise(200)
      assert.deepStrictEqual(carry(server, client, long, [1000]), long)
      assert.strictEqual(server.encoder.begin(hello), 0)
      server.encoder.begin(long)
      const again = server.encoder.push(long, true)
      assert.isBelow(again.length, 40)
      client.decoder.begin(4)
      assert.deepStrictEqual(inflate(client.decoder, again), long)
      client.close()
      server.close()
    })

    it("sends what a peer can inflate although its compressor was taken away in between", () => {
      // room for two that are kept and a shared one
      const budget = CompressionBudget.make({ bytes: 1000 * 1024 })
      const extension = PerMessageDeflate.make(codec, budget, { threshold: 0 })
      const sides = [0, 1, 2].map(() => ({
        near: extension.answer({ name: extension.name, params: [] })!.open(),
        peer: codec.decompressor({ windowBits: 15 })
      }))
      const sizes = sides.map((): Array<number> => [])
      for (let i = 0; i < 400; i++) {
        for (const [k, { near, peer }] of sides.entries()) {
          // the first two get contexts, and then hardly use them
          if (k < 2 && i % 399 > 1) continue
          const message = bytesOf("a message that is the same each time")
          near.encoder.begin(message)
          const sent = near.encoder.push(message, true)
          sizes[k]!.push(sent.length)
          assert.deepStrictEqual(inflate(peer, sent), message)
        }
      }
      const [first, , third] = sizes
      assert.isBelow(first![1]!, 8)
      assert.isAbove(first!.at(-1)!, 30) // taken away
      assert.isAbove(third![1]!, 30)
      assert.isBelow(third!.at(-1)!, 8) // and given to the third
      for (const { near, peer } of sides) {
        near.close()
        peer.close()
      }
    })
  })
}
