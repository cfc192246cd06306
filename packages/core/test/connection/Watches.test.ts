import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { done, isPending, make, start, turn } from "../support/Harness.ts"

const KiB = 1024

const idle = { idleTimeout: "60 seconds", keepAlive: false, messageProgress: { timeout: "1 hour" } } as const

describe("IdleWatch", () => {
  it.effect("a connection on which nothing is said is closed with 1001", () =>
    Effect.gen(function*() {
      const { close, said, transport, ws } = yield* make(idle)
      const reader = yield* start(Stream.runCollect(ws.messages))
      yield* TestClock.adjust(59_999)
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(said(), ["close 1001 idle"])
      transport.push(close(1001))
      assert.deepInclude(yield* ws.closed, { code: 1001, initiator: "local", clean: true })
      assert.deepStrictEqual(yield* Fiber.join(reader), [])
    }))

  it.effect("pings and pongs, ours and theirs, do not count", () =>
    Effect.gen(function*() {
      const { ping, pong, transport, said, ws } = yield* make({
        ...idle,
        keepAlive: { interval: "7 seconds", timeout: "7 seconds" }
      })
      for (let i = 0; i < 59; i++) {
        transport.push(ping("are you there"), pong("yes"))
        if (i % 10 === 0) yield* ws.sendPing()
        yield* TestClock.adjust("1 second")
      }
      assert.isFalse(said().some((one) => one.startsWith("close")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(said().at(-1), "close 1001 idle")
    }))

  for (const what of ["a message from the peer", "a part of one", "a message sent", "a part of one sent"] as const) {
    it.effect(`${what} puts it off, by no more than a quarter beyond the timeout`, () =>
      Effect.gen(function*() {
        const { said, text, transport, ws } = yield* make(idle)
        yield* TestClock.adjust("50 seconds")
        if (what === "a message from the peer") transport.push(text("x"))
        else if (what === "a part of one") transport.push(text("x", false))
        else if (what === "a message sent") yield* ws.send("x")
        else yield* start(ws.sendTextStream(Stream.concat(Stream.make("x"), Stream.never)))
        yield* TestClock.adjust("59 seconds")
        assert.isFalse(said().some((one) => one.startsWith("close")), "too early")
        yield* TestClock.adjust("16 seconds")
        assert.deepStrictEqual(said().at(-1), "close 1001 idle")
      }))
  }

  it.effect("a connection that is used goes on and on", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make(idle)
      yield* start(Stream.runDrain(ws.messages))
      for (let i = 0; i < 100; i++) {
        yield* TestClock.adjust("40 seconds")
        if (i % 2 === 0) transport.push(text("x"))
        else yield* ws.send("y")
      }
      assert.isFalse(said().some((one) => one.startsWith("close")))
    }))

  it.effect("while this side is too busy to read, the peer is not idle", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make({ ...idle, inboundHighWaterMark: 10, closeTimeout: "1 hour" })
      transport.push(text("x".repeat(20)))
      transport.push(text("waits"))
      assert.isTrue(transport.isPaused)
      const busy = yield* start(Stream.runForEach(ws.messages, () => Effect.never))
      transport.push(text("x".repeat(20)))
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(said(), [])
      yield* Fiber.interrupt(busy)
      yield* start(Stream.runDrain(ws.messages))
      yield* TestClock.adjust("75 seconds")
      assert.deepStrictEqual(said(), ["close 1001 idle"])
    }))

  it.effect("a peer that does not take what is sent is the stalled-write deadline's business", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ ...idle, stalledWriteTimeout: "10 minutes" })
      transport.holding = true
      yield* ws.send("x")
      yield* turn
      yield* TestClock.adjust("9 minutes")
      assert.isTrue(transport.isHeld)
      const closed = yield* start(ws.closed)
      assert.isTrue(isPending(closed))
      transport.release()
      yield* TestClock.adjust("75 seconds")
      assert.deepStrictEqual((yield* Effect.flip(ws.send("y")))._tag, "ConnectionClosed")
    }))

  it.effect("is off by default, and costs no alarm then or after the end", () =>
    Effect.gen(function*() {
      const off = yield* make({ keepAlive: false })
      assert.strictEqual(off.alarms(), 0)
      yield* TestClock.adjust("10 days")
      assert.deepStrictEqual(off.said(), [])
      const on = yield* make(idle)
      assert.strictEqual(on.alarms(), 1)
      on.transport.closes()
      assert.strictEqual(on.alarms(), 0)
    }))
})

describe("StallWatch", () => {
  it.effect("breaks the connection after 30 s", () =>
    Effect.gen(function*() {
      const { alarms, transport, ws } = yield* make()
      const reading = yield* start(Effect.flip(Stream.runDrain(ws.messages)))
      transport.holding = true
      yield* ws.send("stuck")
      yield* turn
      const flushing = yield* start(Effect.flip(ws.flush))
      const large = yield* start(Effect.flip(ws.send(new Uint8Array(20 * KiB))))
      yield* TestClock.adjust(29_999)
      assert.isFalse(transport.isClosed)
      yield* TestClock.adjust(1)
      assert.isTrue(transport.isClosed)
      const expected = { _tag: "IOError", phase: "write", reason: "TimedOut" } as const
      assert.deepInclude(yield* done(reading), expected)
      assert.deepInclude(yield* done(flushing), expected)
      assert.deepInclude(yield* done(large), expected)
      assert.strictEqual(alarms(), 0)
    }))

  it.effect("progress extends it", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      let pending = 1000
      transport.pendingBytes = () => pending
      transport.holding = true
      yield* ws.send("x".repeat(1000))
      yield* turn
      for (let i = 0; i < 10; i++) {
        pending -= 10
        yield* TestClock.adjust("30 seconds")
        assert.isFalse(transport.isClosed)
      }
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(transport.isClosed)
    }))

  it.effect("each write has its own time", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ keepAlive: false })
      transport.holding = true
      for (let i = 0; i < 5; i++) {
        yield* ws.send("x")
        yield* turn
        yield* TestClock.adjust("29 seconds")
        assert.isTrue(transport.isHeld)
        transport.take()
      }
      yield* TestClock.adjust("1 hour")
      assert.isFalse(transport.isClosed)
    }))
})
