/**
 * The topics of a process: which of them are live here, what the broker tells of them, and what the program publishes. A
 * topic lives while somebody is subscribed to it, and a little longer.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TopicLimits } from "../../Limits.ts"
import { type Broker, type BrokerError, type Heard, type History, type Position, type Published, type Read } from "../Broker.ts"
import type { Gap } from "../TopicEvent.ts"
import * as Answers from "./Answers.ts"
import { LiveTopic, type Surroundings } from "./LiveTopic.ts"
import { RecentBudget } from "./Recent.ts"

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

const count = (occurrences: Map<string, number>, key: string): void => {
  occurrences.set(key, (occurrences.get(key) ?? 0) + 1)
}

/** A topic that is live, or about to be. */
interface Held {
  readonly topic: LiveTopic
  readonly scope: Scope.Closeable
  readonly ready: Deferred.Deferred<void, BrokerError>
  isReady: boolean
  /** Since when nobody needs it. */
  idleSince: number
}

const ignore = () => {}

type Run = (effect: Effect.Effect<void>) => Fiber.Fiber<unknown, unknown>

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
  private readonly broker: Broker["Service"]
  private readonly clock: Clock.Clock
  private readonly runFork: Run
  private readonly topics = new Map<string, Held>()
  private readonly idle = new Map<string, Held>()
  private isSweeping = false
  private serial = 0

  constructor(broker: Broker["Service"], limits: TopicLimits, clock: Clock.Clock, runFork: Run) {
    this.broker = broker
    this.limits = limits
    this.budget = new RecentBudget(limits.recent.bytes)
    this.windowCount = limits.recent.count
    this.clock = clock
    this.runFork = runFork
  }

  /** How many topics are live here. */
  get size(): number {
    return this.topics.size
  }

  readonly now = (): number => this.clock.currentTimeMillisUnsafe()

  readonly run = (effect: Effect.Effect<void>): void => {
    this.runFork(effect)
  }

  /** A name that nothing else has, in any process. */
  uniqueName(): string {
    return `${this.id}-${(this.serial++).toString(36)}`
  }

  noteGap({ reason }: Gap): void {
    count(this.counts.gaps, reason)
  }

  private counted<A>(effect: Effect.Effect<A, BrokerError>): Effect.Effect<A, BrokerError> {
    return Effect.tapError(effect, ({ operation }) => Effect.sync(() => count(this.counts.errors, operation)))
  }

  readonly read = (topic: string, since: Position, limit: number): Effect.Effect<Read, BrokerError> =>
    this.counted(this.broker.read(topic, since, limit))

  /** Publishes, whatever becomes of the caller once it has begun. */
  publish(
    topic: string,
    key: string,
    payload: string,
    history: History,
    begun: () => void = ignore
  ): Effect.Effect<Published, BrokerError> {
    const published = this.counted(this.broker.publish(topic, { key, payload }, history))
    return Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<Published, BrokerError>()
      this.runFork(Effect.asVoid(Deferred.into(published, answer)))
      begun()
      return Deferred.await(answer)
    })
  }

  signal(topic: string, from: string, payload: string): Effect.Effect<void, BrokerError> {
    return this.counted(this.broker.signal(topic, from, payload))
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
      if (held.isReady) return Effect.succeed(topic)
      return Effect.onExit(
        Effect.as(Deferred.await(held.ready), topic),
        (exit) => Exit.isFailure(exit) ? Effect.sync(() => this.release(topic)) : Effect.void
      )
    })
  }

  private begin(name: string, history: History): Held {
    const topic = new LiveTopic(name, history, this)
    const held: Held = { topic, scope: Scope.makeUnsafe(), ready: Deferred.makeUnsafe(), isReady: false, idleSince: 0 }
    this.topics.set(name, held)
    const subscribed = Effect.provideService(this.broker.subscribe(name), Scope.Scope, held.scope)
    const opened = Effect.map(this.counted(Effect.andThen(subscribed, this.broker.top(name))), (top) => {
      topic.open(top)
      held.isReady = true
    })
    this.run(Effect.flatMap(Effect.exit(opened), (exit) => {
      // Those who ask again begin anew.
      if (Exit.isFailure(exit)) this.giveUp(held)
      return Effect.asVoid(Deferred.done(held.ready, exit))
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
        this.find(heard.topic)?.pass(Answers.signalled(heard.topic, heard.from, heard.payload), heard.from)
        return
      case "MembersChanged":
        return
      case "Missed":
        if (heard.topic === undefined) for (const { topic } of this.topics.values()) topic.doubt()
        else this.find(heard.topic)?.doubt()
    }
  }
}

/** Makes the hub of a process over its broker. */
export const make = (broker: Broker["Service"], limits: TopicLimits): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const runFork = yield* FiberSet.makeRuntime()
    const hub = new Hub(broker, limits, clock, runFork)
    yield* Effect.forkScoped(
      Stream.runForEachArray(broker.heard, (all) => Effect.sync(() => all.forEach(hub.hear))),
      { startImmediately: true }
    )
    return hub
  })
