/** Beside `ws` and beside another inflater, for a moment, on the same inputs each time; see `npm run fuzz`. */
import { assert, describe, it } from "@effect/vitest"
import { fuzz } from "../../../core/test/fuzz/Fuzzer.ts"
import { fromHex, type Target, toHex } from "../../../core/test/fuzz/Target.ts"
import { cases } from "./cases.ts"
import { deflating } from "./deflating.ts"
import { wsReceiver } from "./wsReceiver.ts"

const bounded: ReadonlyArray<readonly [Target, number]> = [[wsReceiver, 3000], [deflating, 1000]]

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
})
