import { assert, describe, it, vi } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import { TestClock } from "effect/testing"
import { allowBackground } from "../../src/runtime/BackgroundTimer.ts"
import * as DeadlinesModule from "../../src/runtime/Deadlines.ts"
import { Alarm, Deadlines } from "../../src/runtime/Deadlines.ts"

class Bell extends Alarm {
  readonly rings: Array<number> = []
  private readonly onRing: () => void

  constructor(onRing: () => void = () => {}) {
    super()
    this.onRing = onRing
  }

  override onAlarm(now: number): void {
    this.rings.push(now)
    this.onRing()
  }
}

class Background extends Bell {
  override get isBackground(): boolean {
    return true
  }
}

const isIdle = (deadlines: Deadlines): boolean => deadlines["heap"].length === 0 && deadlines["fiber"] === undefined

const timers = vi.spyOn(globalThis, "setTimeout")

/** Whether the last timer of deadlines keeps the process. Tests themselves wait for less. */
const keepsProcess = (): boolean => {
  const at = timers.mock.calls.findLastIndex(([, millis]) => millis! > 30_000)
  return (timers.mock.results[at]!.value as NodeJS.Timeout).hasRef()
}

const settles = (what: string, look: () => number, wanted: number) =>
  Effect.sync(look).pipe(
    Effect.delay(5),
    Effect.repeat({ until: (seen) => seen === wanted }),
    Effect.timeout("10 seconds"),
    Effect.catch(() => Effect.die(`${what} do not come to ${wanted}`))
  )

const isolated = Effect.sync(() => new Deadlines(Context.get(Context.empty(), Clock.Clock), new Scheduler.MixedScheduler()))

describe("BackgroundTimer", () => {
  it.live("the process stays for what is in the foreground only", () =>
    Effect.gen(function*() {
      const deadlines = yield* isolated
      allowBackground(deadlines)
      const [fore, back, soon] = [new Bell(), new Background(), new Background()]
      deadlines.set(back, deadlines.now() + 60_000)
      assert.isFalse(keepsProcess())
      deadlines.set(fore, deadlines.now() + 70_000)
      assert.isTrue(keepsProcess(), "though its alarm is the later one")
      deadlines.set(soon, deadlines.now() + 50_000)
      assert.isTrue(keepsProcess(), "with a new timer, too")
      deadlines.set(fore, deadlines.now() + 40_000)
      assert.isTrue(keepsProcess())
      deadlines.set(soon, Infinity)
      assert.isTrue(keepsProcess(), "whatever becomes of the background")
      deadlines.set(fore, Infinity)
      assert.isFalse(keepsProcess())
      deadlines.set(back, Infinity)
      assert.isTrue(isIdle(deadlines))
    }))

  it.live("both ring, and what rang keeps nothing", () =>
    Effect.gen(function*() {
      const deadlines = yield* isolated
      allowBackground(deadlines)
      const [fore, back, last] = [new Bell(), new Background(), new Background()]
      const start = deadlines.now()
      deadlines.set(fore, start + 10)
      deadlines.set(back, start + 20)
      deadlines.set(last, start + 60_000)
      yield* settles("the bells", () => fore.rings.length + back.rings.length, 2)
      assert.isFalse(keepsProcess())
      deadlines.set(last, Infinity)
      assert.isTrue(isIdle(deadlines))
    }))

  it.live("takes over from the timer that is set, also while an alarm rings", () =>
    Effect.gen(function*() {
      const deadlines = yield* isolated
      const [fore, back] = [new Bell(), new Background()]
      deadlines.set(back, deadlines.now() + 60_000)
      allowBackground(deadlines)
      assert.isFalse(keepsProcess())
      deadlines.set(fore, deadlines.now() + 60_000)
      assert.isTrue(keepsProcess())
      deadlines.set(fore, Infinity)
      deadlines.set(back, Infinity)
      assert.isTrue(isIdle(deadlines))
      const other = yield* isolated
      const ringing = new Bell(() => allowBackground(other))
      const late = new Background()
      other.set(late, other.now() + 60_000)
      other.set(ringing, other.now() + 5)
      yield* settles("the bells", () => ringing.rings.length, 1)
      yield* Effect.sleep(5)
      assert.isFalse(keepsProcess())
      other.set(late, Infinity)
      assert.isTrue(isIdle(other))
    }))

  it.effect("leaves a clock that is not the system's as it is", () =>
    Effect.gen(function*() {
      const deadlines = yield* DeadlinesModule.current
      const back = new Background()
      allowBackground(deadlines)
      deadlines.set(back, deadlines.now() + 1000)
      yield* TestClock.adjust(1000)
      assert.strictEqual(back.rings.length, 1)
    }))
})
