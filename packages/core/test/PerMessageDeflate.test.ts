import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Extension from "../src/Extension.ts"
import type { MessageExtension, Transform } from "../src/MessageExtension.ts"
import * as CompressionBudget from "../src/CompressionBudget.ts"
import * as PerMessageDeflate from "../src/PerMessageDeflate.ts"

/** A codec that compresses nothing and remembers what became of its contexts. */
const fakeCodec = () => {
  const log: Array<string> = []
  const live = { compressors: 0, decompressors: 0 }
  const codec: PerMessageDeflate.Codec["Service"] = {
    available: true,
    compressor: ({ level, memLevel, windowBits }) => {
      live.compressors++
      log.push(`compressor ${windowBits} ${level} ${memLevel}`)
      let open = true
      return {
        push: (bytes) => {
          assert.isTrue(open)
          return bytes.slice()
        },
        reset: () => void log.push("reset"),
        close: () => {
          assert.isTrue(open)
          open = false
          live.compressors--
        }
      }
    },
    compressorBytes: () => 100,
    decompressor: ({ windowBits }) => {
      live.decompressors++
      log.push(`decompressor ${windowBits}`)
      let pushed: Uint8Array | undefined
      let open = true
      return {
        push: (bytes) => {
          assert.isTrue(open)
          pushed = bytes
        },
        next: () => {
          const out = pushed?.slice()
          pushed = undefined
          return out
        },
        reset: () => void log.push("reset inflate"),
        close: () => {
          assert.isTrue(open)
          open = false
          live.decompressors--
        }
      }
    },
    decompressorBytes: () => 10,
    sliceSize: (level) => level * 1000
  }
  return { codec, log, live }
}

const setup = (options: PerMessageDeflate.Options = {}, limits?: CompressionBudget.Options) => {
  const fake = fakeCodec()
  const budget = CompressionBudget.make(limits)
  return { ...fake, budget, extension: PerMessageDeflate.make(fake.codec, budget, { threshold: 0, ...options }) }
}

const offer = (text = ""): Extension.ExtensionHeader =>
  Result.getOrThrow(Extension.parse([`permessage-deflate${text}`]))[0]!

const write = (params: ReadonlyArray<Extension.ExtensionParam>): string =>
  Result.getOrThrow(Extension.format([{ name: "d", params }]))

const open = (extension: MessageExtension, text?: string): Transform => extension.answer(offer(text))!.open()

const message = Uint8Array.of(1, 2, 3)

const send = (transform: Transform, ...parts: ReadonlyArray<Uint8Array>) => {
  assert.strictEqual(transform.encoder.begin(undefined), 4)
  return parts.map((part, i) => transform.encoder.push(part, i === parts.length - 1))
}

const receive = (transform: Transform, bytes: Uint8Array) => {
  transform.decoder.begin(4)
  transform.decoder.push(bytes, true)
  while (transform.decoder.next() !== undefined);
}

describe("PerMessageDeflate", () => {
  it("offers, answers and agrees by the rules of RFC 7692 §7.1", () => {
    const { extension } = setup({ windowBits: { own: 12, peer: 11 } })
    assert.strictEqual(extension.name, "permessage-deflate")
    assert.deepStrictEqual(extension.offers.map(write), ["d; server_max_window_bits=11; client_max_window_bits=12"])
    assert.isUndefined(extension.answer(offer()))
    assert.isUndefined(extension.answer(offer("; client_max_window_bits; x")))
    assert.strictEqual(
      write(extension.answer(offer("; client_max_window_bits"))!.params),
      "d; server_max_window_bits=12; client_max_window_bits=11"
    )
    assert.isTrue(Result.isFailure(extension.agree(offer())))
    assert.isTrue(Result.isSuccess(extension.agree(offer("; server_max_window_bits=11"))))
  })

  it("neither offers nor answers where the platform has no codec", () => {
    const { budget, codec } = setup()
    const extension = PerMessageDeflate.make({ ...codec, available: false }, budget)
    assert.deepStrictEqual(extension.offers, [])
    assert.isUndefined(extension.answer(offer()))
  })

  it("does not take options out of their range", () => {
    const { budget, codec } = setup()
    for (const options of [{ level: 0 }, { level: 10 }, { memLevel: 0 }, { windowBits: { own: 8 } }]) {
      assert.throws(() => PerMessageDeflate.make(codec, budget, options as PerMessageDeflate.Options), RangeError)
    }
  })

  it("makes contexts when they are first needed, with the agreed windows, and closes them", () => {
    const { budget, extension, live, log } = setup({ level: 7, memLevel: 5 })
    const transform = open(extension, "; server_max_window_bits=10; client_max_window_bits=12")
    assert.strictEqual(transform.rsv, 4)
    assert.strictEqual(transform.encoder.sliceSize, 7000)
    assert.deepStrictEqual(log, [])
    send(transform, message)
    receive(transform, message)
    send(transform, message)
    receive(transform, message)
    assert.deepStrictEqual(log, ["compressor 10 7 5", "decompressor 12"])
    assert.deepStrictEqual([budget.contexts, budget.bytes], [2, 110])
    transform.close()
    transform.close()
    assert.deepStrictEqual(live, { compressors: 0, decompressors: 0 })
    assert.deepStrictEqual([budget.contexts, budget.bytes], [0, 0])
  })

  it("compresses what reaches the threshold, in bytes, and is not kept out", () => {
    const { extension } = setup({ threshold: 6, compress: (message) => message !== "secrets" })
    const { encoder } = open(extension)
    assert.strictEqual(encoder.begin("12345"), 0)
    assert.strictEqual(encoder.begin("123456"), 4)
    assert.strictEqual(encoder.begin("ééé"), 4)
    assert.strictEqual(encoder.begin("éé"), 0)
    assert.strictEqual(encoder.begin(new Uint8Array(5)), 0)
    assert.strictEqual(encoder.begin(new Uint8Array(6)), 4)
    assert.strictEqual(encoder.begin("secrets"), 0)
    assert.strictEqual(encoder.begin(undefined), 4)
  })

  it("sends an empty message as 00, without a context", () => {
    const { extension, log } = setup()
    const empty = new Uint8Array(0)
    assert.deepStrictEqual(send(open(extension), empty), [Uint8Array.of(0)])
    assert.deepStrictEqual(send(open(extension), empty, empty), [empty, Uint8Array.of(0)])
    assert.deepStrictEqual(log, [])
  })

  it("borrows a context for each message where nothing is kept between them", () => {
    const { budget, extension, live, log } = setup({ noContextTakeover: { own: true, peer: true } })
    const transforms = [open(extension), open(extension), open(extension)]
    assert.strictEqual(budget.contexts, 0)
    for (const transform of transforms) {
      send(transform, message, message)
      receive(transform, message)
    }
    assert.deepStrictEqual(log.filter((line) => line.includes("compressor")), ["compressor 15 4 8", "decompressor 15"])
    assert.strictEqual(log.filter((line) => line === "reset").length, 3)
    assert.strictEqual(log.filter((line) => line === "reset inflate").length, 3)
    // in the middle of messages, and closed there
    for (const transform of transforms) {
      transform.encoder.begin(undefined)
      transform.encoder.push(message, false)
      transform.decoder.begin(4)
    }
    assert.strictEqual(budget.contexts, 6)
    for (const transform of transforms) transform.close()
    assert.deepStrictEqual(live, { compressors: 0, decompressors: 0 })
    assert.deepStrictEqual([budget.contexts, budget.bytes], [0, 0])
  })

  it("sends nothing compressed to a server that allows a window of 8 only", () => {
    const { budget, extension, log } = setup()
    const { decoder, encoder, close } = Result.getOrThrow(extension.agree(offer("; client_max_window_bits=8"))).open()
    assert.strictEqual(encoder.begin(new Uint8Array(10_000)), 0)
    decoder.begin(4)
    close()
    assert.deepStrictEqual(log, ["decompressor 15"])
    assert.strictEqual(budget.contexts, 0)
  })

  describe("Budget", () => {
    it("as it fills, has new peers forget their messages, then goes without compression", () => {
      const { budget, extension } = setup({}, { bytes: 80 })
      const seen: Array<string> = []
      const transforms: Array<Transform> = []
      for (let i = 0; i < 10; i++) {
        const answered = extension.answer(offer())
        seen.push(answered === undefined ? "declined" : write(answered.params))
        const offered = extension.offers[0]
        seen.push(offered === undefined ? "-" : write(offered))
        if (answered === undefined) break
        const transform = answered.open()
        transform.decoder.begin(4)
        transforms.push(transform)
      }
      assert.deepStrictEqual(seen, [
        ...Array.from({ length: 7 }, () => ["d", "d; client_max_window_bits"]).flat(),
        "d; client_no_context_takeover",
        "d; server_no_context_takeover; client_max_window_bits",
        "declined",
        "-"
      ])
      for (const transform of transforms) transform.close()
      assert.deepStrictEqual([budget.contexts, budget.bytes], [0, 0])
      assert.strictEqual(write(extension.answer(offer())!.params), "d")
    })

    it("counts contexts as well", () => {
      const { extension } = setup({}, { contexts: 2 })
      open(extension)
      assert.strictEqual(write(extension.answer(offer())!.params), "d; client_no_context_takeover")
      assert.isUndefined(setup({}, { contexts: 0 }).extension.answer(offer()))
    })

    it("a client does not insist on what it asked for the budget's sake, but promises nothing either", () => {
      const { extension } = setup({}, { contexts: 1 })
      assert.strictEqual(write(extension.offers[0]!), "d; server_no_context_takeover; client_max_window_bits")
      assert.isTrue(Result.isSuccess(extension.agree(offer())))
      const insisting = setup({ noContextTakeover: { peer: true } }).extension
      assert.isTrue(Result.isFailure(insisting.agree(offer())))
    })

    it("compresses each message by itself while there is no room to keep a context", () => {
      const { budget, extension, live } = setup({}, { bytes: 300 })
      const [a, b, c] = [open(extension), open(extension), open(extension)]
      send(a, message)
      assert.deepStrictEqual([live.compressors, budget.bytes], [1, 130])
      send(b, message)
      send(c, message)
      assert.deepStrictEqual([live.compressors, budget.bytes], [2, 230]) // one kept, one shared
      a.close()
      b.close()
      c.close()
      assert.strictEqual(budget.bytes, 100) // it waits to be borrowed
    })

    it("drops a compressor that was idle for long for one that is needed, never within a message", () => {
      const { budget, extension, live, log } = setup({}, { bytes: 500 })
      const [slow, idle, late] = [open(extension), open(extension), open(extension)]
      const busy = open(extension)
      const made = () => log.filter((line) => line.startsWith("compressor")).length
      slow.encoder.begin(undefined)
      slow.encoder.push(message, false)
      send(idle, message)
      send(busy, message)
      for (let i = 0; i < 20; i++) send(late, message)
      assert.deepStrictEqual([made(), live.compressors], [4, 4]) // three kept, one shared: nobody idles for long
      for (let i = 0; i < 200; i++) send(busy, message)
      for (let i = 0; i < 4; i++) send(late, message)
      assert.deepStrictEqual([made(), live.compressors], [4, 3]) // only idle's is gone: slow is within a message
      slow.encoder.push(message, true)
      for (let i = 0; i < 4; i++) send(late, message)
      assert.deepStrictEqual([made(), live.compressors], [5, 3]) // now slow's too, and late has one of its own
      send(slow, message)
      send(idle, message)
      assert.deepStrictEqual([made(), live.compressors], [5, 3]) // they go through the shared one
      for (const transform of [slow, idle, busy, late]) transform.close()
      assert.deepStrictEqual([live.compressors, budget.contexts], [1, 1])
    })

    it.effect("is one for the process unless another is provided", () =>
      Effect.gen(function*() {
        const { codec } = fakeCodec()
        const layer = Layer.succeed(PerMessageDeflate.Codec, codec)
        const usual = yield* PerMessageDeflate.extension().pipe(Effect.provide(layer))
        assert.strictEqual(usual.offers.length, 1)
        const none = yield* PerMessageDeflate.extension().pipe(
          Effect.provide([layer, CompressionBudget.layer({ bytes: 0 })])
        )
        assert.strictEqual(none.offers.length, 0)
      }))
  })
})
