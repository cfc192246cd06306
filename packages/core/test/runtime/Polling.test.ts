import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/runtime/Deadlines.ts"
import { type Polled, pollingOf } from "../../src/runtime/Polling.ts"

describe("Polling", () => {
  it.effect("looks when it is time, again if asked to, and stops when there is nothing", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.current
      const polling = pollingOf(deadlines)
      const polls: Array<string> = []
      const polled = (name: string, times: ReadonlyArray<number>): Polled => {
        let at = 0
        const one = {
          pollsAt: times[0]!,
          poll: () => {
            polls.push(`${name} ${deadlines.now()}`)
            const next = times[++at]
            if (next === undefined) return
            one.pollsAt = next
            polling.add(one)
          }
        }
        return one
      }
      polling.add(polled("a", [4, 8, 20]))
      polling.add(polled("b", [10]))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(polls, ["a 4", "a 8", "b 12", "a 20"])
      // Nothing wakes up for nothing.
      const after = vi.spyOn(deadlines, "after")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(after.mock.calls.length, 0)
      polling.add(polled("c", [0]))
      yield* TestClock.adjust(4)
      assert.lengthOf(polls, 5)
    }))
})
