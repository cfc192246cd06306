/**
 * A broker that goes wrong on purpose, around another one: it delays, fails, loses, tells twice, is cut off, and its process
 * dies. A seed decides what it does, and it happens on Effect's Clock.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Broker, BrokerError, type Heard } from "../realtime/Broker.ts"
import { Inbox } from "../realtime/broker/Inbox.ts"
import { Choose } from "./Choose.ts"

/**
 * How a broker goes wrong. Rates are between 0 and 1, and 0 by default.
 *
 * **Details**
 *
 * - `seed`: decides what the other options leave open. Default 0.
 * - `delay`: how long an operation takes until it is applied, until it is answered, and until a process hears of it, each at most.
 *   The operations of one process stay in order, and so does what it hears. Default 0.
 * - `fail`: how many operations fail with `applied: "no"`, and are not applied.
 * - `interrupt`: how many operations that change something fail with `applied: "unknown"`. A publication or signal is applied in half of
 *   these cases; a `leave` always is, and an `enter` never.
 * - `lose`: how much of what should be heard is not. `Missed` is heard instead, some time later.
 * - `double`: how many publications are heard twice.
 * - `lossNoticed`: how much later `Missed` is heard at most, default 4 seconds.
 * - `lease`: how long those whom a killed process entered are still present, default 6 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly seed?: number | undefined
  readonly delay?: Duration.Input | undefined
  readonly fail?: number | undefined
  readonly interrupt?: number | undefined
  readonly lose?: number | undefined
  readonly double?: number | undefined
  readonly lossNoticed?: Duration.Input | undefined
  readonly lease?: Duration.Input | undefined
}

/**
 * A broker that goes wrong, and what can be done to it.
 *
 * **Details**
 *
 * - `cut`: the process loses the connection to the backend. Operations fail, with `applied: "no"`, and nothing is heard.
 * - `mend`: the connection is back; `Missed` is heard for all topics.
 * - `kill`: the process dies without any of its finalizers. Its operations never return, it hears nothing, and those whom it
 *   entered leave once the lease is over.
 * - `calm`: from now on nothing goes wrong by chance, so that a test can wait until everything has arrived.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestBroker {
  readonly broker: Broker["Service"]
  readonly cut: Effect.Effect<void>
  readonly mend: Effect.Effect<void>
  readonly kill: Effect.Effect<void>
  readonly calm: Effect.Effect<void>
}

/**
 * Makes a broker that goes wrong around one that does not, `store.broker` of `Broker.makeMemoryStore` for example.
 *
 * **Example** (A publication that may have been applied)
 *
 * ```ts
 * import { Broker } from "@effect-ws/core/realtime"
 * import { TestBroker } from "@effect-ws/core/testing"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* Broker.makeMemoryStore
 *   const { broker } = yield* TestBroker.make(store.broker, { seed: 1, interrupt: 1 })
 *   const history = { size: 100, timeToLive: 60_000, keyTimeToLive: 60_000 }
 *   const error = yield* Effect.flip(broker.publish("room/7", { key: "a", payload: "1" }, history))
 *   console.log(error.applied) // unknown
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E, R>(
  broker: Effect.Effect<Broker["Service"], E, R>,
  options: Options = {}
): Effect.Effect<TestBroker, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const faults = new Faults(yield* Scope.provide(broker, scope), yield* Queue.unbounded<Due>(), options)
    yield* Effect.forkScoped(faults.hear, { startImmediately: true })
    yield* Effect.forkScoped(faults.tell, { startImmediately: true })
    yield* Effect.addFinalizer((exit) => faults.isKilled ? Effect.void : Scope.close(scope, exit))
    const lease = Duration.fromInputUnsafe(options.lease ?? "6 seconds")
    return {
      broker: faults.service,
      cut: Effect.sync(() => {
        faults.isCut = true
      }),
      mend: Effect.sync(() => {
        faults.isCut = false
        faults.inbox.offer({ _tag: "Missed", topic: undefined })
      }),
      kill: Effect.suspend(() => {
        if (faults.isKilled) return Effect.void
        faults.isKilled = true
        return Effect.asVoid(Effect.forkDetach(Effect.delay(Scope.close(scope, Exit.void), lease)))
      }),
      calm: Effect.sync(() => {
        faults.isCalm = true
      })
    }
  })

interface Due {
  readonly due: number
  readonly heard: Heard
}

class Faults {
  readonly inbox = new Inbox()
  readonly service: Broker["Service"]
  isCut = false
  isKilled = false
  isCalm = false
  private readonly inner: Broker["Service"]
  private readonly choose: Choose
  private readonly options: Options
  private readonly delay: number
  private readonly lossNoticed: number
  private readonly told: Queue.Queue<Due>
  // When the operation before begins, and when what was heard before is told: nothing overtakes it.
  private begun = 0
  private toldAt = 0

  constructor(inner: Broker["Service"], told: Queue.Queue<Due>, options: Options) {
    this.inner = inner
    this.told = told
    this.options = options
    this.choose = new Choose(options.seed ?? 0)
    this.delay = Duration.toMillis(Duration.fromInputUnsafe(options.delay ?? 0))
    this.lossNoticed = Duration.toMillis(Duration.fromInputUnsafe(options.lossNoticed ?? "4 seconds"))
    this.service = {
      publish: (topic, entry, history) => this.changing("publish", inner.publish(topic, entry, history), "perhaps"),
      read: (topic, since, limit) => this.asking("read", inner.read(topic, since, limit)),
      top: (topic) => this.asking("top", inner.top(topic)),
      subscribe: (topic) => this.asking("subscribe", inner.subscribe(topic)),
      heard: this.inbox.heard,
      signal: (topic, from, payload) => this.changing("signal", inner.signal(topic, from, payload), "perhaps"),
      enter: (topic, presence) => this.changing("enter", inner.enter(topic, presence), "never"),
      leave: (topic, id) => this.changing("leave", inner.leave(topic, id), "always"),
      members: (topic, limit) => this.asking("members", inner.members(topic, limit))
    }
  }

  private happens(rate: number | undefined): boolean {
    return rate !== undefined && rate > 0 && !this.isCalm && this.choose.below(1_000_000) < rate * 1_000_000
  }

  private get wait(): number {
    return this.isCalm ? 0 : this.choose.between(0, this.delay)
  }

  private asking<A, R>(operation: BrokerError["operation"], effect: Effect.Effect<A, BrokerError, R>): Effect.Effect<A, BrokerError, R> {
    return this.around(operation, effect, () => effect)
  }

  private changing<A, R>(
    operation: BrokerError["operation"],
    effect: Effect.Effect<A, BrokerError, R>,
    applied: "always" | "perhaps" | "never"
  ): Effect.Effect<A, BrokerError, R> {
    return this.around(operation, effect, () => {
      if (!this.happens(this.options.interrupt)) return effect
      const failed = Effect.fail(new BrokerError({ operation, applied: "unknown", cause: new Error("The test interrupts it") }))
      const isApplied = applied === "always" || (applied === "perhaps" && this.choose.below(2) === 0)
      return isApplied ? Effect.andThen(effect, failed) : failed
    })
  }

  private around<A, R>(
    operation: BrokerError["operation"],
    effect: Effect.Effect<A, BrokerError, R>,
    chosen: () => Effect.Effect<A, BrokerError, R>
  ): Effect.Effect<A, BrokerError, R> {
    // A leave that fails is done all the same, once the connection is back.
    const atLeast = operation === "leave" ? Effect.ignore(effect) : Effect.void
    const refuse = Effect.andThen(
      atLeast,
      Effect.suspend(() => Effect.fail(new BrokerError({ operation, applied: "no", cause: new Error("The test lets it fail") })))
    )
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (this.isKilled) return Effect.never
      // Chosen now, so that a run does not depend on how its fibers take turns.
      const fails = this.isCut || this.happens(this.options.fail)
      const run = fails ? refuse : chosen()
      const before = (this.begun = Math.max(this.begun, now + this.wait)) - now
      const after = this.wait
      const alive = Effect.suspend(() => this.isKilled ? Effect.never : run)
      return Effect.flatMap(Effect.exit(before > 0 ? Effect.delay(alive, before) : alive), (exit) => {
        if (this.isKilled) return Effect.never
        return after > 0 ? Effect.andThen(Effect.sleep(after), exit) : exit
      })
    })
  }

  /** Reads what the broker hears, and decides what becomes of it. */
  get hear(): Effect.Effect<void, never, Scope.Scope> {
    return Stream.runForEach(this.inner.heard, (heard) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (this.isCut || this.isKilled) return Effect.void
        if (heard._tag !== "Missed" && this.happens(this.options.lose)) {
          // A signal is lost without a word.
          if (heard._tag === "Signalled") return Effect.void
          const missed = Effect.sync(() => this.offer({ _tag: "Missed", topic: heard.topic }))
          return Effect.asVoid(Effect.forkScoped(Effect.delay(missed, this.choose.between(0, this.lossNoticed))))
        }
        const due = this.toldAt = Math.max(this.toldAt, now + this.wait)
        Queue.offerUnsafe(this.told, { due, heard })
        if (heard._tag === "Published" && this.happens(this.options.double)) Queue.offerUnsafe(this.told, { due, heard })
        return Effect.void
      }))
  }

  /** Tells each event when it is due. */
  get tell(): Effect.Effect<void> {
    return Effect.forever(Effect.flatMap(Queue.take(this.told), ({ due, heard }) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.andThen(due > now ? Effect.sleep(due - now) : Effect.void, Effect.sync(() => this.offer(heard))))))
  }

  private offer(heard: Heard): void {
    if (!this.isCut && !this.isKilled) this.inbox.offer(heard)
  }
}
