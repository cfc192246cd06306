import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redis from "effect/persistence/Redis"
import { TestClock } from "effect/testing"
import * as Calls from "../../../src/realtime/redis/Calls.ts"

const answering = (answer: Effect.Effect<unknown, Redis.RedisError>) =>
  Effect.map(
    Redis.make({
      send: <A>(command: string) => (command === "SCRIPT" ? Effect.succeed("sha") : answer) as Effect.Effect<A, Redis.RedisError>,
      subscribe: () => Effect.never,
      connect: Effect.never
    }),
    (redis) => Calls.call(redis, Calls.tops, ["k"], ["a"], 1000)
  )

const failing = (cause: unknown) => Effect.flatMap(answering(Effect.fail(new Redis.RedisError({ cause }))), Effect.flip)

describe("call", () => {
  it.effect("answers the strings of a script, and refuses anything else", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* yield* answering(Effect.succeed(["1.a", "7", "x"])), ["1.a", "7", "x"])
      for (const answer of [null, "OK", [], ["1.a"], ["1.a", 7], { 0: "1.a", 1: "7" }, new Map([["1.a", "7"]])]) {
        const failed = yield* Effect.flip(yield* answering(Effect.succeed(answer)))
        assert.strictEqual(failed.applied, "unknown")
      }
    }))

  it.effect("knows by which errors nothing was done", () =>
    Effect.gen(function*() {
      class ClientOfflineError extends Error {}
      const applied = (cause: unknown) => Effect.map(failing(cause), (failed) => failed.applied)
      for (
        const text of [
          "OOM command not allowed when used memory > 'maxmemory'.", "LOADING Redis is loading the dataset in memory",
          "READONLY You can't write against a read only replica.", "CLUSTERDOWN The cluster is down", "MISCONF Redis is configured to",
          "NOAUTH Authentication required.",
          "ERR Error running script (call to f_39): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."
        ]
      ) assert.strictEqual(yield* applied(new Error(text)), "no", text)
      assert.strictEqual(yield* applied(new ClientOfflineError("The client is offline")), "no")
      for (const cause of [new Error("Socket closed unexpectedly"), new Error("ERR something"), new Error("OOMPH"), new Error("ERR Error running script: -WRONGTYPE x"), "OOM", undefined]) {
        assert.strictEqual(yield* applied(cause), "unknown", String(cause))
      }
    }))

  it.effect("does not wait longer than its deadline", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.flip(yield* answering(Effect.never)))
      yield* TestClock.adjust(999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      const failed = yield* Fiber.join(fiber)
      assert.strictEqual(failed.applied, "unknown")
      assert.include(String(failed.cause), "within 1000 ms")
    }))
})
