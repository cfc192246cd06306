/**
 * How a connection ends inside two programs: each way to end it, by each role, to each kind of
 * peer, over a link in memory. What was accepted arrives, or whoever sent it is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as CloseCode from "../../src/CloseCode.ts"
import type { Connection } from "../../src/connection/Connection.ts"
import * as TestLink from "../../src/testing/TestLink.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { IOError } from "../../src/WebSocketError.ts"
import { done, isPending, make, start, turn } from "../support/Harness.ts"

const KiB = 1024
const part = (i: number) => `${i} ${"x".repeat(32 * KiB)}`

type Role = "client" | "server"
const other = (role: Role): Role => role === "client" ? "server" : "client"

/** Each way in which a program ends a connection, and the code that its peer sees. */
const ends: Readonly<Record<string, { readonly code: number; readonly end: (ws: WebSocket.WebSocket, scope: Scope.Closeable) => Effect.Effect<unknown> }>> = {
  "close": { code: 4000, end: (ws) => Effect.orDie(ws.close(4000, "done")) },
  "the scope's end": { code: 1000, end: (_, scope) => Scope.close(scope, Exit.void) },
  "a failure": { code: 1011, end: (_, scope) => Scope.close(scope, Exit.fail("no")) },
  "an interruption": { code: 1001, end: (_, scope) => Scope.close(scope, Exit.interrupt(1)) }
}

/** How the peer reads: how long it works on each message, after which it says something. */
const readers = {
  "at once": "0 millis",
  "slowly": "2 seconds",
  "with longer silences than closeTimeout": "7 seconds"
} as const

const opened = Effect.fnUntraced(function*(role: Role, options: TestLink.Options, limits: Partial<WebSocket.Options> = {}) {
  const link = yield* TestLink.make({ capacity: 64 * KiB, ...options })
  const scope = yield* Scope.make()
  const ws = yield* WebSocket.make(link[role], { ...limits, role }).pipe(Scope.provide(scope))
  const peer = yield* WebSocket.make(link[other(role)], { role: other(role) })
  return { link, peer, scope, ws }
})

describe("LinkClosing", () => {
  for (const role of ["client", "server"] as const) {
    for (const [how, { code, end }] of Object.entries(ends)) {
      for (const [pace, delay] of Object.entries(readers)) {
        it.effect(`a ${role} by ${how}, to a peer that reads ${pace}: everything arrives, then the Close`, () =>
          Effect.gen(function*() {
            const { peer, scope, ws } = yield* opened(role, { delay: "10 millis" })
            const count = 6
            const got: Array<unknown> = []
            const reading = yield* start(Stream.runForEach(peer.messages, (message) =>
              Effect.gen(function*() {
                got.push(message)
                yield* Effect.sleep(delay)
                yield* Effect.ignore(peer.send("ack"))
              })))
            for (let i = 0; i < count; i++) {
              const sending = yield* start(ws.send(part(i)))
              while (isPending(sending)) yield* TestClock.adjust("1 second")
            }
            const ending = yield* start(end(ws, scope))
            yield* TestClock.adjust("80 seconds")
            yield* done(ending)
            assert.deepStrictEqual(got, Array.from({ length: count }, (_, i) => part(i)))
            yield* done(reading)
            assert.deepInclude(yield* peer.closed, { code, initiator: "remote", clean: true })
            assert.deepInclude(yield* ws.closed, { code, initiator: "local" })
            // One that is silent for longer has not answered for as long as this side waited.
            if (pace !== "with longer silences than closeTimeout") assert.isTrue((yield* ws.closed).clean)
          }))
      }

      it.effect(`a ${role} by ${how}, to a peer that takes nothing: bounded, and told`, () =>
        Effect.gen(function*() {
          const { link, scope, ws } = yield* opened(role, {}, { stalledWriteTimeout: "20 seconds" })
          yield* link.stall(role)
          const sending = yield* start(Effect.exit(Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], (i) => ws.send(part(i)))))
          assert.isTrue(isPending(sending), "its peer takes nothing more")
          const ending = yield* start(end(ws, scope))
          yield* TestClock.adjust("5 seconds")
          yield* done(ending)
          assert.isTrue(Exit.isFailure(yield* done(sending)), "the sender is told")
          yield* TestClock.adjust("20 seconds")
          assert.deepInclude(yield* ws.closed, { clean: false })
        }))

      it.effect(`a ${role} by ${how}, on a link that is cut without a word: bounded, and told`, () =>
        Effect.gen(function*() {
          const { link, scope, ws } = yield* opened(role, {})
          yield* ws.send("into the void")
          yield* link.drop
          const ending = yield* start(end(ws, scope))
          yield* TestClock.adjust("5 seconds")
          yield* done(ending)
          assert.deepInclude(yield* ws.closed, { code, initiator: "local", clean: false })
          yield* TestClock.adjust("60 seconds")
          assert.isTrue(link.stats(role).isClosed, "the transport is released")
        }))
    }

    it.effect(`a ${role} that ends while its peer's messages wait unread drops those, and loses none of its own`, () =>
      Effect.gen(function*() {
        const { peer, scope, ws } = yield* opened(role, { delay: "1 millis" })
        yield* start(Effect.exit(Effect.forever(peer.send(part(0)))))
        yield* start(Effect.exit(Effect.forEach([1, 2, 3], (i) => ws.send(part(i)))))
        yield* TestClock.adjust("1 second")
        const ending = yield* start(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("1 second")
        const got = yield* start(Stream.runCollect(peer.messages))
        yield* TestClock.adjust("10 seconds")
        yield* done(ending)
        assert.isAtLeast((yield* done(got)).length, 1)
        assert.deepInclude(yield* peer.closed, { code: 1000, clean: true })
      }))

    it.effect(`a ${role} that flushed knows that everything was taken, and close returns once`, () =>
      Effect.gen(function*() {
        const { peer, ws } = yield* opened(role, {})
        const reading = yield* start(Stream.runCollect(peer.messages))
        yield* ws.sendAll([part(1), part(2)])
        const flushing = yield* start(ws.flush)
        yield* TestClock.adjust("1 second")
        yield* done(flushing)
        const infos: Array<CloseCode.CloseInfo> = []
        const closers = yield* Effect.forEach([1, 2, 3], () => start(Effect.tap(ws.close(1000), (info) => Effect.sync(() => infos.push(info)))))
        yield* TestClock.adjust("1 second")
        for (const closer of closers) yield* done(closer)
        assert.strictEqual(infos.length, 3)
        for (const info of infos) assert.deepInclude(info, { code: 1000, clean: true, initiator: "local" })
        assert.strictEqual((yield* done(reading)).length, 2)
      }))
  }

  it.effect("close is bounded by one closeTimeout, whatever it waits for first", () =>
    Effect.gen(function*() {
      for (const waits of ["a streamed message", "a queue of senders", "the peer's answer"] as const) {
        const { transport, ws } = yield* make({ closeTimeout: "1 second", outboundHighWaterMark: 1 })
        if (waits === "a streamed message") {
          yield* start(Effect.exit(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never))))
        } else if (waits === "a queue of senders") {
          transport.holding = true
          yield* ws.send("first")
          yield* start(Effect.exit(ws.send("second")))
        }
        const closing = yield* start(ws.close(4000))
        yield* TestClock.adjust(999)
        assert.isTrue(isPending(closing), waits)
        yield* TestClock.adjust(1)
        assert.isFalse(isPending(closing), waits)
        assert.deepInclude(yield* done(closing), { clean: false })
      }
    }))

  it.effect("an interrupted close goes on closing", () =>
    Effect.gen(function*() {
      const { close, said, transport, ws } = yield* make()
      const streaming = yield* start(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.fromEffect(Effect.as(Effect.sleep("1 second"), "b")))))
      const closing = yield* start(ws.close(1000, "bye"))
      yield* Fiber.interrupt(closing)
      yield* TestClock.adjust("1 second")
      yield* done(streaming)
      assert.strictEqual(said().at(-1), "close 1000 bye")
      transport.push(close(1000))
      yield* turn
      assert.deepInclude(yield* ws.closed, { code: 1000, clean: true })
    }))

  it.effect("a program that drops the connection as soon as it is closed ends nothing that is gone", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closeTimeout: "1 second" })
      const info = { code: 1006, reason: "", initiator: "remote", clean: false } as const
      const dropping = yield* start(Effect.andThen(ws.closed, ws.closeAs(info)))
      const closing = yield* start(ws.close(1000))
      yield* TestClock.adjust("1 second")
      for (const fiber of [closing, dropping]) assert.deepInclude(yield* done(fiber), { initiator: "local", clean: false })
      assert.isTrue(transport.isDestroyed)
      assert.isFalse(transport.isEnded)
    }))

  it.effect("what has ended stays as it ended, whatever its program does then", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      yield* ws.send("taken")
      const closing = yield* start(ws.close(1000))
      transport.push(close(1000))
      transport.closes()
      const info = yield* done(closing)
      assert.deepInclude(info, { code: 1000, clean: true })
      assert.deepStrictEqual(yield* ws.closeAs({ code: 1006, reason: "", initiator: "remote", clean: false }), info)
      yield* ws.flush
    }))

  it.effect("a Close that is read after the transport is gone is not answered: nothing waits to be sent", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      transport.push(text("unread"), close(1000, "bye"))
      transport.closes()
      assert.strictEqual(yield* ws.receive, "unread")
      assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ConnectionClosed" })
      assert.strictEqual((yield* ws.stats).bytesUnsent, 0)
      assert.deepInclude(yield* ws.closed, { code: 1000, reason: "bye", initiator: "remote", clean: false })
    }))

  it.effect("a Close that is read after the connection broke is not answered, though its transport is not yet closed", () =>
    Effect.gen(function*() {
      const { close, deadlines, text, transport, ws } = yield* make({ closesLater: true, closeTimeout: "1 second" })
      transport.push(text("unread"), close(4000, "bye"))
      const cut = { code: 1006, reason: "", initiator: "remote", clean: false } as const
      yield* start(ws.closeAs(cut))
      assert.isTrue(transport.isDestroyed)
      assert.isFalse(transport.isClosed)
      assert.strictEqual(yield* ws.receive, "unread")
      yield* Effect.flip(ws.receive)
      assert.strictEqual((yield* ws.stats).bytesUnsent, 0)
      assert.strictEqual(transport.written.length, 0)
      yield* TestClock.adjust("10 seconds")
      transport.closes()
      assert.strictEqual((yield* ws.stats).bytesUnsent, 0)
      assert.strictEqual(deadlines["heap"].length, 0)
    }))

  it.effect("a Close that is taken late is waited for no longer than one that is taken at once", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closeTimeout: "1 second", closeLimit: "1 minute", stalledWriteTimeout: "2 minutes" })
      transport.holding = true
      yield* ws.send("first")
      yield* turn
      const closing = yield* start(ws.close(4000))
      yield* TestClock.adjust("10 seconds")
      yield* done(closing)
      assert.isFalse(transport.isEnded)
      transport.release()
      yield* TestClock.adjust("1 second")
      assert.isTrue(transport.isEnded)
      assert.deepInclude((ws as Connection).link.broken, { phase: "close", reason: "TimedOut" })
    }))

  it.effect("a server has ended its stream when its reader learns of the peer's Close", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      let isEnded = false
      yield* start(Effect.andThen(ws.drain, Effect.sync(() => isEnded = transport.isEnded)))
      transport.push(close(1000))
      yield* turn
      assert.isTrue(isEnded)
    }))

  it.effect("one that the process need not stay for is dropped in time all the same", () =>
    Effect.gen(function*() {
      const { scope, transport, ws } = yield* make({ closeTimeout: "1 second", closeLimit: "10 seconds" })
      let isLeft = false
      Object.assign(transport, { unref: () => isLeft = true })
      const closing = yield* start(ws.close(1000))
      yield* TestClock.adjust("1 second")
      yield* done(closing)
      yield* done(yield* start(Scope.close(scope, Exit.void)))
      assert.isTrue(isLeft)
      yield* TestClock.adjust("8999 millis")
      assert.isFalse(transport.isDestroyed)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(transport.isDestroyed)
    }))

  it.effect("what is gone has no deadline any more, whatever comes to it late", () =>
    Effect.gen(function*() {
      const { alarms, transport, ws } = yield* make()
      yield* start(ws.close(1000))
      assert.isAbove(alarms(), 0)
      transport.closes()
      ;(ws as Connection).link.updateAlarm()
      assert.strictEqual(alarms(), 0)
    }))

  it.effect("what broke is gone once its transport says so", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closesLater: true })
      let gone = 0
      const { link } = ws as Connection
      link.once("gone", () => gone++)
      link.break(new IOError({ phase: "read", reason: "Reset", detail: "" }))
      assert.deepInclude(yield* ws.closed, { code: 1006 })
      assert.strictEqual(gone, 0)
      transport.closes()
      assert.strictEqual(gone, 1)
    }))

  it.effect("a loss behind a Close that was not answered in time does not change how it ended", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closesLater: true, closeTimeout: "1 second" })
      const { link } = ws as Connection
      const closing = yield* start(ws.close(4000))
      yield* TestClock.adjust("1 second")
      yield* done(closing)
      link.break(new IOError({ phase: "read", reason: "Reset", detail: "" }))
      assert.isTrue(transport.isDestroyed)
      assert.deepInclude(link.broken, { phase: "close", reason: "TimedOut" })
    }))

  it.effect("a Close that waited for a busy reader: the wait for the end of the peer's stream begins with the answer", () =>
    Effect.gen(function*() {
      const { close, said, text, transport, ws } = yield* make()
      transport.push(text("unread"), close(1000))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["unread"])
      assert.deepStrictEqual(said(), ["close 1000"])
      yield* TestClock.adjust(4999)
      assert.isFalse(transport.isDestroyed)
      yield* TestClock.adjust(1)
      assert.isTrue(transport.isDestroyed)
    }))

  it.effect("a reader that leaves messages does not answer the Close behind them", () =>
    Effect.gen(function*() {
      const { close, said, text, transport, ws } = yield* make()
      transport.push(text("read"), text("left"), close(1000))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ws.messages, 1)), ["read"])
      assert.deepStrictEqual(said(), [])
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ws.messages, 1)), ["left"])
      assert.deepStrictEqual(said(), ["close 1000"])
    }))

  it.effect("to close what is closed takes no time, though its transport is not closed yet", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      transport.push(close(4000))
      yield* turn
      assert.isFalse(transport.isClosed)
      assert.deepInclude(yield* done(yield* start(ws.close(1000))), { code: 4000, initiator: "remote" })
    }))

  it.effect("nor does it where the peer takes nothing for so long that nothing waits for it", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closeTimeout: "1 second", stalledWriteTimeout: "1 minute" })
      transport.holding = true
      yield* ws.send("stuck")
      yield* turn
      const first = yield* start(ws.close(4000))
      yield* TestClock.adjust("1 second")
      yield* done(first)
      assert.isFalse((ws as Connection).link.isClosed)
      yield* done(yield* start(ws.close(4000)))
    }))

  it.effect("a connection that broke while its Close waits for an answer is only dropped, and stays as it broke", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closesLater: true, closeTimeout: "1 second" })
      const closing = yield* start(ws.close(4000))
      const { link } = ws as Connection
      link.break(new IOError({ phase: "read", reason: "Reset", detail: "" }))
      yield* done(closing)
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(transport.isDestroyed)
      assert.isFalse(transport.isEnded)
      assert.deepInclude(link.broken, { phase: "read", reason: "Reset" })
      transport.closes()
      assert.deepInclude(yield* ws.closed, { code: 4000, clean: false })
    }))

  it.effect("a Close of this side, behind the end of the peer's stream: there is nothing to wait for", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make()
      transport.push(text("unread"))
      transport.peerEnds()
      const closing = yield* start(ws.close(4000))
      assert.deepInclude(yield* done(closing), { code: 4000, initiator: "local", clean: false })
      assert.deepStrictEqual(said(), ["close 4000"])
      assert.isTrue(transport.isDestroyed)
    }))

  it.effect("a peer whose stream ends while it takes this side's Close gets all of it", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make()
      const draining = yield* start(ws.drain)
      transport.holding = true
      yield* ws.send("first")
      yield* turn
      const closing = yield* start(ws.close(4000))
      transport.peerEnds()
      yield* turn
      assert.isFalse(transport.isDestroyed)
      transport.release()
      assert.deepInclude(yield* done(closing), { code: 4000, clean: false })
      yield* done(draining)
      assert.deepStrictEqual(said(), ["text first", "close 4000"])
      assert.isTrue(transport.isDestroyed)
    }))

  it.effect("an answer that finds the transport closed ends nothing", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      transport.write = () => {
        transport.closes()
        return true
      }
      transport.push(close(4000))
      assert.isFalse(transport.isEnded)
      assert.deepInclude(yield* ws.closed, { code: 4000, initiator: "remote", clean: false })
    }))

  it.effect("what is kept back for a slow peer goes before a Close that has waited for too long", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make({ closeTimeout: "1 second", outboundHighWaterMark: 10, slowConsumer: "dropOldest" })
      transport.holding = true
      yield* ws.send("in flight, above the mark")
      yield* turn
      yield* ws.send("kept")
      const closing = yield* start(ws.close(4000))
      assert.isTrue(isPending(closing))
      yield* TestClock.adjust("1 second")
      yield* done(closing)
      transport.release()
      yield* turn
      assert.deepStrictEqual(said(), ["text in flight, above the mark", "text kept", "close 4000"])
      assert.strictEqual(yield* ws.dropped, 0)
    }))

  it.effect("a reason that does not fit into a Close is left out, and its code is sent", () =>
    Effect.gen(function*() {
      for (const [reason, expected] of [["x".repeat(123), `close 4000 ${"x".repeat(123)}`], ["x".repeat(124), "close 4000"]] as const) {
        const { said, scope, transport } = yield* make({ closeCodeFor: () => ({ code: 4000, reason }) })
        const closing = yield* start(Scope.close(scope, Exit.fail("no")))
        assert.deepStrictEqual(said(), [expected])
        transport.peerEnds()
        yield* done(closing)
      }
    }))

  it.effect("of several Closes that wait for too long the first is sent", () =>
    Effect.gen(function*() {
      const { said, ws } = yield* make({ closeTimeout: "1 second" })
      yield* start(Effect.exit(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never))))
      const first = yield* start(ws.close(4000, "first"))
      yield* TestClock.adjust(500)
      const second = yield* start(ws.close(4001, "second"))
      assert.isTrue(isPending(first) && isPending(second))
      yield* TestClock.adjust(500)
      assert.strictEqual(said().at(-1), "close 4000 first")
      for (const closing of [first, second]) assert.deepInclude(yield* done(closing), { code: 4000, reason: "first" })
    }))

  it.effect("a server whose Close is answered ends its stream, and waits for the end of the peer's", () =>
    Effect.gen(function*() {
      for (const peer of ["ends", "stays"] as const) {
        const { close, scope, transport, ws } = yield* make({ closeTimeout: "1 second" })
        const releasing = yield* start(Scope.close(scope, Exit.void))
        transport.push(close(1000))
        yield* turn
        assert.isTrue(transport.isEnded)
        assert.isFalse(transport.isDestroyed)
        assert.isTrue(isPending(releasing))
        if (peer === "ends") transport.peerEnds()
        else yield* TestClock.adjust("1 second")
        assert.isTrue(transport.isDestroyed)
        yield* done(releasing)
        assert.isUndefined((ws as Connection).link.broken, "the handshake was done")
      }
    }))

  it.effect("a Close that is not answered in time breaks the connection, and comes too late after that", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make({ closeTimeout: "1 second", closeLimit: "1 minute" })
      const closing = yield* start(ws.close(4000))
      yield* TestClock.adjust("1 second")
      const info = yield* done(closing)
      assert.deepInclude(info, { code: 4000, clean: false })
      const { link } = ws as Connection
      assert.deepInclude(link.broken, { phase: "close", reason: "TimedOut" })
      assert.isTrue(transport.isEnded)
      transport.push(close(4000), text("even later"))
      yield* TestClock.adjust("58 seconds")
      assert.isFalse(transport.isDestroyed, "it is read and dropped until its stream ends")
      assert.strictEqual(transport.waiting, 0)
      yield* TestClock.adjust("1 second")
      assert.isTrue(transport.isDestroyed)
      assert.deepStrictEqual(yield* ws.closed, info)
    }))

  it.effect("a Close that is not taken at all breaks the connection", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closeTimeout: "1 second", closeLimit: "1 minute", stalledWriteTimeout: "2 minutes" })
      transport.holding = true
      yield* ws.send("first")
      yield* start(ws.close(4000))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(transport.isDestroyed)
      assert.deepInclude((ws as Connection).link.broken, { phase: "close", reason: "TimedOut" })
      assert.deepInclude(yield* ws.closed, { code: 4000, clean: false })
    }))

  it.effect("a peer that takes the last write slowly is waited for as long as it takes some of it", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ closeTimeout: "1 second" })
      let pending = 5
      transport.pendingBytes = () => pending
      transport.holding = true
      yield* start(ws.send("x".repeat(100)))
      const closing = yield* start(ws.close(1000))
      while (pending > 1) {
        pending--
        yield* TestClock.adjust("1 second")
        assert.isTrue(isPending(closing), `${pending} left`)
      }
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* done(closing), { clean: false })
    }))

  it.effect("what the peer says while it is waited for is read and dropped, and does not reset it", () =>
    Effect.gen(function*() {
      const { scope, text, transport } = yield* make()
      const closing = yield* start(Scope.close(scope, Exit.void))
      for (let i = 0; i < 30; i++) {
        transport.push(text("x".repeat(10 * KiB)))
        assert.strictEqual(transport.waiting, 0)
        yield* TestClock.adjust("1 second")
      }
      assert.isTrue(isPending(closing), "it shows signs of life")
      assert.isFalse(transport.isClosed)
      yield* TestClock.adjust("5 seconds")
      yield* done(closing)
      assert.isTrue(transport.isEnded)
      assert.isFalse(transport.isClosed)
      transport.push(text("still there"))
      transport.peerEnds()
      assert.isTrue(transport.isDestroyed)
    }))
})
