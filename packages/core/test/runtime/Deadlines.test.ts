import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { Alarm, type Deadlines } from "../../src/runtime/Deadlines.ts"
import * as DeadlinesModule from "../../src/runtime/Deadlines.ts"

class Bell extends Alarm {
  readonly rings: Array<number> = []
  readonly name: number
  private readonly onRing: (bell: Bell, now: number) => void

  constructor(name: number, onRing: (bell: Bell, now: number) => void = () => {}) {
    super()
    this.name = name
    this.onRing = onRing
  }

  override onAlarm(now: number): void {
    this.rings.push(now)
    this.onRing(this, now)
  }
}

const isIdle = (deadlines: Deadlines): boolean => deadlines["heap"].length === 0 && deadlines["fiber"] === undefined

const millis = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("Deadlines", () => {
  it.effect("rings when it is due, not before", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const start = deadlines.now()
      const bell = new Bell(0)
      deadlines.set(bell, start + 1000)
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(bell.rings, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(bell.rings, [start + 1000])
      assert.isFalse(bell.isSet)
      yield* TestClock.adjust(100_000)
      assert.strictEqual(bell.rings.length, 1)
      assert.isTrue(isIdle(deadlines))
    }))

  it.effect("can be set earlier, later, again and not at all", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const start = deadlines.now()
      const [early, late, never, twice] = [new Bell(0), new Bell(1), new Bell(2), new Bell(3, (bell, now) => {
        if (bell.rings.length < 3) deadlines.set(bell, now + 100)
      })]
      deadlines.set(early, start + 1000)
      deadlines.set(early, start + 10)
      deadlines.set(late, start + 10)
      deadlines.set(late, start + 1000)
      deadlines.set(never, start + 10)
      deadlines.set(never, Infinity)
      deadlines.set(never, Infinity)
      deadlines.set(twice, start + 100)
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual(early.rings.map((at) => at - start), [10])
      assert.deepStrictEqual(late.rings.map((at) => at - start), [1000])
      assert.deepStrictEqual(never.rings, [])
      assert.deepStrictEqual(twice.rings.map((at) => at - start), [100, 200, 300])
      assert.isTrue(isIdle(deadlines))
    }))

  it.effect("what is overdue rings soon, but not within `set`", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const bell = new Bell(0)
      deadlines.set(bell, deadlines.now() - 5)
      assert.deepStrictEqual(bell.rings, [])
      yield* TestClock.adjust(0)
      assert.strictEqual(bell.rings.length, 1)
      assert.isTrue(isIdle(deadlines))
      // and the machinery works on
      deadlines.set(bell, deadlines.now())
      deadlines.set(bell, deadlines.now() + 10)
      yield* TestClock.adjust(9)
      assert.strictEqual(bell.rings.length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(bell.rings.length, 2)
    }))

  it.effect("no fiber is left when the last alarm is taken away", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const bells = Array.from({ length: 10 }, (_, i) => new Bell(i))
      for (const bell of bells) deadlines.set(bell, deadlines.now() + 100 + bell.name)
      assert.isFalse(isIdle(deadlines))
      for (const bell of bells) deadlines.set(bell, Infinity)
      assert.isTrue(isIdle(deadlines))
      yield* TestClock.adjust(1000)
      assert.isTrue(bells.every((bell) => bell.rings.length === 0 && bell.position === -1))
    }))

  it.effect("tells whole milliseconds from a small origin, and their fractions to those who measure", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2030, 1))
      const deadlines = yield* DeadlinesModule.current
      const start = deadlines.now()
      assert.isBelow(start, 1000)
      yield* TestClock.adjust("1500 micros")
      assert.strictEqual(deadlines.now(), start + 1)
      assert.strictEqual(deadlines.preciseNow(), start + 1.5)
    }))

  it.effect("each clock has its own", () =>
    Effect.gen(function*() {
      const one = yield* DeadlinesModule.current
      assert.strictEqual(yield* DeadlinesModule.current, one)
      const other = yield* DeadlinesModule.current.pipe(Effect.provide(TestClock.layer()))
      assert.notStrictEqual(other, one)
    }))

  it.effect("refuse what is set in another's heap, and lose nobody's place by it", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const others = yield* DeadlinesModule.current.pipe(Effect.provide(TestClock.layer()))
      const [own, stranger] = [new Bell(0), new Bell(1)]
      const start = deadlines.now()
      deadlines.set(own, start + 1000)
      others.set(stranger, others.now() + 1000)
      for (const due of [Infinity, start + 1, start + 2000]) {
        assert.throws(() => deadlines.set(stranger, due), "set in another heap")
      }
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual([own.rings, stranger.rings], [[start + 1000], []])
      assert.isTrue(stranger.isSet)
      others.set(stranger, Infinity)
      assert.isTrue(isIdle(others) && isIdle(deadlines))
    }))

  it.effect("sleeps by another timer once it is given one, and tells it which alarms are set", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const bell = new Bell(0)
      const seen: Array<string> = []
      const sleeper = (name: string) => ({
        sleep: (millis: number) => {
          seen.push(`${name} sleeps ${millis}`)
          return Effect.sleep(millis)
        },
        changed: (alarm: Alarm, by: number) => void seen.push(`${name} has ${by} ${alarm === bell}`)
      })
      deadlines.set(bell, deadlines.now() + 100)
      deadlines.sleepBy(sleeper("first"))
      deadlines.sleepBy(sleeper("second"))
      yield* TestClock.adjust(40)
      deadlines.set(bell, deadlines.now() + 10)
      yield* TestClock.adjust(10)
      assert.strictEqual(bell.rings.length, 1)
      deadlines.set(bell, deadlines.now() + 1)
      deadlines.set(bell, Infinity)
      assert.deepStrictEqual(seen, [
        "first has 1 true",
        "first sleeps 100",
        "first sleeps 10",
        "first has -1 true",
        "first has 1 true",
        "first sleeps 1",
        "first has -1 true"
      ])
      assert.isTrue(isIdle(deadlines))
    }))

  it.effect("keeps its heap in order, whatever is set and taken away", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const heap: ReadonlyArray<Alarm> = deadlines["heap"]
      const bells = Array.from({ length: 100 }, (_, i) => new Bell(i))
      let seed = 1
      const random = (below: number) => (seed = seed * 48271 % 2147483647) % below
      for (let i = 0; i < 5000; i++) {
        deadlines.set(bells[random(100)], random(3) === 0 ? Infinity : 1000 + random(1000))
        // Half a million comparisons: an assertion each would take seconds.
        const wrong = heap.findIndex((alarm, at) => alarm.position !== at || heap[Math.max(0, (at - 1) >> 1)].due > alarm.due)
        assert.strictEqual(wrong, -1)
      }
      for (const bell of bells) deadlines.set(bell, Infinity)
      assert.isTrue(isIdle(deadlines))
    }))

  it.effect.prop("agrees with a sorted list", {
    operations: Arbitrary.array(
      Arbitrary.schema(Schema.Struct({
        bell: millis(0, 9),
        after: Schema.Union([millis(-5, 300), Schema.Literal("never")]),
        wait: Schema.Union([Schema.Literal(0), millis(0, 80)]),
        again: millis(0, 50)
      })),
      { maxLength: 40 }
    )
  }, ({ operations }) =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      let again = 0
      const actual: Array<readonly [number, number]> = []
      const bells = Array.from({ length: 10 }, (_, i) =>
        new Bell(i, (bell, now) => {
          actual.push([now, bell.name])
          // Some ring a second time.
          if (bell.name % 3 === 0 && again > 0) deadlines.set(bell, now + again)
        }))
      // The model: when each rings.
      const due = new Map<number, number>()
      const expected: Array<readonly [number, number]> = []
      const advance = (to: number) => {
        for (;;) {
          const next = [...due].sort((a, b) => a[1] - b[1])[0]
          if (next === undefined || next[1] > to) return
          due.delete(next[0])
          const at = Math.max(next[1], current)
          current = at
          expected.push([at, next[0]])
          if (next[0] % 3 === 0 && again > 0) due.set(next[0], at + again)
        }
      }
      let current = deadlines.now()
      for (const operation of operations) {
        again = operation.again
        const at = operation.after === "never" ? Infinity : deadlines.now() + operation.after
        deadlines.set(bells[operation.bell], at)
        if (at === Infinity) due.delete(operation.bell)
        else due.set(operation.bell, at)
        if (operation.wait > 0) {
          const to = deadlines.now() + operation.wait
          yield* TestClock.adjust(operation.wait)
          advance(to)
          current = to
        }
      }
      again = 0
      yield* TestClock.adjust(1000)
      advance(Infinity)
      const sort = (list: Array<readonly [number, number]>) => list.sort((a, b) => a[0] - b[0] || a[1] - b[1])
      for (let i = 1; i < actual.length; i++) assert.isAtMost(actual[i - 1][0], actual[i][0])
      assert.deepStrictEqual(sort(actual), sort(expected))
      assert.isTrue(isIdle(deadlines))
    }))

  describe("after a blocked event loop", () => {
    /** A clock of which the test says what time it is when a sleep ends. */
    const make = () => {
      let now = 0
      let wake: (() => void) | undefined
      let wakesAt = 0
      const clock: Clock.Clock = {
        currentTimeMillisUnsafe: () => now,
        currentTimeMillis: Effect.sync(() => now),
        currentTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
        currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
        monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
        monotonicTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
        sleep: (duration) =>
          Effect.callback<void>((resume) => {
            wakesAt = now + Duration.toMillis(duration)
            wake = () => resume(Effect.void)
            return Effect.sync(() => {
              wake = undefined
            })
          })
      }
      const deadlines = new DeadlinesModule.Deadlines(clock, new Scheduler.MixedScheduler())
      /** The timer goes off, at whatever time that is; then the loop turns. */
      const wakeAt = (time: number) =>
        Effect.suspend(() => {
          now = time
          wake?.()
          return Effect.repeat(Effect.yieldNow, { times: 3 })
        })
      return { deadlines, wakeAt, wakesAt: () => wakesAt }
    }

    it.effect("what is due is held for as long as the wake-up was late", () =>
      Effect.gen(function*() {
        const { deadlines, wakeAt } = make()
        const bell = new Bell(0)
        deadlines.set(bell, 300)
        yield* wakeAt(601)
        assert.deepStrictEqual(bell.rings, [])
        yield* wakeAt(902)
        assert.deepStrictEqual(bell.rings, [902])
        assert.isTrue(isIdle(deadlines))
      }))

    it.effect("what is set anew by the I/O that is read meanwhile does not ring", () =>
      Effect.gen(function*() {
        const { deadlines, wakeAt } = make()
        const [answered, silent, other] = [new Bell(0), new Bell(1), new Bell(2)]
        deadlines.set(answered, 300)
        deadlines.set(silent, 310)
        yield* wakeAt(350)
        deadlines.set(answered, 10_000)
        // Others that are set meanwhile do not end the hold.
        deadlines.set(other, 360)
        yield* Effect.repeat(Effect.yieldNow, { times: 3 })
        assert.deepStrictEqual(silent.rings, [])
        yield* wakeAt(450)
        assert.deepStrictEqual([answered.rings, silent.rings, other.rings], [[], [450], [450]])
        deadlines.set(answered, Infinity)
        assert.isTrue(isIdle(deadlines))
      }))

    it.effect("a timer that is late by a few milliseconds rings", () =>
      Effect.gen(function*() {
        const { deadlines, wakeAt } = make()
        const bell = new Bell(0)
        deadlines.set(bell, 300)
        yield* wakeAt(303)
        assert.deepStrictEqual(bell.rings, [303])
      }))

    it.effect("a loop that is always late holds what is due for five seconds at most", () =>
      Effect.gen(function*() {
        const { deadlines, wakeAt, wakesAt } = make()
        const bell = new Bell(0)
        deadlines.set(bell, 1000)
        let now = 0
        yield* Effect.yieldNow
        while (bell.rings.length === 0) {
          now = wakesAt() + 1000
          assert.isBelow(now, 100_000)
          yield* wakeAt(now)
        }
        // Five times, each a second after a hold of one.
        assert.deepStrictEqual(bell.rings, [1000 + 1000 + 5 * 2000])
        // The next deadline has its own.
        deadlines.set(bell, now + 1000)
        yield* wakeAt(now + 1500)
        assert.strictEqual(bell.rings.length, 1)
        deadlines.set(bell, Infinity)
        deadlines.set(bell, now + 1600)
        yield* wakeAt(now + 1600)
        assert.strictEqual(bell.rings.length, 2, "nothing is held once there is nothing to hold")
      }))
  })

  describe("sleep and timeoutOption", () => {
    it.effect("end in time, and leave no alarm behind", () =>
      Effect.gen(function*() {
        const deadlines = yield* DeadlinesModule.current
        const slept = yield* Effect.forkChild(DeadlinesModule.sleep(1000))
        const timed = yield* Effect.forkChild(DeadlinesModule.timeoutOption(Effect.never, 2000))
        const done = yield* Effect.forkChild(DeadlinesModule.timeoutOption(Effect.as(DeadlinesModule.sleep(1500), 1), 2000))
        const endless = yield* Effect.forkChild(DeadlinesModule.timeoutOption(Effect.never, Infinity))
        yield* TestClock.adjust(999)
        assert.isUndefined(slept.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(slept)
        yield* TestClock.adjust(999)
        assert.isUndefined(timed.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* Fiber.join(timed), Option.none())
        assert.deepStrictEqual(yield* Fiber.join(done), Option.some(1))
        const interrupted = yield* Effect.forkChild(DeadlinesModule.sleep(1000))
        yield* Effect.yieldNow
        yield* Fiber.interruptAll([endless, interrupted])
        assert.isTrue(isIdle(deadlines))
      }))
  })
})
