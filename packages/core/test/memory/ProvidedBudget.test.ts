import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ProvidedBudget } from "../../src/memory/ProvidedBudget.ts"
import * as MemoryBudget from "../../src/MemoryBudget.ts"

describe("ProvidedBudget", () => {
  it.effect("is the budget that the program provides, and not the process's own", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* ProvidedBudget)
      const [provided, current] = yield* Effect.all([ProvidedBudget, MemoryBudget.CurrentBudget]).pipe(
        Effect.provide(MemoryBudget.layer({ bytes: 1000 }))
      )
      assert.isDefined(provided)
      assert.strictEqual(provided, current)
    }))
})
