/**
 * Each target for a moment, on the same inputs each time; `npm run fuzz` goes on from there. What was found once is in
 * `cases`.
 */
import { assert, describe, it } from "@effect/vitest"
import { calling } from "./calling.ts"
import { cases } from "./cases.ts"
import { closing } from "./closing.ts"
import { failureOf, fuzz, inputOf, shrink } from "./Fuzzer.ts"
import { handshaking } from "./handshaking.ts"
import { Random } from "./Random.ts"
import { receiving } from "./receiving.ts"
import { topics } from "./topics.ts"
import { expect, Finding, fromHex, type Target, toHex } from "./Target.ts"

const bounded: ReadonlyArray<readonly [Target, number]> = [[receiving, 2000], [calling, 1500], [closing, 4000], [handshaking, 10_000], [topics, 500]]

describe("fuzz", () => {
  for (const [target, count] of bounded) {
    it(`${target.name}: ${count} inputs`, () => {
      const found = fuzz(target, { seed: 1, count })
      if (found !== undefined) assert.fail(`${toHex(found.input)}: ${String(found.error)}`)
    })
    for (const { hex, what } of cases[target.name] ?? []) {
      it(`${target.name}: ${what}`, () => target.run(fromHex(hex)))
    }
  }

  describe("the fuzzer itself", () => {
    // Wrong where a 7 is followed, at any distance, by a 9.
    const faulty: Target = {
      name: "faulty",
      generate: (random) => random.bytes(random.below(200)),
      run: (input) => {
        const seven = input.indexOf(7)
        expect(seven === -1 || input.indexOf(9, seven) === -1, () => "a 9 behind a 7")
      }
    }

    it("finds a fault and makes it small", () => {
      const found = fuzz(faulty, { seed: 1, count: 10_000 })
      assert.isDefined(found)
      assert.deepStrictEqual(Array.from(found.input), [7, 9])
      assert.instanceOf(found.error, Finding)
    })

    it("gives the same inputs for the same seed, and others for another", () => {
      const corpus = [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)]
      const inputs = (seed: number) => Array.from({ length: 50 }, (_, i) => toHex(inputOf(receiving, seed, i, corpus)))
      assert.deepStrictEqual(inputs(3), inputs(3))
      assert.notDeepEqual(inputs(3), inputs(4))
      assert.isAbove(new Set(inputs(3)).size, 45)
    })

    it("keeps what it cannot make smaller", () => {
      const input = Uint8Array.of(7, 9)
      assert.deepStrictEqual(shrink(faulty, failureOf(faulty, input)!).input, input)
    })

    it("draws every number in reach", () => {
      const random = new Random(5)
      assert.deepStrictEqual([...new Set(Array.from({ length: 500 }, () => random.below(10)))].toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    })
  })
})
