/** What it bounds is in the test of deflate/CompressionBudget. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CompressionBudget from "../src/CompressionBudget.ts"

describe("CompressionBudget", () => {
  it.effect("is one for the process, or one that a layer provides", () =>
    Effect.gen(function*() {
      const usual = yield* CompressionBudget.CurrentBudget
      assert.strictEqual(yield* CompressionBudget.CurrentBudget, usual)
      assert.deepStrictEqual([usual.maxContexts, usual.maxBytes], [8192, 256 * 1024 * 1024])
      const own = yield* CompressionBudget.CurrentBudget.pipe(
        Effect.provide(CompressionBudget.layer({ contexts: 3, bytes: 1000 }))
      )
      assert.deepStrictEqual([own.maxContexts, own.maxBytes, own.contexts, own.bytes], [3, 1000, 0, 0])
      assert.strictEqual(CompressionBudget.make().maxContexts, 8192)
      const part = CompressionBudget.make({ processes: 4 })
      assert.deepStrictEqual([part.maxContexts, part.maxBytes], [2048, 64 * 1024 * 1024])
    }))
})
