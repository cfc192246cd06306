import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import * as Inspectable from "effect/Inspectable"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import type { Connection } from "../../src/connection/Connection.ts"
import { make, start, turn } from "../support/Harness.ts"

const texts = (...sent: ReadonlyArray<string>) => sent.map((text) => `text ${text}`)

describe("The messages of a connection", () => {
  it.effect("are a stream like any other", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const { messages } = ws
      assert.isTrue(Stream.isStream(messages))
      assert.isTrue(Channel.isChannel(messages.channel))
      assert.isTrue(Channel.isChannel(Stream.toChannel(messages)))
      const some = yield* start(messages.pipe(
        Stream.map((message) => `${message}!`),
        Stream.merge(Stream.make("mine")),
        Stream.take(3),
        Stream.runCollect
      ))
      transport.push(text("a"))
      transport.push(text("b"))
      assert.sameMembers([...yield* Fiber.join(some)], ["mine", "a!", "b!"])
      // The same once more: each run begins anew.
      const rest = yield* start(Stream.runCollect(messages))
      transport.push(text("c"))
      transport.push(close(1000))
      assert.deepStrictEqual([...yield* Fiber.join(rest)], ["c"])
    }))

  it.effect("fail in the pull of a second stream, not in its making", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const first = yield* start(Stream.runCollect(Stream.take(ws.messages, 1)))
      const second = yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* Stream.toPull(ws.messages)
        return yield* Effect.exit(pull)
      }))
      assert.isTrue(Exit.isFailure(second) && Cause.hasDies(second.cause))
      const third = yield* Effect.exit(Stream.runDrain(Stream.catchCause(ws.messages, () => Stream.empty)))
      assert.isTrue(Exit.isSuccess(third), "as any stream's failure it can be caught")
      transport.push(text("a"))
      assert.deepStrictEqual([...yield* Fiber.join(first)], ["a"])
    }))
})

describe("A connection as a sink", () => {
  it.effect("is one like any other", () =>
    Effect.gen(function*() {
      const { said, ws } = yield* make()
      const { sink } = ws
      assert.isTrue(Sink.isSink(sink))
      yield* Stream.run(Stream.make("a", "b"), sink)
      yield* Stream.run(Stream.make(1, 2), sink.pipe(Sink.mapInput((value: number) => String(value)), Sink.as("done")))
      yield* Stream.make("c").pipe(Stream.rechunk(1), Stream.run(sink))
      const { transform } = sink
      yield* Stream.run(Stream.make("d"), Sink.fromTransform(transform))
      yield* turn
      assert.deepStrictEqual(said(), texts("a", "b", "1", "2", "c", "d"))
    }))
})

it.effect("Neither shows what waits in the connection to who looks at it", () =>
  Effect.gen(function*() {
    const { text, transport, ws } = yield* make()
    transport.push(text("a secret"))
    assert.include(inspect((ws as Connection).link, { depth: 9 }), "secret")
    for (const end of [ws.messages, ws.sink]) {
      for (const shown of [inspect(end, { depth: 9, showHidden: true }), Inspectable.toStringUnknown(end), JSON.stringify(end)]) {
        assert.notInclude(shown, "secret")
      }
    }
  }))

it.effect("One connection's are told from another's", () =>
  Effect.gen(function*() {
    const [{ ws: a }, { ws: b }] = [yield* make(), yield* make()]
    for (const end of ["messages", "sink"] as const) {
      assert.isFalse(Equal.equals(a[end], b[end]))
      assert.strictEqual(HashSet.size(HashSet.make(...[a[end], b[end]] as Array<unknown>)), 2)
    }
  }))
