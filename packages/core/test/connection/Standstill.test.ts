import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import { concat } from "../support/FakeTransport.ts"
import { isPending, make, start, turn } from "../support/Harness.ts"

const KiB = 1024

/** A connection whose program reads nothing, above its mark. */
const standing = Effect.fnUntraced(function*(options: Parameters<typeof make>[0] = {}) {
  const open = yield* make({ inboundHighWaterMark: KiB, ...options })
  open.transport.push(open.binary(KiB))
  assert.isTrue(open.transport.isPaused)
  return open
})

describe("Standstill", () => {
  it.effect("looks for more once a second, and answers the Ping of a live peer", () =>
    Effect.gen(function*() {
      const { ping, said, transport } = yield* standing()
      transport.push(ping("there?"))
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(said(), ["pong there?"])
      assert.isTrue(transport.isPaused, "something arrived")
    }))

  it.effect("reads on until something arrives, so that the end is noticed at once", () =>
    Effect.gen(function*() {
      for (const end of ["close", "eof", "reset"] as const) {
        const { close, said, transport, ws } = yield* standing()
        const closing = yield* start(ws.closing)
        yield* TestClock.adjust("10 seconds")
        assert.isFalse(transport.isPaused)
        assert.isTrue(isPending(closing))
        if (end === "close") transport.push(close(1001))
        else if (end === "eof") transport.peerEnds()
        else transport.resets()
        yield* turn
        assert.isFalse(isPending(closing), end)
        // What had arrived is there; the Close is answered at the close deadline.
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(said(), end === "close" ? ["close 1001"] : [])
        assert.strictEqual((yield* ws.receive).length, KiB)
      }
    }))

  it.effect("a peer that vanished is noticed within the keepalive's time", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* standing()
      yield* TestClock.adjust("41 seconds")
      assert.isTrue(transport.isClosed)
      assert.deepInclude(yield* ws.closed, { code: 1006, clean: false })
    }))

  it.effect("sends a Ping every interval although no Pong is seen: that one cannot be written shows that the peer left", () =>
    Effect.gen(function*() {
      const { binary, said, transport } = yield* standing()
      for (let i = 0; i < 200; i++) transport.push(binary(100))
      for (let minute = 0; minute < 3; minute++) {
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(said(), ["ping 8", "ping 8"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(said(), ["ping 8"])
      }
      assert.isAbove(transport.waiting, 0)
      // A write that is not taken yet has the deadline of writes; no further one is added to it.
      transport.holding = true
      yield* TestClock.adjust("29 seconds")
      const written = transport.writes.length
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(transport.writes.length, written)
    }))

  it.effect("takes in up to the mark once more, and then as seldom as the keepalive pings", () =>
    Effect.gen(function*() {
      for (const [keepAlive, seconds] of [[undefined, 20], [false, 20], [{ interval: "5 seconds" }, 5]] as const) {
        const { binary, transport, ws } = yield* standing({ unreadTimeout: "1 hour", keepAlive })
        for (let i = 0; i < 200; i++) transport.push(binary(100))
        const { protocol } = (ws as Connection).link
        yield* TestClock.adjust("10 seconds")
        assert.isBelow(protocol.inbound.queuedBytes, 2 * KiB + 300)
        const before = transport.waiting
        assert.isAbove(before, 180)
        yield* TestClock.adjust(60 * seconds * 1000)
        assert.isAtMost(before - transport.waiting, 61)
        assert.isAtLeast(before - transport.waiting, 59)
      }
    }))

  it.effect("ends after unreadTimeout with 1011, and not while the reader takes something now and then", () =>
    Effect.gen(function*() {
      const never = yield* standing({ unreadTimeout: "1 minute", keepAlive: false })
      yield* TestClock.adjust(59_999)
      assert.deepStrictEqual(never.said(), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(never.said(), ["close 1011 messages are not read"])

      const slow = yield* standing({ unreadTimeout: "1 minute", keepAlive: false })
      slow.transport.push(concat(Array.from({ length: 50 }, () => slow.binary(KiB))))
      for (let i = 0; i < 50; i++) {
        yield* TestClock.adjust("50 seconds")
        yield* slow.ws.receive
      }
      assert.deepStrictEqual(slow.said(), [])
    }))

  it.effect("is over once all is read, also where this side looks", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* standing({ keepAlive: false })
      yield* TestClock.adjust("1 second")
      assert.isFalse(transport.isPaused, "it looks")
      yield* ws.receive
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(said(), [])
    }))

  it.effect("does not look where what waits is not decoded yet", () =>
    Effect.gen(function*() {
      const { binary, text, transport, ws } = yield* make({ maxMessageSize: KiB, unreadTimeout: "1 hour" })
      transport.push(binary(2 * KiB))
      transport.push(text("waits"))
      assert.isTrue(transport.isPaused)
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(transport.isPaused)
      assert.strictEqual(transport.waiting, 1)
      yield* Effect.flip(ws.receive)
    }))

  it.effect("drain reads and drops, for a program that only sends", () =>
    Effect.gen(function*() {
      const { close, ping, said, text, transport, ws } = yield* standing()
      const draining = yield* start(ws.drain)
      for (let i = 0; i < 100; i++) transport.push(text("x".repeat(100)))
      transport.push(ping("1"))
      yield* turn
      assert.isFalse(transport.isPaused)
      assert.deepStrictEqual(said(), ["pong 1"])
      transport.push(close(1000))
      yield* turn
      yield* Fiber.join(draining)
      assert.deepStrictEqual(said(), ["close 1000"])
      assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
    }))
})
