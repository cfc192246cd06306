import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { message, offer, open, receive, send, setup } from "../support/FakeCodec.ts"

describe("DeflateTransform", () => {
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

  it("an encoder that compresses nothing has nothing to say", () => {
    const { extension } = setup()
    const { encoder } = Result.getOrThrow(extension.agree(offer("; client_max_window_bits=8"))).open()
    assert.strictEqual(encoder.sliceSize, Number.MAX_SAFE_INTEGER)
    assert.strictEqual(encoder.push(message, true).length, 0)
    assert.isUndefined(encoder.shareKey)
  })

  it("shares prepared messages among connections of the same options, where nothing is kept between messages", () => {
    const compress = () => true
    const key = (options: Parameters<typeof setup>[0], text = "; server_no_context_takeover") =>
      open(setup({ compress, ...options }).extension, text).encoder.shareKey
    assert.isUndefined(key({}, ""))
    const usual = key({})
    assert.isDefined(usual)
    assert.strictEqual(key({}), usual)
    const others = [
      key({ level: 9 }), key({ memLevel: 9 }), key({ threshold: 7 }), key({ compress: () => true }),
      key({}, "; server_no_context_takeover; server_max_window_bits=9")
    ]
    assert.strictEqual(new Set([usual, ...others]).size, 6)
  })

  it("nothing is called once it is closed, even in the middle of messages", () => {
    for (const text of ["", "; server_no_context_takeover; client_no_context_takeover"]) {
      const { budget, extension, live } = setup({ noContextTakeover: text === "" ? {} : { own: true, peer: true } })
      const transform = open(extension, text)
      transform.encoder.begin(undefined)
      transform.encoder.push(message, false)
      transform.decoder.begin(4)
      transform.decoder.push(message, false)
      transform.close()
      transform.decoder.push(message, true)
      assert.isUndefined(transform.decoder.next())
      assert.deepStrictEqual([live.compressors, live.decompressors, budget.contexts], [0, 0, 0])
    }
  })

  it("gives back what it borrowed with the end of a message, and nothing when it closes between two", () => {
    const { budget, extension } = setup({ noContextTakeover: { own: true, peer: true } })
    const transform = open(extension)
    send(transform, message)
    receive(transform, message)
    const { bytes, contexts } = budget
    transform.close()
    assert.deepStrictEqual([budget.contexts, budget.bytes], [contexts, bytes])
  })
})
