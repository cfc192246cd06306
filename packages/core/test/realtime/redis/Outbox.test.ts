import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { CallFailed } from "../../../src/realtime/redis/Calls.ts"
import { Outbox } from "../../../src/realtime/redis/Outbox.ts"
import * as Deadlines from "../../../src/runtime/Deadlines.ts"

type Call = (args: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, CallFailed>

const make = (call: Call) =>
  Effect.gen(function*() {
    const calls: Array<ReadonlyArray<string>> = []
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const outbox = new Outbox({
      call: (_, args) => Effect.suspend(() => {
        calls.push(args)
        return call(args)
      }),
      fork: run,
      deadlines: yield* Deadlines.current,
      timeout: 1000
    })
    return { outbox, calls }
  })

const submit = (outbox: Outbox, ...args: ReadonlyArray<string>) =>
  Effect.forkChild(Effect.exit(outbox.submit({ keys: [], args, answers: args.length })), { startImmediately: true })

const echo: Call = (args) => Effect.succeed(["1.a", "7", ...args])
const turn = Effect.forEach([1, 2, 3], () => Effect.yieldNow, { discard: true })

const appliedOf = (exit: Exit.Exit<unknown, CallFailed>) =>
  Exit.match(exit, { onSuccess: () => "yes", onFailure: (cause) => (cause.reasons[0] as unknown as { error: CallFailed }).error.applied })

describe("Outbox", () => {
  it.effect("carries in one call what has come together while another was under way", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { calls, outbox } = yield* make((args) => Effect.andThen(Deferred.await(gate), echo(args)))
      const first = yield* submit(outbox, "a", "b")
      yield* turn
      const second = yield* submit(outbox, "c")
      const third = yield* submit(outbox)
      const fourth = yield* submit(outbox, "d", "e")
      yield* turn
      assert.deepStrictEqual(calls, [["a", "b"]])
      yield* Deferred.succeed(gate, undefined)
      const answers = yield* Effect.forEach([first, second, third, fourth], Fiber.join)
      assert.deepStrictEqual(answers, [Exit.succeed(["a", "b"]), Exit.succeed(["c"]), Exit.succeed([]), Exit.succeed(["d", "e"])])
      assert.deepStrictEqual(calls, [["a", "b"], ["c", "d", "e"]])
    }))

  it.effect("carries no more than 128 operations or 256 Ki characters in a call", () =>
    Effect.gen(function*() {
      const { calls, outbox } = yield* make(echo)
      const large = "x".repeat(200_000)
      const fibers = []
      for (let i = 0; i < 130; i++) fibers.push(yield* submit(outbox, `${i}`))
      for (let i = 0; i < 3; i++) fibers.push(yield* submit(outbox, large))
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(calls.map((call) => call.length), [128, 3, 1, 1])
      assert.deepStrictEqual(calls.flat().slice(0, 130), Array.from({ length: 130 }, (_, i) => `${i}`))
    }))

  it.effect("tells what was sent from what was not, where no answer comes in time", () =>
    Effect.gen(function*() {
      const { calls, outbox } = yield* make(() => Effect.never)
      const sent = yield* submit(outbox, "a")
      yield* turn
      const kept = yield* submit(outbox, "b")
      yield* TestClock.adjust(1000)
      assert.strictEqual(appliedOf(yield* Fiber.join(sent)), "unknown")
      assert.strictEqual(appliedOf(yield* Fiber.join(kept)), "no")
      assert.deepStrictEqual(calls, [["a"]])
    }))

  it.effect("does not send what its time or its caller has given up", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { calls, outbox } = yield* make((args) => Effect.andThen(Deferred.await(gate), echo(args)))
      yield* submit(outbox, "a")
      yield* turn
      const interrupted = yield* submit(outbox, "b")
      yield* submit(outbox, "c")
      yield* Fiber.interrupt(interrupted)
      yield* TestClock.adjust(1000)
      const late = yield* submit(outbox, "d")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(late)
      assert.deepStrictEqual(calls, [["a"], ["d"]])
    }))

  it.effect("hands a failure to all whom the call carried, and goes on", () =>
    Effect.gen(function*() {
      let fails = true
      const { outbox } = yield* make((args) => fails ? Effect.fail(new CallFailed("no", new Error("OOM"))) : echo(args))
      const [one, other] = [yield* submit(outbox, "a"), yield* submit(outbox, "b")]
      assert.strictEqual(appliedOf(yield* Fiber.join(one)), "no")
      assert.strictEqual(appliedOf(yield* Fiber.join(other)), "no")
      fails = false
      assert.deepStrictEqual(yield* Fiber.join(yield* submit(outbox, "c")), Exit.succeed(["c"]))
    }))

  it.effect("does not know what was done where the answer is too short", () =>
    Effect.gen(function*() {
      const { outbox } = yield* make(() => Effect.succeed(["1.a", "7", "a"]))
      const [one, other] = [yield* submit(outbox, "a"), yield* submit(outbox, "b")]
      assert.deepStrictEqual(yield* Fiber.join(one), Exit.succeed(["a"]))
      assert.strictEqual(appliedOf(yield* Fiber.join(other)), "unknown")
    }))

  it.effect("refuses what is too much, and everything once it is closed", () =>
    Effect.gen(function*() {
      const { outbox } = yield* make(() => Effect.never)
      yield* submit(outbox, "first")
      yield* turn
      const fibers = []
      for (let i = 0; i < 20_000; i++) fibers.push(yield* submit(outbox, "a"))
      assert.strictEqual(appliedOf(yield* Fiber.join(yield* submit(outbox, "b"))), "no")
      outbox.close()
      for (const fiber of fibers) assert.strictEqual(appliedOf(yield* Fiber.join(fiber)), "no")
      assert.strictEqual(appliedOf(yield* Fiber.join(yield* submit(outbox, "b"))), "no")
    }))
})
