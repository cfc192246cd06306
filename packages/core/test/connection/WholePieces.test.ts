import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { makeOnMessages as make } from "../support/FakeMessages.ts"
import { bytes, done, isPending, start, turn } from "../support/Harness.ts"

describe("WholePieces", () => {
  it.effect("fragments are collected and sent as one message; one that fails leaves nothing", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      yield* ws.sendTextStream(Stream.make("a", "\ud83d", "\ude00", "b"))
      const buffer = bytes(1)
      yield* ws.sendBinaryStream(Stream.make(buffer, bytes(2, 3)).pipe(Stream.tap(() => Effect.sync(() => buffer.fill(9)))))
      const failed = yield* Effect.exit(ws.sendTextStream(Stream.concat(Stream.make("lost"), Stream.fail("no"))))
      assert.isTrue(Exit.isFailure(failed))
      yield* ws.sendTextStream(Stream.make("c"))
      assert.deepStrictEqual(transport.said, ["a😀b", "binary 9 2 3", "c"])
      assert.isFalse((yield* Effect.sync(() => transport.isClosed)))
    }))

  it.effect("others go while its fragments are collected, and bytes may change in the meantime", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      const buffer = bytes(0)
      const pieces = Stream.make(1, 2, 3).pipe(Stream.rechunk(1), Stream.map((n) => (buffer.fill(n), buffer)))
      const going = Promise.withResolvers<void>()
      const held = Stream.concat(pieces, Stream.drain(Stream.fromEffect(Effect.promise(() => going.promise))))
      const sending = yield* start(ws.sendBinaryStream(held))
      yield* ws.send("other")
      assert.isTrue(ws.offerUnsafe("another"))
      yield* turn
      assert.isTrue(isPending(sending))
      going.resolve()
      yield* turn
      yield* done(sending)
      assert.deepStrictEqual(transport.said, ["other", "another", "binary 1 2 3"])
      assert.deepInclude(yield* ws.stats, { messagesSent: 3 })
    }))

  it.effect("it has its turn after those who wait already, and is nothing once it is interrupted", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ outboundHighWaterMark: 10 })
      transport.isHolding = true
      yield* ws.send("0123456789")
      const first = yield* start(ws.send("first"))
      const streamed = yield* start(ws.sendTextStream(Stream.make("st", "reamed")))
      const gone = yield* start(ws.sendTextStream(Stream.make("gone")))
      assert.isTrue(isPending(first) && isPending(streamed) && isPending(gone))
      yield* Fiber.interrupt(gone)
      transport.isHolding = false
      transport.drain(10)
      yield* TestClock.adjust(100)
      yield* done(first)
      yield* done(streamed)
      assert.deepStrictEqual(transport.said, ["0123456789", "first", "streamed"])
    }))

  it.effect("above the mark it waits for room, and fails where the connection closes instead", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ outboundHighWaterMark: 10 })
      transport.isHolding = true
      yield* ws.send("0123456789")
      const waiting = yield* start(ws.sendTextStream(Stream.make("a", "b")))
      assert.isTrue(isPending(waiting))
      transport.drain(10)
      transport.isHolding = false
      yield* turn
      yield* Effect.yieldNow
      const collecting = yield* start(Effect.flip(ws.sendTextStream(Stream.concat(Stream.make("c"), Stream.never))))
      transport.peerCloses(1000, "")
      yield* turn
      assert.strictEqual((yield* done(collecting))._tag, "ConnectionClosed")
      assert.notInclude(transport.said, "c")
    }))

  it.effect("a message that arrives is one piece, of its kind", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      transport.push("a", bytes(1))
      for (const [tag, piece] of [["Text", "a"], ["Binary", bytes(1)]] as const) {
        const { _tag, fragments } = yield* ws.receiveStream
        assert.strictEqual(_tag, tag)
        assert.deepStrictEqual<ReadonlyArray<string | Uint8Array>>(yield* Stream.runCollect<string | Uint8Array, unknown, never>(fragments), [piece])
      }
    }))
})
