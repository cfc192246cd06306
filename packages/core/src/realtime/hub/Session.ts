/**
 * One client's connection: its subscriptions, and those of them that are behind. A subscription that is behind has no queue;
 * one fiber of the connection serves them all from history, as fast as the peer takes it, until they are live again.
 */
import * as Effect from "effect/Effect"
import type * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import type { TopicLimits } from "../../Limits.ts"
import type { Prepared, Sendable } from "../../Message.ts"
import type { SendError, WebSocket } from "../../WebSocket.ts"
import * as Answers from "./Answers.ts"
import type { Entered, Hub } from "./Hub.ts"
import { type LiveTopic, patiently, type Peer, type Subscription } from "./LiveTopic.ts"
import type { Watch, Watcher } from "./Watched.ts"

// Subscriptions of one connection take turns of this many publications.
const turn = 64

// Longer than anything takes that a subscription can wait for.
const noProgress = "50 millis"

// How long a subscription rests before the broker is asked again.
const firstRest = "100 millis"

export class Session implements Peer, Watcher {
  readonly ws: WebSocket
  readonly hub: Hub
  readonly limits: TopicLimits
  /** Unique among all processes. */
  readonly id: string
  readonly offer: (message: Prepared) => boolean
  readonly subscriptions = new Map<string, Subscription>()
  private readonly context: Context.Context<never>
  // Made when they are needed: most connections only subscribe, and keep up.
  private watchesMade: Map<string, Watch> | undefined
  private presentMade: Map<string, Entered> | undefined
  private fibers: Set<Fiber.Fiber<unknown, unknown>> | undefined
  private behindMade: Set<Subscription> | undefined
  // Of those that are behind: the broker has failed to answer, and is asked again outside the round.
  private restingMade: Set<Subscription> | undefined
  private untoldMade: Set<Watch> | undefined
  private isCatchingUp = false
  private hasEnded = false

  constructor(ws: WebSocket, hub: Hub, limits: TopicLimits, context: Context.Context<never>) {
    this.ws = ws
    this.hub = hub
    this.limits = limits
    this.id = hub.uniqueName()
    this.offer = ws.offerUnsafe
    this.context = context
  }

  get watches(): Map<string, Watch> {
    return this.watchesMade ??= new Map()
  }

  /** Where the client is present. */
  get present(): Map<string, Entered> {
    return this.presentMade ??= new Map()
  }

  private get behind(): Set<Subscription> {
    return this.behindMade ??= new Set()
  }

  private get resting(): Set<Subscription> {
    return this.restingMade ??= new Set()
  }

  private get untold(): Set<Watch> {
    return this.untoldMade ??= new Set()
  }

  /** How many publications the subscription that is furthest behind has not been sent. In another epoch nobody knows. */
  get lag(): number {
    let lag = 0
    if (this.behindMade === undefined) return lag
    for (const { epoch, offset, topic } of this.behindMade) if (epoch === topic.epoch) lag = Math.max(lag, topic.top - offset)
    return lag
  }

  /** Runs an effect until it ends, or the connection does. */
  fork(effect: Effect.Effect<void>): Fiber.Fiber<void> | undefined {
    if (this.hasEnded) return undefined
    const fiber = Effect.runForkWith(this.context)(effect)
    if (fiber.pollUnsafe() !== undefined) return undefined
    const fibers = this.fibers ??= new Set()
    fibers.add(fiber)
    fiber.addObserver(() => fibers.delete(fiber))
    return fiber
  }

  /** Sends a message; where the connection has ended, nobody needs it. */
  send(message: Sendable): Effect.Effect<void> {
    return Effect.ignore(this.ws.send(message))
  }

  /** Begins to deliver. The one it replaces was dropped before. */
  add(subscription: Subscription): void {
    if (this.hasEnded) return this.hub.release(subscription.topic)
    this.subscriptions.set(subscription.topic.name, subscription)
    this.hub.counts.subscriptions++
    if (!subscription.topic.attach(subscription)) {
      this.hub.counts.behind++
      this.fellBehind(subscription)
    }
  }

  /** Ends a subscription: nothing of it is delivered any more. */
  drop(subscription: Subscription): void {
    const { topic } = subscription
    if (this.subscriptions.get(topic.name) === subscription) this.subscriptions.delete(topic.name)
    topic.remove(subscription)
    if (this.behindMade?.delete(subscription) === true) this.hub.counts.behind--
    this.restingMade?.delete(subscription)
    this.hub.counts.subscriptions--
    this.hub.release(topic)
  }

  fellBehind(subscription: Subscription): void {
    this.behind.add(subscription)
    this.beginToCatchUp()
  }

  missed(watch: Watch): void {
    this.untold.add(watch)
    this.beginToCatchUp()
  }

  private beginToCatchUp(): void {
    if (this.isCatchingUp) return
    this.isCatchingUp = true
    this.fork(Effect.ignore(this.serveAll()).pipe(
      // An extension threw: the handler cannot see it.
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError("Topics: the connection failed", defect),
          Effect.ignore(this.ws.close(1011))
        )
      )
    ))
  }

  private serveAll(): Effect.Effect<void, SendError> {
    const { behind, resting, untold } = this
    return Effect.gen({ self: this }, function*() {
      // Not within the fan-out that found the connection full.
      yield* Effect.yieldNow
      while (behind.size > resting.size || untold.size > 0) {
        for (const watch of untold) yield* this.tell(watch)
        for (const subscription of behind) if (!resting.has(subscription)) yield* this.serve(subscription)
      }
      this.isCatchingUp = false
    })
  }

  /** Tells who is present, to a client that had no room for a change. */
  private tell(watch: Watch): Effect.Effect<void, SendError> {
    const { untold, ws } = this
    const { watched } = watch
    return Effect.gen(function*() {
      const { all, version } = watched
      for (const message of all) {
        yield* ws.send(message)
        if (!untold.has(watch)) return
      }
      // It may have changed again while the messages waited.
      if (watched.version !== version) return
      untold.delete(watch)
      watch.isBehind = false
    })
  }

  /** Serves one that is behind for a turn. */
  private serve(subscription: Subscription): Effect.Effect<void, SendError> {
    const { behind, hub, offer, ws } = this
    const { topic } = subscription
    return Effect.gen({ self: this }, function*() {
      const following = topic.known(subscription, turn) ??
        (yield* Effect.catch(topic.after(subscription, turn), () => Effect.undefined))
      // It may have been ended, or replaced, in the meantime.
      if (!behind.has(subscription)) return
      if (following === undefined) return this.rest(subscription)
      const { entries, gap } = following
      if (gap !== undefined) {
        subscription.epoch = gap.to.epoch
        subscription.offset = gap.to.offset
        hub.noteGap(gap)
        yield* ws.send(Answers.gap(topic.name, gap))
      }
      for (const entry of entries) {
        const message = entry.message(topic.name, subscription.epoch)
        if (!offer(message)) yield* ws.send(message)
        if (!behind.has(subscription)) return
        subscription.offset = entry.offset
        hub.counts.deliveries++
      }
      if (!behind.has(subscription)) return
      if (topic.attach(subscription)) {
        behind.delete(subscription)
        hub.counts.behind--
      } else if (gap === undefined && entries.length === 0) {
        yield* Effect.sleep(noProgress)
      }
    })
  }

  /** The broker has failed: others go on, and this one once the broker answers. */
  private rest(subscription: Subscription): void {
    const { behind, resting } = this
    const isNeeded = () => behind.has(subscription)
    const asked = Effect.retry(subscription.topic.after(subscription, 1), { schedule: patiently, while: isNeeded })
    resting.add(subscription)
    this.fork(Effect.sleep(firstRest).pipe(
      Effect.andThen(Effect.ignore(asked)),
      Effect.andThen(Effect.sync(() => {
        if (resting.delete(subscription)) this.beginToCatchUp()
      }))
    ))
  }

  /** The client is told of a topic's presence, which it holds. */
  watch(topic: LiveTopic): void {
    if (this.hasEnded) return this.hub.release(topic)
    this.watches.set(topic.name, this.hub.watch(topic, this))
  }

  /** The client is present in a topic, or about to be. */
  isPresent(entered: Entered): void {
    if (this.hasEnded) this.hub.leaveLater(entered, this.limits.presence.grace)
    else this.present.set(entered.topic, entered)
  }

  /** The client is not told of a topic's presence any more. */
  unwatch(watch: Watch): void {
    this.watches.delete(watch.watched.topic.name)
    this.untoldMade?.delete(watch)
    this.hub.unwatch(watch)
  }

  /** Ends at once all that the client has of a topic. Whether there was anything. */
  takeAway(topic: string): boolean {
    const subscription = this.subscriptions.get(topic)
    const watch = this.watchesMade?.get(topic)
    const entered = this.presentMade?.get(topic)
    if (subscription !== undefined) this.drop(subscription)
    if (watch !== undefined) this.unwatch(watch)
    if (entered !== undefined) {
      this.present.delete(topic)
      this.hub.leaveLater(entered, 0)
    }
    return subscription !== undefined || watch !== undefined || entered !== undefined
  }

  /** The connection has ended. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.hasEnded = true
      const { fibers, presentMade, watchesMade } = this
      for (const subscription of this.subscriptions.values()) this.drop(subscription)
      if (watchesMade !== undefined) for (const watch of watchesMade.values()) this.unwatch(watch)
      if (presentMade !== undefined) {
        for (const entered of presentMade.values()) this.hub.leaveLater(entered, this.limits.presence.grace)
        presentMade.clear()
      }
      return fibers === undefined || fibers.size === 0 ? Effect.void : Fiber.interruptAll(fibers)
    })
  }
}
