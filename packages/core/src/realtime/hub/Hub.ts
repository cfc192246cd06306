/**
 * The topics of a process: which of them are live here, what the broker tells of them, and what the program publishes. A
 * topic lives while somebody is subscribed to it, and a little longer.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TopicLimits } from "../../Limits.ts"
import { type Broker, BrokerError, type Heard, type History, type Members, type Position, type Presence, type Published, type Read } from "../Broker.ts"
import { count } from "../telemetry/Meter.ts"
import type { Gap } from "../TopicEvent.ts"
import * as Answers from "./Answers.ts"
import { LiveTopic, patiently, type Surroundings } from "./LiveTopic.ts"
import { RecentBudget } from "./Recent.ts"
import { Watch, Watched, type Watcher } from "./Watched.ts"

/** What is counted, as plain fields that metrics read. */
export interface Counts {
  publications: number
  deliveries: number
  subscriptions: number
  behind: number
  recoveries: number
  readonly gaps: Map<string, number>
  readonly errors: Map<string, number>
}

/** That a connection is present in a topic, or about to be. */
export interface Entered {
  readonly topic: string
  readonly id: string
  readonly member: string
  readonly payload: string
  /** Whether the broker did it. */
  readonly settled: Effect.Effect<void, BrokerError>
}

/** The client of a connection, as the program sees it. */
export interface Client {
  readonly claims: unknown
  /** Whether it is known who it is. */
  readonly isKnown: boolean
  /** How many publications the subscription of it that is furthest behind has not been sent. */
  readonly lag: number
  /** Whether its route serves a family in this way. */
  readonly serves: (family: object) => boolean
  /** Ends at once what it has of a topic. It is told so when it has room. */
  readonly revoke: (topic: string, message: string, error: string | undefined) => void
  /** Begins to close its connection. */
  readonly close: (code: number, reason: string) => void
}

/** A topic that is live, or about to be. */
interface Held {
  readonly topic: LiveTopic
  readonly scope: Scope.Closeable
  /** Until it is live. */
  ready: Deferred.Deferred<void, BrokerError> | undefined
  /** Since when nobody needs it. */
  idleSince: number
}

const ignore = () => {}

/** How many topics ask the broker at once what they have missed. */
const mostQuestions = 32

/** How long a question waits that the broker has failed to answer. */
const again = "1 second"

type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

// Not a secret: it tells one process and connection from another.
const randomName = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

export class Hub implements Surroundings {
  readonly limits: TopicLimits
  readonly budget: RecentBudget
  readonly windowCount: number
  readonly counts: Counts = {
    publications: 0,
    deliveries: 0,
    subscriptions: 0,
    behind: 0,
    recoveries: 0,
    gaps: new Map(),
    errors: new Map()
  }
  /** Unique among processes. */
  readonly id = randomName()
  readonly clients = new Set<Client>()
  private readonly broker: Broker["Service"]
  private readonly clock: Clock.Clock
  private readonly runFork: Run
  readonly soon: (task: () => void) => void
  private readonly topics = new Map<string, Held>()
  private readonly idle = new Map<string, Held>()
  private readonly watched = new Map<string, Watched>()
  // What was asked is cut off once it is half of the queue.
  private questions: Array<Effect.Effect<void>> = []
  private asked = 0
  private asking = 0
  private failed: Array<Effect.Effect<void>> = []
  private isSweeping = false
  private serial = 0

  constructor(broker: Broker["Service"], limits: TopicLimits, clock: Clock.Clock, runFork: Run, soon: (task: () => void) => void) {
    this.broker = broker
    this.limits = limits
    this.budget = new RecentBudget(limits.recent.bytes)
    this.windowCount = limits.recent.count
    this.clock = clock
    this.runFork = runFork
    this.soon = soon
  }

  /** How many topics are live here. */
  get size(): number {
    return this.topics.size
  }

  /** How many publications the subscription that is furthest behind has not been sent. */
  get lag(): number {
    let lag = 0
    for (const client of this.clients) lag = Math.max(lag, client.lag)
    return lag
  }

  /** Milliseconds that only grow, from an arbitrary origin. */
  readonly now = (): number => Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)

  /** Milliseconds of the calendar. */
  get calendar(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  readonly run = (effect: Effect.Effect<void>): void => {
    this.runFork(effect)
  }

  /** The same for one of many questions to the broker that come up at once, where it was cut off: a few at a time. */
  readonly ask = (question: Effect.Effect<void>): void => {
    this.questions.push(question)
    if (this.asking >= mostQuestions) return
    this.asking++
    this.run(this.askNext)
  }

  private readonly askNext: Effect.Effect<void> = Effect.suspend(() => {
    const question = this.questions[this.asked]
    if (question === undefined) {
      this.asking--
      return Effect.void
    }
    this.asked++
    if (this.asked * 2 > this.questions.length) {
      this.questions = this.questions.slice(this.asked)
      this.asked = 0
    }
    const asked = Effect.catchCause(question, (cause) => Effect.logError("Topics: a question to the broker failed", cause))
    return Effect.andThen(asked, this.askNext)
  })

  /** All that has failed is asked again together, so that nothing waits in the way of others. */
  readonly askLater = (question: Effect.Effect<void>): void => {
    this.failed.push(question)
    if (this.failed.length > 1) return
    this.run(Effect.map(Effect.sleep(again), () => {
      const { failed } = this
      this.failed = []
      for (const one of failed) this.ask(one)
    }))
  }

  /** A name that nothing else has, in any process. */
  uniqueName(): string {
    return `${this.id}-${(this.serial++).toString(36)}`
  }

  noteGap({ reason }: Gap): void {
    count(this.counts.gaps, reason)
  }

  /** What the broker does: where it dies it has failed, and nobody knows what it did. */
  private counted<A>(operation: BrokerError["operation"], doing: () => Effect.Effect<A, BrokerError>): Effect.Effect<A, BrokerError> {
    return Effect.suspend(doing).pipe(
      Effect.catchCause((cause) => {
        if (Cause.hasFails(cause)) return Effect.failCause(cause)
        const died = new BrokerError({ operation, applied: "unknown", cause: Cause.squash(cause) })
        return Effect.andThen(Effect.logError("Topics: the broker died", cause), Effect.fail(died))
      }),
      Effect.tapError(({ operation }) => Effect.sync(() => count(this.counts.errors, operation)))
    )
  }

  readonly read = (topic: string, since: Position, limit: number): Effect.Effect<Read, BrokerError> =>
    this.counted("read", () => this.broker.read(topic, since, limit))

  /** Publishes, whatever becomes of the caller once it has begun. */
  publish(
    topic: string,
    key: string,
    payload: string,
    history: History,
    begun: () => void = ignore
  ): Effect.Effect<Published, BrokerError> {
    const published = this.counted("publish", () => this.broker.publish(topic, { key, payload }, history))
    return Effect.suspend(() => {
      const fiber = this.runFork(published)
      begun()
      return Fiber.join(fiber)
    })
  }

  readonly members = (topic: string, limit: number): Effect.Effect<Members, BrokerError> =>
    this.counted("members", () => this.broker.members(topic, limit))

  /** Makes somebody present, whatever becomes of the caller. */
  enter(topic: string, { id, member, payload }: Presence): Entered {
    const fiber = this.runFork(this.counted("enter", () => this.broker.enter(topic, { id, member, payload })))
    return { topic, id, member, payload, settled: Fiber.join(fiber) }
  }

  /** Ends that somebody is present, some time later: whoever comes back in the meantime has not left. */
  leaveLater({ id, settled, topic }: Entered, millis: number): void {
    const left = Effect.retry(this.counted("leave", () => this.broker.leave(topic, id)), patiently)
    this.run(Effect.sleep(Duration.millis(millis)).pipe(
      Effect.andThen(Effect.ignore(settled)),
      Effect.andThen(Effect.orDie(left))
    ))
  }

  leave({ id, topic }: Entered): Effect.Effect<void, BrokerError> {
    return this.counted("leave", () => this.broker.leave(topic, id))
  }

  /** The presence of a topic that the caller holds. */
  watch(topic: LiveTopic, watcher: Watcher): Watch {
    let watched = this.watched.get(topic.name)
    if (watched === undefined || watched.topic !== topic) this.watched.set(topic.name, watched = new Watched(topic, this))
    const watch = new Watch(watched, watcher)
    watched.add(watch)
    return watch
  }

  /** Ends a watch, and lets go of its topic. */
  unwatch(watch: Watch): void {
    const { watched } = watch
    watched.delete(watch)
    if (!watched.isWatched && this.watched.get(watched.topic.name) === watched) this.watched.delete(watched.topic.name)
    this.release(watched.topic)
  }

  /** `sender` does not get it back; others see `name`, if there is one. */
  signal(topic: string, sender: string, name: string | undefined, payload: string): Effect.Effect<void, BrokerError> {
    return this.counted("signal", () => this.broker.signal(topic, name === undefined ? sender : `${sender} ${name}`, payload))
  }

  /**
   * Holds a topic that knows where it stands. Whoever calls it lets go of it by {@link release}, unless it fails or is
   * interrupted.
   */
  hold(name: string, history: History): Effect.Effect<LiveTopic, BrokerError> {
    return Effect.suspend(() => {
      const held = this.topics.get(name) ?? this.begin(name, history)
      const { topic } = held
      topic.holders++
      this.idle.delete(name)
      if (held.ready === undefined) return Effect.succeed(topic)
      return Effect.onExit(
        Effect.as(Deferred.await(held.ready), topic),
        (exit) => Exit.isFailure(exit) ? Effect.sync(() => this.release(topic)) : Effect.void
      )
    })
  }

  private begin(name: string, history: History): Held {
    const topic = new LiveTopic(name, history, this)
    const ready = Deferred.makeUnsafe<void, BrokerError>()
    const held: Held = { topic, scope: Scope.makeUnsafe(), ready, idleSince: 0 }
    this.topics.set(name, held)
    const subscribed = this.counted("subscribe", () => Effect.provideService(this.broker.subscribe(name), Scope.Scope, held.scope))
    const opened = Effect.map(Effect.andThen(subscribed, this.counted("top", () => this.broker.top(name))), (top) => {
      topic.open(top)
      held.ready = undefined
    })
    this.run(Effect.flatMap(Effect.exit(opened), (exit) => {
      // Those who ask again begin anew.
      if (Exit.isFailure(exit)) this.giveUp(held)
      return Effect.asVoid(Deferred.done(ready, exit))
    }))
    return held
  }

  release(topic: LiveTopic): void {
    if (--topic.holders > 0) return
    const held = this.topics.get(topic.name)
    if (held?.topic !== topic) return
    held.idleSince = this.now()
    this.idle.set(topic.name, held)
    if (this.idle.size > this.limits.linger.topics) this.giveUp(this.idle.values().next().value!)
    if (this.isSweeping) return
    this.isSweeping = true
    this.run(this.sweep)
  }

  /** Gives up what nobody has needed for a while. */
  private readonly sweep: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.now()
    for (const held of this.idle.values()) {
      const wait = held.idleSince + this.limits.linger.time - now
      if (wait > 0) return Effect.andThen(Effect.sleep(Duration.millis(wait)), this.sweep)
      this.giveUp(held)
    }
    this.isSweeping = false
    return Effect.void
  })

  private giveUp(held: Held): void {
    const { name } = held.topic
    if (this.topics.get(name) === held) this.topics.delete(name)
    if (this.idle.get(name) === held) this.idle.delete(name)
    held.topic.close()
    this.run(Scope.close(held.scope, Exit.void))
  }

  /** The topic, if it is live here. */
  find(name: string): LiveTopic | undefined {
    return this.topics.get(name)?.topic
  }

  readonly hear = (heard: Heard): void => {
    switch (heard._tag) {
      case "Published":
        this.find(heard.topic)?.hear(heard.epoch, heard.entry)
        return
      case "Signalled":
        this.hearSignal(heard)
        return
      case "MembersChanged":
        this.watched.get(heard.topic)?.changed()
        return
      case "Missed":
        if (heard.topic === undefined) {
          for (const { topic } of this.topics.values()) topic.doubt()
          for (const watched of this.watched.values()) watched.changed()
        } else {
          this.find(heard.topic)?.doubt()
          this.watched.get(heard.topic)?.changed()
        }
    }
  }

  private hearSignal({ from, payload, topic }: Extract<Heard, { readonly _tag: "Signalled" }>): void {
    const live = this.find(topic)
    if (live === undefined) return
    const space = from.indexOf(" ")
    const sender = space === -1 ? from : from.slice(0, space)
    live.pass(Answers.signalled(topic, space === -1 ? from : from.slice(space + 1), payload), sender)
  }
}

const resolved = Promise.resolve()
const inMicrotask = (task: () => void): void => void resolved.then(task)

/** Makes the hub of a process over its broker. `soon` runs a task at the end of a run of JavaScript. */
export const make = (broker: Broker["Service"], limits: TopicLimits, soon = inMicrotask): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const runFork = yield* FiberSet.makeRuntime()
    const hub = new Hub(broker, limits, clock, runFork, soon)
    yield* Effect.forkScoped(hearing(hub, broker), { startImmediately: true })
    return hub
  })

/** Hears the broker for good. Where it stops to tell, it is heard anew, and asked for what was missed. */
const hearing = (hub: Hub, broker: Broker["Service"]): Effect.Effect<never> => {
  const heard = Effect.suspend(() => Stream.runForEachArray(broker.heard, (all) => Effect.sync(() => all.forEach(hub.hear))))
  const anew = Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(heard, { startImmediately: true })
    hub.hear({ _tag: "Missed", topic: undefined })
    return yield* Fiber.join(fiber)
  })
  const ended = (cause: Cause.Cause<never>) =>
    Effect.andThen(Effect.logError("Topics: the broker has stopped to tell what happens; it is heard again", cause), Effect.sleep(again))
  const lasting = (effect: Effect.Effect<void>) =>
    Effect.matchCauseEffect(effect, { onFailure: ended, onSuccess: () => ended(Cause.empty) })
  return Effect.andThen(lasting(heard), Effect.forever(lasting(anew)))
}
