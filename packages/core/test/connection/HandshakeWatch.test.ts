import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/connection/Deadlines.ts"
import { watch } from "../../src/connection/HandshakeWatch.ts"

const alarms = Effect.map(Deadlines.current, (deadlines) => deadlines["heap"].length)

describe("HandshakeWatch", () => {
  it.effect("a handler that does not answer in time expires", () =>
    Effect.gen(function*() {
      let expired = 0
      const fiber = yield* Effect.forkChild(watch(Effect.never, 10_000, () => expired++))
      yield* TestClock.adjust(9_999)
      assert.strictEqual(expired, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(expired, 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(expired, 1, "once")
      yield* Fiber.interrupt(fiber)
    }))

  for (const how of ["succeeds", "fails", "is interrupted"] as const) {
    it.effect(`one that ${how} leaves no alarm behind`, () =>
      Effect.gen(function*() {
        let expired = 0
        const done = yield* Deferred.make<string, string>()
        const fiber = yield* Effect.forkChild(watch(Deferred.await(done), 10_000, () => expired++))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* alarms, 1)
        if (how === "succeeds") yield* Deferred.succeed(done, "a")
        else if (how === "fails") yield* Deferred.fail(done, "b")
        else yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        if (how === "succeeds") assert.deepStrictEqual(exit, Exit.succeed("a"))
        else assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(yield* alarms, 0)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(expired, 0)
      }))
  }

  it.effect("Infinity turns it off", () =>
    Effect.gen(function*() {
      yield* Effect.forkChild(watch(Effect.never, Infinity, () => assert.fail()))
      yield* TestClock.adjust("10 days")
      assert.strictEqual(yield* alarms, 0)
    }))
})
