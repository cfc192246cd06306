import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { Transform } from "../../src/MessageExtension.ts"
import { message, offer, open, send, setup, write } from "../support/FakeCodec.ts"

describe("CompressionBudget", () => {
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

  it("keeps nothing where nothing fits", () => {
    const { budget, extension, live } = setup({}, { bytes: 120 })
    const transform = open(extension)
    for (let i = 0; i < 3; i++) send(transform, message)
    assert.deepStrictEqual([live.compressors, budget.contexts, budget.bytes], [1, 2, 110])
    transform.close()
    assert.deepStrictEqual([live.compressors, budget.contexts, budget.bytes], [1, 1, 100], "a shared one waits")
  })

  it("keeps four contexts of a kind to be borrowed again, none while it is over its bounds", () => {
    const begun = (extension: Parameters<typeof open>[0], count: number) => {
      const transforms = Array.from({ length: count }, () =>
        open(extension, "; server_no_context_takeover; client_no_context_takeover"))
      for (const { encoder } of transforms) {
        encoder.begin(undefined)
        encoder.push(message, false)
      }
      return transforms
    }
    const plenty = setup()
    for (const transform of begun(plenty.extension, 6)) transform.encoder.push(message, true)
    assert.deepStrictEqual([plenty.live.compressors, plenty.budget.contexts, plenty.budget.bytes], [4, 4, 400])
    for (const limits of [{ bytes: 200 }, { contexts: 2 }]) {
      const { budget, extension, live } = setup({}, limits)
      for (const transform of begun(extension, 4)) transform.encoder.push(message, true)
      assert.deepStrictEqual([live.compressors, budget.contexts, budget.bytes], [2, 2, 200])
    }
  })

  it("has contexts of a kind for each set of options, and for each codec", () => {
    const { budget, codec } = setup()
    const kinds = [[9, 1, 1], [10, 1, 1], [9, 2, 1], [9, 1, 2], [15, 9, 9]]
      .map(([windowBits, level, memLevel]) => ({ windowBits: windowBits!, level: level!, memLevel: memLevel! }))
    const shelves = kinds.map((options) => budget.compressors(codec, options))
    assert.strictEqual(new Set(shelves).size, kinds.length)
    kinds.forEach((options, i) => assert.strictEqual(budget.compressors(codec, { ...options }), shelves[i]))
    const windows = [8, 15].map((windowBits) => budget.decompressors(codec, { windowBits }))
    assert.notStrictEqual(windows[0], windows[1])
    assert.strictEqual(budget.decompressors(codec, { windowBits: 15 }), windows[1])
    assert.notStrictEqual(budget.decompressors({ ...codec }, { windowBits: 15 }), windows[1])
    assert.deepStrictEqual([shelves[0]!.size, windows[0]!.size, budget.contexts], [100, 10, 0])
  })

  it("has room for 8,192 contexts and 256 MiB by default", () => {
    const { budget } = setup()
    assert.deepStrictEqual([budget.maxContexts, budget.maxBytes], [8192, 256 * 1024 * 1024])
    assert.deepStrictEqual([1, 7 / 8 * budget.maxBytes, 7 / 8 * budget.maxBytes + 1, budget.maxBytes, budget.maxBytes + 1]
      .map((size) => budget.room(size)), ["keep", "keep", "borrow", "borrow", "none"])
  })
})
