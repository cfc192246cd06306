import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as CompressionBudget from "../src/CompressionBudget.ts"
import * as PerMessageDeflate from "../src/PerMessageDeflate.ts"
import { fakeCodec, offer, setup, write } from "./support/FakeCodec.ts"

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
