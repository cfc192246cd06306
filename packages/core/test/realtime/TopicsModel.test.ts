import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { model, type Options } from "../support/TopicsModel.ts"

const seeds = Array.from({ length: Number(process.env["TOPICS_SEEDS"] ?? 6) }, (_, i) => i + Number(process.env["TOPICS_SEED"] ?? 1))

const kinds: Readonly<Record<string, Omit<Options, "seed" | "steps">>> = {
  "brokers that work": {},
  "brokers that are slow": { faults: { delay: 200 } },
  "brokers that fail, lose and tell twice": { faults: { delay: 50, fail: 0.1, interrupt: 0.1, lose: 0.1, double: 0.1 } },
  "links that are slow and take little": { link: { chop: { min: 50, max: 500 }, delay: { min: 0, max: 30 }, capacity: 2000 }, faults: { delay: 30 } },
  "short histories": { history: { size: 4, timeToLive: 2000 }, faults: { delay: 50, lose: 0.05 } }
}

describe("topics on two servers that are cut, killed and started again", () => {
  for (const [kind, options] of Object.entries(kinds)) {
    it.effect(`with ${kind}: each stream is the log, or says where it is not; each publisher knows`, () =>
      Effect.gen(function*() {
        let acknowledged = 0
        for (const seed of seeds) {
          const outcome = yield* Effect.scoped(model({ ...options, seed, steps: 60 })).pipe(
            Random.withSeed(seed),
            Effect.tapCause((cause) => Effect.logError(`seed ${seed}`, cause))
          )
          acknowledged += outcome.acknowledged
        }
        assert.isAbove(acknowledged, 50 * seeds.length)
      }), 60_000)
  }
})
