/** What is thrown where nobody can catch it: it is told, and keeps no other connection from its turn. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Alarm } from "../../src/runtime/Deadlines.ts"
import * as Deadlines from "../../src/runtime/Deadlines.ts"
import { type FannedOut, flushSoon } from "../../src/runtime/FanOuts.ts"
import { makeOnMessages } from "../support/FakeMessages.ts"
import { done, make, start } from "../support/Harness.ts"

/** The rejections that nobody handles, in place of the listeners of whoever runs the test. */
const unhandled = Effect.acquireRelease(
  Effect.sync(() => {
    const before = process.listeners("unhandledRejection")
    const seen: Array<unknown> = []
    process.removeAllListeners("unhandledRejection").on("unhandledRejection", (error) => seen.push(error))
    return { before, seen }
  }),
  ({ before }) =>
    Effect.sync(() => {
      process.removeAllListeners("unhandledRejection")
      for (const listener of before) process.on("unhandledRejection", listener)
    })
)

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

class Bell extends Alarm {
  private readonly ring: () => void

  constructor(ring: () => void) {
    super()
    this.ring = ring
  }

  override onAlarm(): void {
    this.ring()
  }
}

describe("what is thrown", () => {
  it.effect("by a transport's write keeps no other connection from its flush", () =>
    Effect.gen(function*() {
      const { seen } = yield* unhandled
      const defect = new Error("a transport that throws")
      const flushed: Array<number> = []
      const deadlines = yield* Deadlines.current
      const connection = (flush: () => void): FannedOut => ({ deadlines, isFannedOut: false, flush, flushNow: flush })
      flushSoon(connection(() => {
        throw defect
      }))
      flushSoon(connection(() => void flushed.push(1)))
      yield* turn
      flushSoon(connection(() => void flushed.push(2)))
      yield* turn
      assert.deepStrictEqual(flushed, [1, 2])
      assert.deepStrictEqual(seen, [defect])
    }))

  it.effect("nor any other of a fan-out", () =>
    Effect.gen(function*() {
      const { seen } = yield* unhandled
      const defect = new Error("a transport that throws")
      const flushed: Array<number> = []
      const deadlines = yield* Deadlines.current
      for (let i = 0; i < 100; i++) {
        const flush = () => {
          if (i % 50 === 10) throw defect
          flushed.push(i)
        }
        flushSoon({ deadlines, isFannedOut: false, flush, flushNow: flush })
      }
      for (let i = 0; i < 4; i++) yield* turn
      assert.strictEqual(flushed.length, 98)
      assert.deepStrictEqual(seen, [defect, defect])
    }))

  it.effect("at a deadline keeps no other from its own", () =>
    Effect.gen(function*() {
      const { seen } = yield* unhandled
      const defect = new Error("an end that throws")
      const deadlines = yield* Deadlines.current
      const rung: Array<string> = []
      const now = deadlines.now()
      deadlines.set(
        new Bell(() => {
          throw defect
        }),
        now + 1000
      )
      deadlines.set(new Bell(() => rung.push("the same time")), now + 1000)
      deadlines.set(new Bell(() => rung.push("later")), now + 2000)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rung, ["the same time"])
      yield* TestClock.adjust("1 second")
      deadlines.set(new Bell(() => rung.push("anew")), now + 3000)
      yield* TestClock.adjust("1 second")
      yield* turn
      assert.deepStrictEqual(rung, ["the same time", "later", "anew"])
      assert.deepStrictEqual(seen, [defect])
    }))

  it.effect("by a heartbeat's `isAnswer` loses no message", () =>
    Effect.gen(function*() {
      const { seen } = yield* unhandled
      const defect = new Error("no message of this kind")
      const isAnswer = () => {
        throw defect
      }
      const { transport, ws } = yield* makeOnMessages({ heartbeat: { message: "ping", isAnswer } })
      transport.push("message")
      assert.strictEqual(yield* ws.receive, "message")
      yield* turn
      assert.deepStrictEqual(seen, [defect])
    }))

  it.effect("by `closeCodeFor` closes the connection with 1011", () =>
    Effect.gen(function*() {
      const { seen } = yield* unhandled
      const defect = new Error("no code for this")
      const { said, scope, transport } = yield* make({
        closeCodeFor: () => {
          throw defect
        }
      })
      const closing = yield* start(Scope.close(scope, Exit.fail("x")))
      assert.deepStrictEqual(said(), ["close 1011"])
      transport.peerEnds()
      yield* turn
      yield* done(closing)
      assert.isTrue(transport.isClosed)
      assert.deepStrictEqual(seen, [defect])
    }))
})
