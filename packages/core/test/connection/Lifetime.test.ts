/** `WebSocket.whileConnected`: what runs while a connection is there, without a server around it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import { FiberLifetime, handledBy, makePolicy } from "../../src/connection/Lifetime.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { done, isPending, make, start, turn } from "../support/Harness.ts"

const counting = () => {
  const counts = { runs: 0, finalized: 0 }
  const job = Effect.acquireUseRelease(
    Effect.sync(() => counts.runs++),
    () => Effect.never,
    () => Effect.sync(() => counts.finalized++)
  )
  return { counts, job }
}

describe("whileConnected", () => {
  for (const role of ["client", "server"] as const) {
    it.effect(`${role}: a job ends at once when the connection breaks, and fails as a reader would`, () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ role })
        const { counts, job } = counting()
        const fiber = yield* start(job.pipe(WebSocket.whileConnected(ws)))
        assert.deepStrictEqual(counts, { runs: 1, finalized: 0 })
        transport.resets()
        yield* turn
        assert.deepInclude(yield* Effect.flip(done(fiber)), { _tag: "IOError", reason: "Reset" })
        assert.strictEqual(counts.finalized, 1)
      }))

    it.effect(`${role}: after a Close it fails with how the connection closed`, () =>
      Effect.gen(function*() {
        const { close, transport, ws } = yield* make({ role })
        const { job } = counting()
        const fiber = yield* start(WebSocket.whileConnected(job, ws))
        transport.push(close(4001, "enough"))
        yield* turn
        const error = yield* Effect.flip(done(fiber))
        assert.deepInclude(error._tag === "ConnectionClosed" ? error.info : {}, { code: 4001, reason: "enough" })
      }))
  }

  it.effect("an effect that ends by itself keeps its result, its failure, its interruption", () =>
    Effect.gen(function*() {
      const { ws } = yield* make()
      assert.strictEqual(yield* WebSocket.whileConnected(Effect.succeed(1), ws), 1)
      assert.strictEqual(yield* Effect.flip(WebSocket.whileConnected(Effect.fail("no"), ws)), "no")
      const interrupted = yield* Effect.exit(WebSocket.whileConnected(Effect.interrupt, ws))
      assert.isTrue(Exit.hasInterrupts(interrupted))
    }))

  it.effect("to interrupt it interrupts the effect and waits for its finalizers", () =>
    Effect.gen(function*() {
      const { ws } = yield* make()
      const { counts, job } = counting()
      const fiber = yield* start(WebSocket.whileConnected(job, ws))
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(counts.finalized, 1)
    }))

  it.effect("a handler of a connection that has ended already has no grace: it has read nothing", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      transport.resets()
      const fiber = yield* start(Effect.never)
      handledBy(ws as Connection, new FiberLifetime(makePolicy(undefined)!, fiber))
      yield* turn
      assert.isFalse(isPending(fiber))
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    }))

  it.effect("several hold one connection; those that have left are not interrupted", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      const jobs = [counting(), counting(), counting()]
      const fibers = yield* Effect.forEach(jobs, ({ job }) => start(WebSocket.whileConnected(job, ws)))
      yield* Fiber.interrupt(fibers[1]!)
      transport.resets()
      yield* turn
      assert.deepStrictEqual(jobs.map(({ counts }) => counts.finalized), [1, 1, 1])
      assert.deepInclude(yield* Effect.flip(done(fibers[0]!)), { _tag: "IOError" })
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fibers[1]!)))
    }))

  it.effect("on a connection that has ended already it begins, and ends at once", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      transport.resets()
      const { counts, job } = counting()
      const fiber = yield* start(WebSocket.whileConnected(job, ws))
      assert.deepInclude(yield* Effect.flip(done(fiber)), { _tag: "IOError" })
      assert.deepStrictEqual(counts, { runs: 1, finalized: 1 })
    }))

  it.effect("a reader reads all that had arrived, and then has the grace", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const read: Array<unknown> = []
      const slow = Stream.runForEach(ws.messages, (message) =>
        Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => read.push(message))))
      const fiber = yield* start(WebSocket.whileConnected(Effect.andThen(slow, Effect.never), ws))
      transport.push(text("1"), text("2"), text("3"), close(1000))
      yield* TestClock.adjust("3 minutes")
      yield* turn
      assert.deepStrictEqual(read, ["1", "2", "3"])
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(isPending(fiber))
      yield* TestClock.adjust("1 millis")
      yield* turn
      assert.strictEqual((yield* Effect.flip(done(fiber)))._tag, "ConnectionClosed")
    }))

  it.effect("a reader that takes one message at a time has the grace anew for each", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const read: Array<unknown> = []
      const next = Effect.flatMap(ws.receive, (message) => Effect.andThen(Effect.sync(() => read.push(message)), Effect.sleep("4 seconds")))
      const fiber = yield* start(WebSocket.whileConnected(Effect.forever(next), ws))
      transport.push(text("1"), text("2"), text("3"), close(1000))
      yield* TestClock.adjust("4 seconds")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(read, ["1", "2", "3"])
      yield* TestClock.adjust("3999 millis")
      assert.isTrue(isPending(fiber))
      yield* TestClock.adjust("1 millis")
      yield* turn
      assert.strictEqual((yield* Effect.flip(done(fiber)))._tag, "ConnectionClosed")
    }))

  it.effect("a reader that does not come back has the grace for each message that it was given last", () =>
    Effect.gen(function*() {
      const ways: ReadonlyArray<readonly [string, number, (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>]> = [
        ["by receive", 5000, (ws) => ws.receive],
        ["by a pull of three", 15_000, (ws) => ws.pull]
      ]
      for (const [how, grace, read] of ways) {
        const { close, text, transport, ws } = yield* make()
        transport.push(text("1"), text("2"), text("3"))
        const fiber = yield* start(WebSocket.whileConnected(Effect.andThen(read(ws), Effect.never), ws))
        transport.push(close(1000))
        yield* TestClock.adjust(grace - 1)
        assert.isTrue(isPending(fiber), how)
        yield* TestClock.adjust(1)
        yield* turn
        assert.isFalse(isPending(fiber), how)
      }
    }))

  it.effect("after a loss, too, one that takes a message at a time has the grace anew for each", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      let read = 0
      const next = Effect.andThen(Effect.tap(ws.receive, () => Effect.sync(() => read++)), Effect.sleep("4 seconds"))
      const fiber = yield* start(WebSocket.whileConnected(Effect.andThen(next, Effect.andThen(next, next)), ws))
      transport.push(text("1"), text("2"), text("3"))
      yield* turn
      transport.resets()
      for (let i = 1; i <= 3; i++) {
        assert.strictEqual(read, i)
        yield* TestClock.adjust("4 seconds")
      }
      yield* done(fiber)
    }))

  it.effect("one that has read the end gains no time by asking again", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      const asking = Effect.forever(Effect.andThen(Effect.ignore(ws.receive), Effect.sleep("2 seconds")))
      const fiber = yield* start(WebSocket.whileConnected(asking, ws))
      transport.push(close(1000))
      yield* turn
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(isPending(fiber))
      yield* TestClock.adjust("1 second")
      yield* turn
      assert.isFalse(isPending(fiber))
    }))

  it.effect("after a loss one that reads no more has the grace only where it took some messages and left others", () =>
    Effect.gen(function*() {
      for (const [taken, sent, grace] of [[0, 2, 0], [1, 2, 5000], [2, 2, 0]] as const) {
        const { text, transport, ws } = yield* make()
        for (let i = 0; i < sent; i++) transport.push(text(`${i}`))
        const some = Stream.runDrain(Stream.take(ws.messages, taken))
        const fiber = yield* start(WebSocket.whileConnected(Effect.andThen(taken === 0 ? Effect.void : some, Effect.never), ws))
        transport.resets()
        yield* turn
        if (grace > 0) yield* TestClock.adjust(grace - 1)
        assert.strictEqual(isPending(fiber), grace > 0, `${taken} of ${sent}`)
        yield* TestClock.adjust(grace > 0 ? 1 : 0)
        yield* turn
        assert.isFalse(isPending(fiber), `${taken} of ${sent}`)
      }
    }))

  it.effect("one whose stream has stopped before the rest has the grace from then", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const first = Stream.runForEach(Stream.take(ws.messages, 1), () => Effect.sleep("1 minute"))
      const fiber = yield* start(WebSocket.whileConnected(Effect.andThen(first, Effect.never), ws))
      transport.push(text("1"), text("2"), close(1000))
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(isPending(fiber))
      yield* TestClock.adjust("1 millis")
      yield* turn
      assert.strictEqual((yield* Effect.flip(done(fiber)))._tag, "ConnectionClosed")
    }))

  it.effect("onDisconnect changes that", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      const reader = Effect.andThen(Effect.ignore(Stream.runDrain(ws.messages)), Effect.never)
      const { job } = counting()
      const patient = yield* start(WebSocket.whileConnected(reader, ws, { onDisconnect: { grace: "1 hour" } }))
      const ignoring = yield* start(job.pipe(WebSocket.whileConnected(ws, { onDisconnect: "ignore" })))
      transport.resets()
      yield* TestClock.adjust("59 minutes")
      assert.isTrue(isPending(patient))
      yield* TestClock.adjust("1 minute")
      yield* turn
      yield* Effect.flip(done(patient))
      assert.isTrue(isPending(ignoring))
      yield* Fiber.interrupt(ignoring)
    }))

  it.effect("after a Close of this side the effect has the grace, and after that of the scope, too", () =>
    Effect.gen(function*() {
      for (const byScope of [false, true]) {
        const { close, scope, transport, ws } = yield* make()
        const { job } = counting()
        const fiber = yield* start(WebSocket.whileConnected(job, ws))
        yield* start(byScope ? Scope.close(scope, Exit.void) : ws.close(1000))
        transport.push(close(1000))
        yield* TestClock.adjust("4999 millis")
        assert.isTrue(isPending(fiber))
        yield* TestClock.adjust("1 millis")
        yield* turn
        yield* Effect.flip(done(fiber))
      }
    }))

  it.effect("a connection of another kind tells by `closed`", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      const other: WebSocket.WebSocket = Object.create(null, {
        [WebSocket.TypeId]: { value: WebSocket.TypeId },
        closed: { value: ws.closed }
      })
      const { counts, job } = counting()
      const fiber = yield* start(WebSocket.whileConnected(job, other))
      transport.resets()
      yield* turn
      assert.strictEqual((yield* Effect.flip(done(fiber)))._tag, "ConnectionClosed")
      assert.strictEqual(counts.finalized, 1)
    }))

  it.effect("one that is interrupted at once does not wait for the reader to come to the end", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const impatient = yield* start(WebSocket.whileConnected(counting().job, ws, { onDisconnect: "interrupt" }))
      const patient = yield* start(WebSocket.whileConnected(counting().job, ws))
      transport.push(text("unread"), close(1000))
      yield* turn
      assert.strictEqual((yield* Effect.flip(done(impatient)))._tag, "ConnectionClosed")
      assert.isTrue(isPending(patient))
      assert.strictEqual(yield* ws.receive, "unread")
      yield* Fiber.interrupt(patient)
    }))

  it.effect("those that have left leave nothing behind and take no other with them, in whatever order they leave", () =>
    Effect.gen(function*() {
      for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
        for (let left = 1; left <= 3; left++) {
          const message = `${left} of ${order}`
          const { alarms, close, transport, ws } = yield* make({ keepAlive: false })
          const fibers = yield* Effect.forEach(order, () => start(WebSocket.whileConnected(Effect.never, ws)))
          for (const who of order.slice(0, left)) yield* Fiber.interrupt(fibers[who]!)
          yield* start(ws.close(1000))
          transport.push(close(1000))
          transport.closes()
          yield* turn
          assert.strictEqual(alarms(), 3 - left, message)
          yield* TestClock.adjust("5 seconds")
          yield* turn
          assert.isFalse(fibers.some(isPending), message)
        }
      }
    }))

  it.effect("an open connection has no alarm for it, and one whose holder has left none any more", () =>
    Effect.gen(function*() {
      const { alarms, transport, ws } = yield* make({ keepAlive: false })
      const reader = Effect.andThen(Effect.ignore(Stream.runDrain(ws.messages)), Effect.sleep("1 second"))
      const fiber = yield* start(WebSocket.whileConnected(reader, ws))
      assert.strictEqual(alarms(), 0)
      transport.resets()
      yield* turn
      assert.strictEqual(alarms(), 1)
      yield* TestClock.adjust("1 second")
      yield* done(fiber)
      assert.strictEqual(alarms(), 0)
    }))
})
