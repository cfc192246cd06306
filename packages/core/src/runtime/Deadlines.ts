/**
 * The deadlines of all connections, kept by one fiber on Effect's Clock: an idle
 * connection costs an entry in a heap, not a fiber and a timer. The fiber lives while
 * there are entries. Each Clock has its own (a test's Clock among them).
 *
 * A blocked event loop is not a silent peer: bytes that arrived in the meantime have not been
 * read when the loop continues and the deadline has passed. So a late wake-up postpones all
 * alarms for as long as it was late, within bounds, and then rings those that are still due.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import { uncaught } from "./Uncaught.ts"

/** An entry of the heap. `due` and `position` belong to {@link Deadlines}. */
export abstract class Alarm {
  /** When to call `onAlarm`, in the milliseconds of `Deadlines.now`. Meaningless while it is not set. */
  due = 0
  /** The index in the heap; -1 outside. */
  position = -1

  get isSet(): boolean {
    return this.position !== -1
  }

  /** Whether the process may end although this alarm is set; see `BackgroundTimer`. It does not change while it is set. */
  get isBackground(): boolean {
    return false
  }

  /** Called when `due` is reached. It sets the alarm again through `Deadlines.set` if needed. */
  abstract onAlarm(now: number): void
}

// A timer is a millisecond or two late on a loop that is not blocked.
const tolerance = 4

/** What sleeps for the deadlines, in place of their clock. */
export interface Sleeper {
  sleep(millis: number): Effect.Effect<void>
  /** An alarm was set (1), or is set no longer (-1). */
  changed(alarm: Alarm, by: 1 | -1): void
}

// A handshake takes several turns of the loop and round trips.
const leastHold = 100

// The most in total, after which alarms that are due ring anyway: a loop that is always late has deadlines too.
const mostHold = 5000

export class Deadlines {
  private readonly heap: Array<Alarm> = []
  readonly clock: Clock.Clock
  readonly #context: Context.Context<never>
  private fiber: Fiber.Fiber<void> | undefined
  #wakesAt = Infinity
  // Nothing rings before this time, after the loop was blocked; and how long that may still be extended.
  #heldUntil = -Infinity
  #holdLeft = mostHold
  #firing = false
  readonly #origin: number
  #sleeper: Sleeper | undefined
  readonly #dispatcher: Scheduler.SchedulerDispatcher

  constructor(clock: Clock.Clock, scheduler: Scheduler.Scheduler) {
    this.clock = clock
    this.#origin = Math.floor(this.#read())
    this.#dispatcher = scheduler.makeDispatcher()
    this.#context = Context.make(Clock.Clock, clock).pipe(
      Context.add(Scheduler.Scheduler, scheduler)
    ) as Context.Context<never>
  }

  /**
   * Whole milliseconds that only grow, from an arbitrary origin. Whole, and for weeks below
   * 2^31: V8 stores such a number in its field, while any other takes 16 bytes more.
   */
  now(): number {
    return Math.floor(this.preciseNow())
  }

  /** The same with a fraction, for measurements. */
  preciseNow(): number {
    return this.#read() - this.#origin
  }

  #read(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /** Runs `task` in a later turn of the event loop. */
  nextTurn(task: () => void): void {
    this.#dispatcher.scheduleTask(task, 0)
  }

  /** Runs `task` after so many milliseconds, however late the event loop is: it is no deadline. */
  after(millis: number, task: () => void): void {
    Effect.runForkWith(this.#context)(Effect.map(this.clock.sleep(Duration.millis(millis)), task))
  }

  /** Sets when the alarm goes off; `Infinity` removes it. */
  set(alarm: Alarm, due: number): void {
    if (!alarm.isSet) {
      if (due === Infinity) return
      alarm.due = due
      alarm.position = this.heap.length
      this.heap.push(alarm)
      this.#sleeper?.changed(alarm, 1)
      this.#move(alarm)
    } else if (this.heap[alarm.position] !== alarm) {
      // The heap of another Clock: moving the alarm here would silently drop the other one.
      throw new Error("This alarm is set in another heap of deadlines")
    } else if (due === Infinity) {
      this.#remove(alarm)
    } else {
      if (alarm.due === due) return
      alarm.due = due
      this.#move(alarm)
    }
    this.#schedule()
  }

  /** Sleeps otherwise from now on. */
  sleepBy(sleeper: Sleeper): void {
    if (this.#sleeper !== undefined) return
    this.#sleeper = sleeper
    for (const alarm of this.heap) sleeper.changed(alarm, 1)
    // While alarms ring nothing sleeps.
    if (this.#firing) return
    this.fiber?.interruptUnsafe()
    this.fiber = undefined
    this.#schedule()
  }

  #schedule(): void {
    if (this.#firing) return
    if (this.heap.length === 0) {
      this.fiber?.interruptUnsafe()
      this.fiber = undefined
      this.#wakesAt = Infinity
      this.#release()
      return
    }
    const due = Math.max(this.heap[0].due, this.#heldUntil)
    if (this.fiber === undefined || due < this.#wakesAt) {
      this.fiber?.interruptUnsafe()
      this.#wakesAt = due
      this.fiber = Effect.runForkWith(this.#context)(this.#loop)
    }
  }

  #release(): void {
    this.#heldUntil = -Infinity
    this.#holdLeft = mostHold
  }

  readonly #loop: Effect.Effect<void> = Effect.suspend(() => {
    const wait = this.#wakesAt - this.now()
    // A timer may go off a fraction of a millisecond early.
    return wait > 0 ? Effect.flatMap(this.#pause(Math.ceil(wait)), () => this.#woken) : this.#fire
  })

  #pause(millis: number): Effect.Effect<void> {
    return this.#sleeper?.sleep(millis) ?? this.clock.sleep(Duration.millis(millis))
  }

  readonly #woken: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.now()
    const late = now - this.#wakesAt
    if (late >= tolerance && this.#holdLeft > 0) {
      const hold = Math.min(Math.max(late, leastHold), this.#holdLeft)
      this.#holdLeft -= hold
      this.#wakesAt = this.#heldUntil = now + hold
    }
    return this.#loop
  })

  // Not within `set`, whose caller is not done yet, and after the I/O of this turn of the loop.
  readonly #fire: Effect.Effect<void> = Effect.flatMap(Effect.yieldNow, () => {
    const now = this.now()
    this.#release()
    this.#firing = true
    while (this.heap.length > 0 && this.heap[0].due <= now) {
      const alarm = this.heap[0]
      this.#remove(alarm)
      try {
        alarm.onAlarm(now)
      } catch (defect) {
        uncaught(defect)
      }
    }
    this.#firing = false
    if (this.heap.length === 0) {
      this.fiber = undefined
      this.#wakesAt = Infinity
      return Effect.void
    }
    this.#wakesAt = this.heap[0].due
    return this.#loop
  })

  #remove(alarm: Alarm): void {
    const at = alarm.position
    alarm.position = -1
    this.#sleeper?.changed(alarm, -1)
    const last = this.heap.pop()!
    if (last === alarm) return
    this.heap[at] = last
    last.position = at
    this.#move(last)
  }

  /** Moves an alarm to where its time belongs, up or down. */
  #move(alarm: Alarm): void {
    const heap = this.heap
    let at = alarm.position
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent].due <= alarm.due) break
      this.#place(heap[parent], at)
      at = parent
    }
    for (;;) {
      let child = 2 * at + 1
      if (child + 1 < heap.length && heap[child + 1].due < heap[child].due) child++
      if (child >= heap.length || heap[child].due >= alarm.due) break
      this.#place(heap[child], at)
      at = child
    }
    this.#place(alarm, at)
  }

  #place(alarm: Alarm, at: number): void {
    this.heap[at] = alarm
    alarm.position = at
  }
}

const byClock = new WeakMap<Clock.Clock, Deadlines>()

/** The deadlines of the Clock that a fiber runs on. */
export const of = (fiber: Fiber.Fiber<unknown, unknown>): Deadlines => {
  const clock = fiber.getRef(Clock.Clock)
  let deadlines = byClock.get(clock)
  if (deadlines === undefined) {
    deadlines = new Deadlines(clock, fiber.getRef(Scheduler.Scheduler))
    byClock.set(clock, deadlines)
  }
  return deadlines
}

/** The deadlines of the current Clock. */
export const current: Effect.Effect<Deadlines> = /*#__PURE__*/ Effect.withFiber((fiber) => Effect.succeed(of(fiber)))

class Nap extends Alarm {
  readonly #wake: () => void

  constructor(wake: () => void) {
    super()
    this.#wake = wake
  }

  onAlarm(): void {
    this.#wake()
  }
}

/** Waits for a number of milliseconds, on the deadlines of the current Clock. */
export const sleep = (millis: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const deadlines = of(fiber)
    return Effect.callback<void>((resume) => {
      const nap = new Nap(() => resume(Effect.void))
      deadlines.set(nap, Math.ceil(deadlines.preciseNow() + millis))
      return Effect.sync(() => deadlines.set(nap, Infinity))
    })
  })

/** `Effect.timeoutOption` with a deadline of this module; `Infinity` is none. */
export const timeoutOption = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  millis: number
): Effect.Effect<Option.Option<A>, E, R> =>
  millis === Infinity ? Effect.asSome(self) : Effect.raceFirst(Effect.asSome(self), Effect.as(sleep(millis), Option.none()))
