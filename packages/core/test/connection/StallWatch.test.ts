import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { done, make, start, turn } from "../support/Harness.ts"

const KiB = 1024

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
