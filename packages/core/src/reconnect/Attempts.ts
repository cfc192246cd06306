/**
 * The attempts to open a connection, one after the other: how many there were, how long to wait for the
 * next one, and when to give up. Used by one fiber at a time.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { WebSocket } from "../WebSocket.ts"
import type { Status } from "./Status.ts"
import { isOurs, judge, type Loss, type Told } from "./Verdict.ts"

/** The attempt, for effects that run at each one. */
export interface Attempt {
  /** 1 for the first attempt since the last healthy connection. */
  readonly attempt: number
  /**
   * Why the last connection or attempt ended; `undefined` at the very first attempt, and where an
   * effect of the program failed.
   */
  readonly loss: Loss | undefined
}

export const CurrentAttempt = Context.Reference<Attempt>("@effect-ws/core/ReconnectingClient/CurrentAttempt", {
  defaultValue: () => ({ attempt: 1, loss: undefined })
})

const longest = 30_000

/** Full jitter: a random part of 100 ms, 200 ms, 400 ms, …, 30 s. */
export const defaultSchedule: Schedule.Schedule<Duration.Duration> = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.next, (random) => Duration.millis(random * Math.min(longest, Duration.toMillis(duration))))
  )
)

/** The options of {@link Attempts}. */
export interface Plan<E> {
  /** One attempt. */
  readonly connect: Effect.Effect<WebSocket, Loss<E>, Scope.Scope>
  readonly schedule: Schedule.Schedule<unknown, Loss<E>>
  /** Milliseconds after which an open connection counts as healthy. */
  readonly healthyAfter: number
  /** Milliseconds without a message after which a connection is given up. */
  readonly maxSilence: number
  readonly retry: ((loss: Loss<E>) => boolean | Duration.Input | undefined) | undefined
  readonly report: (status: Status<E>) => Effect.Effect<void>
}

/** A connection and the scope that holds it. */
export interface Opened {
  readonly ws: WebSocket
  readonly scope: Scope.Closeable
}

type Step<E> = (now: number, loss: Loss<E>) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

const noDelay: Told = { min: 0, max: 0 }

/** The last moment that a date can name. */
const endOfTime = 8.64e15

/** Milliseconds of a monotonic clock, because the wall clock may be set back while a client waits. */
const elapsed: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

export class Attempts<E> {
  private readonly plan: Plan<E>
  private count = 0
  /** Why the last connection or attempt ended. */
  loss: Loss<E> | undefined
  private step: Step<E> | undefined
  private openedAt: number | undefined
  // An attempt with fresh credentials was made because of a refusal or a Close.
  private renewed: "refusal" | "close" | undefined
  private pause: Pause | undefined

  constructor(plan: Plan<E>) {
    this.plan = plan
  }

  /**
   * The next connection, after as many attempts as it takes, in a scope that `parent` closes at the
   * latest. Fails with a loss after which no attempt can succeed.
   */
  next(parent: Scope.Scope): Effect.Effect<Opened, Loss<E>> {
    return Effect.catch(this.attempt(parent), (loss) => Effect.andThen(this.lost(loss), this.next(parent)))
  }

  private attempt(parent: Scope.Scope): Effect.Effect<Opened, Loss<E>> {
    return Effect.uninterruptibleMask((restore) => Effect.gen({ self: this }, function*() {
      const { loss } = this
      const attempt = { attempt: ++this.count, loss: isOurs(loss) ? loss : undefined }
      yield* this.plan.report({ _tag: "Connecting", attempt: this.count, loss })
      const scope = yield* Scope.fork(parent)
      const ws = yield* restore(this.plan.connect).pipe(
        Scope.provide(scope),
        Effect.provideService(CurrentAttempt, attempt),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      if (this.renewed === "refusal") this.renewed = undefined
      this.openedAt = yield* elapsed
      yield* this.plan.report({ _tag: "Open", since: yield* DateTime.now, roundTrip: undefined })
      return { ws, scope }
    }))
  }

  /** Waits for as long as the loss demands. Fails with it if another attempt cannot succeed. */
  readonly lost = (loss: Loss<E>): Effect.Effect<void, Loss<E>> =>
    Effect.gen({ self: this }, function*() {
      const now = yield* elapsed
      if (this.openedAt !== undefined && now - this.openedAt >= this.plan.healthyAfter) {
        this.count = 0
        this.step = this.renewed = undefined
      }
      this.openedAt = undefined
      this.loss = loss
      const wanted = this.plan.retry?.(loss)
      if (wanted === false) return yield* Effect.fail(loss)
      const verdict = judge(loss, yield* Clock.currentTimeMillis)
      if (typeof wanted !== "boolean" && wanted !== undefined) {
        const millis = Math.max(0, Duration.toMillis(Duration.fromInputUnsafe(wanted)))
        return yield* this.wait(loss, { min: millis, max: millis })
      }
      if (verdict._tag === "Retry") return yield* this.wait(loss, verdict.told)
      if (wanted === true) return yield* this.wait(loss, noDelay)
      if (verdict._tag === "End" || this.renewed !== undefined) return yield* Effect.fail(loss)
      this.renewed = verdict.by
    })

  /** Reports that the next attempt waits, although its delay is over. */
  hold(loss: Loss<E>): Effect.Effect<void> {
    return Effect.flatMap(DateTime.now, (until) => this.plan.report({ _tag: "Waiting", until, attempts: this.count, loss }))
  }

  /** A connection may be possible again: the schedule's delay is cut short, but not what the server asked for. */
  nudge(): void {
    this.pause?.endAt(this.pause.asked)
  }

  /** The next attempt begins at once. */
  force(): void {
    this.pause?.endAt(-Infinity)
  }

  private readonly wait = (loss: Loss<E>, told: Told): Effect.Effect<void, Loss<E>> => Effect.gen({ self: this }, function*() {
    const now = yield* Clock.currentTimeMillis
    this.step ??= yield* Schedule.toStep(this.plan.schedule)
    const [, scheduled] = yield* Pull.catchDone(this.step(now, loss), () => Effect.fail(loss))
    // Whole milliseconds, as clocks count them. An infinite wait ends by `force` only.
    const range = told.max === told.min ? 0 : (yield* Random.next) * (told.max - told.min)
    const asked = Math.ceil(told.min + range)
    const delay = asked + Math.max(0, Math.ceil(Duration.toMillis(scheduled)))
    const until = DateTime.makeUnsafe(Math.min(endOfTime, now + delay))
    yield* this.plan.report({ _tag: "Waiting", until, attempts: this.count, loss })
    const begin = yield* elapsed
    const pause = this.pause = new Pause(begin + asked, begin + delay)
    yield* Effect.ensuring(pause.over(), Effect.sync(() => {
      this.pause = undefined
    }))
  })
}

/** A wait that can be cut short. Its moments are those of {@link elapsed}. */
class Pause {
  /** Until when the server asked clients to stay away. */
  readonly asked: number
  private until: number
  private readonly changed = Latch.makeUnsafe()

  constructor(asked: number, until: number) {
    this.asked = asked
    this.until = until
  }

  endAt(moment: number): void {
    if (moment >= this.until) return
    this.until = moment
    this.changed.openUnsafe()
  }

  over(): Effect.Effect<void> {
    return Effect.flatMap(elapsed, (now) => {
      if (now >= this.until) return Effect.void
      this.changed.closeUnsafe()
      return Effect.andThen(Effect.raceFirst(Effect.sleep(Math.ceil(this.until - now)), this.changed.await), this.over())
    })
  }
}
