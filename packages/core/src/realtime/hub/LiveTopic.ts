/**
 * One topic in a process that somebody there is subscribed to: where it stands, its latest publications, and who hears of
 * the next one. The broker is asked only for what this process has not heard.
 *
 * A subscription is *live* while it has everything: the next publication is sent to it at once. Otherwise it is *behind*, with
 * a position of its own, and nothing is kept for it: it is served from {@link LiveTopic.after} until it is live again.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import type { Prepared } from "../../Message.ts"
import type { BrokerError, Entry, History, Position, Read } from "../Broker.ts"
import type { Gap } from "../TopicEvent.ts"
import { Recent, type RecentBudget, Window } from "./Recent.ts"

/** The connection of a subscription. */
export interface Peer {
  /** Unique among all processes. */
  readonly id: string
  /** Sends a message if there is room for it now. */
  readonly offer: (message: Prepared) => boolean
  /** The subscription is not live any more. */
  readonly fellBehind: (subscription: Subscription) => void
}

/** A connection's subscription to a topic: there may be a hundred thousand, so it has few fields. */
export class Subscription {
  readonly topic: LiveTopic
  readonly peer: Peer
  // The position of the last publication that it has; while it is live, the topic's.
  epoch: string
  offset: number
  /** The index among the topic's live subscriptions; -1 while it is behind. */
  at = -1

  constructor(topic: LiveTopic, peer: Peer, { epoch, offset }: Position) {
    this.topic = topic
    this.peer = peer
    this.epoch = epoch
    this.offset = offset
  }
}

/** What follows a position: publications in order, or first a gap. */
export interface Following {
  readonly entries: ReadonlyArray<Recent>
  readonly gap: Gap | undefined
}

const nothing: Following = { entries: [], gap: undefined }

/** What a topic needs of its process. */
export interface Surroundings {
  readonly budget: RecentBudget
  readonly windowCount: number
  readonly now: () => number
  /** Runs a task at the end of this run of JavaScript. */
  readonly soon: (task: () => void) => void
  readonly read: (topic: string, since: Position, limit: number) => Effect.Effect<Read, BrokerError>
  /** Runs an effect that asks the broker, as long as the hub lives. */
  readonly ask: (question: Effect.Effect<void>) => void
  /** The same a little later, since the broker has just failed. */
  readonly askLater: (question: Effect.Effect<void>) => void
  readonly counts: { deliveries: number; publications: number; behind: number }
}

/** How many publications are read from the broker at once. */
const readAtOnce = 256

// What was read back may be nearly too old, so it is not held for long.
const heldAfterReading = 5000

/** Waits grow from 100 ms to 5 s. */
export const patiently = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])

const noSubscriptions: Array<Subscription> = []

export class LiveTopic {
  readonly name: string
  readonly history: History
  epoch = ""
  /** The offset of the last publication that is known here. */
  top = 0
  /** How many hold it: it is given up some time after the last one has let go. */
  holders = 0
  private readonly around: Surroundings
  private readonly window: Window
  // The oldest publication that is kept, as far as is known.
  private floor = 1
  private live = noSubscriptions
  // Publications of this run of JavaScript, which the live subscriptions do not have yet.
  private untold: Array<Recent> = []
  private waiting: Set<() => void> | undefined
  private isOpen = false
  private isRepairing = false
  private isDoubted = false
  // Of one process only one reads at a time, so that the answers come in order and others find them in the window.
  private reading: Semaphore.Semaphore | undefined
  // The last one who read failed: those who waited for their turn fail with it, instead of one after the other.
  private failed: BrokerError | undefined
  // An epoch that the broker has left: those who come back from it are many.
  private gone: string | undefined

  constructor(name: string, history: History, around: Surroundings) {
    this.name = name
    this.history = history
    this.around = around
    this.window = new Window(around.budget, Math.min(around.windowCount, history.size))
  }

  get position(): Position {
    return { epoch: this.epoch, offset: this.top }
  }

  /** The process is subscribed, and this is where the topic stands. What was heard before may be newer. */
  open({ epoch, offset }: Position): void {
    this.epoch = epoch
    this.top = offset
    // Nothing is known of the history.
    this.floor = 1
    this.isOpen = true
    if (this.isDoubted) this.doubt()
  }

  /** The broker told of a publication. */
  hear(epoch: string, entry: Entry): void {
    if (!this.isOpen || epoch !== this.epoch) this.doubt()
    else if (entry.offset === this.top + 1) this.append(entry)
    else if (entry.offset > this.top) this.doubt()
  }

  /** Something may be missing: the broker is asked until nothing is. */
  doubt(): void {
    this.isDoubted = true
    if (!this.isOpen || this.isRepairing) return
    this.isRepairing = true
    this.around.ask(Effect.suspend(() => this.repair()))
  }

  // Effects are made when they are needed: most topics never read.
  private repair(): Effect.Effect<void> {
    if (!this.isOpen) return Effect.void
    this.isDoubted = false
    return Effect.matchEffect(this.refresh(), {
      onFailure: () =>
        Effect.sync(() => this.around.askLater(Effect.suspend(() => this.repair()))),
      onSuccess: () => {
        if (this.isDoubted && this.isOpen) return this.repair()
        this.isRepairing = false
        return Effect.void
      }
    })
  }

  /** Reads on from the top until the broker has no more. */
  private refresh(): Effect.Effect<void, BrokerError> {
    return this.inTurn(this.readOn())
  }

  private inTurn<A>(effect: Effect.Effect<A, BrokerError>): Effect.Effect<A, BrokerError> {
    return (this.reading ??= Semaphore.makeUnsafe(1)).withPermit(effect)
  }

  private readOn(): Effect.Effect<void, BrokerError> {
    return Effect.suspend(() =>
      Effect.flatMap(this.around.read(this.name, this.position, readAtOnce), (read) => {
        const before = this.top
        const { epoch } = this
        this.take(read)
        const hasMoved = this.top > before || this.epoch !== epoch
        return hasMoved && this.top < read.top ? this.readOn() : Effect.void
      }))
  }

  /** Takes in what was read behind the top. */
  private take(read: Read): void {
    const { entries, epoch, oldest, top } = read
    if (epoch !== this.epoch) {
      // The broker lost data: nobody is at the top any more.
      this.allFallBehind()
      this.window.clear()
      this.gone = this.epoch
      this.epoch = epoch
      this.floor = oldest
      this.top = oldest - 1
    } else {
      this.floor = Math.max(this.floor, oldest)
      if (oldest > this.top + 1 && top > this.top) {
        this.allFallBehind()
        this.window.clear()
        this.top = oldest - 1
      }
    }
    for (const entry of entries) if (entry.offset === this.top + 1) this.append(entry)
    this.wakeAll()
  }

  private append(entry: Entry): void {
    const recent = new Recent(entry, this.around.now() + this.history.timeToLive)
    this.top = entry.offset
    this.window.push(recent)
    const { counts } = this.around
    counts.publications++
    if (this.live.length > 0 && this.untold.push(recent) === 1) this.around.soon(this.tellAll)
    if (this.waiting !== undefined) this.wakeAll()
  }

  /** The fan-out of what was published in this run of JavaScript. All that is told next to one connection costs less. */
  private readonly tellAll = (): void => {
    const { live, untold } = this
    if (untold.length === 0) return
    this.untold = []
    const messages = untold.map((recent) => recent.message(this.name, this.epoch))
    const { counts } = this.around
    for (let at = 0; at < live.length;) {
      const subscription = live[at]
      const told = toldOf(subscription.peer, messages)
      counts.deliveries += told
      if (told === messages.length) at++
      else this.fallBehind(subscription, untold[told].offset - 1)
    }
  }

  /** Sends a message to those who have room for it, but not back to its sender. */
  pass(message: Prepared, sender: string): void {
    this.tellAll()
    for (const { peer } of this.live) if (peer.id !== sender) offered(peer, message)
  }

  private fallBehind(subscription: Subscription, offset: number): void {
    subscription.epoch = this.epoch
    subscription.offset = offset
    this.remove(subscription)
    this.around.counts.behind++
    subscription.peer.fellBehind(subscription)
  }

  private allFallBehind(): void {
    this.tellAll()
    while (this.live.length > 0) this.fallBehind(this.live[this.live.length - 1], this.top)
  }

  /** Makes a subscription live, if it has everything. */
  attach(subscription: Subscription): boolean {
    // It has these already.
    this.tellAll()
    if (subscription.offset !== this.top || subscription.epoch !== this.epoch) return false
    if (this.live === noSubscriptions) this.live = []
    subscription.at = this.live.length
    this.live.push(subscription)
    return true
  }

  /** The subscription gets nothing any more. */
  remove(subscription: Subscription): void {
    this.tellAll()
    const { at } = subscription
    if (at === -1) return
    const last = this.live.pop()!
    if (last !== subscription) {
      this.live[at] = last
      last.at = at
    }
    subscription.at = -1
  }

  /** Waits for the next publication, or for another epoch. */
  get moved(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const wake = () => resume(Effect.void)
      const waiting = this.waiting ??= new Set()
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    })
  }

  private wakeAll(): void {
    const { waiting } = this
    this.waiting = undefined
    if (waiting !== undefined) for (const wake of waiting) wake()
  }

  /** At most `limit` of what follows a position, if it is known without the broker. */
  known({ epoch, offset }: Position, limit: number): Following | undefined {
    this.window.expire(this.around.now())
    const first = this.window.first?.offset ?? this.top + 1
    if (epoch === this.epoch) {
      if (offset >= this.top) return nothing
      if (offset + 1 >= first) return { entries: this.window.from(offset + 1, limit), gap: undefined }
      if (offset + 1 >= this.floor) return undefined
    }
    return first === this.floor ? this.gap({ epoch, offset }, first) : undefined
  }

  private gap({ epoch, offset }: Position, oldest: number): Following {
    const reason = epoch === this.epoch ? "history" : "epoch"
    // A copy: what asks may be a subscription, whose position goes on.
    const from = { epoch, offset }
    return { entries: [], gap: { _tag: "Gap", reason, from, to: { epoch: this.epoch, offset: oldest - 1 } } }
  }

  /** At most `limit` of what follows a position. */
  after(position: Position, limit: number): Effect.Effect<Following, BrokerError> {
    return Effect.suspend(() => {
      const known = this.known(position, limit)
      return known === undefined ? this.inTurn(this.readAfter(position, limit, this.failed)) : Effect.succeed(known)
    })
  }

  private readAfter(position: Position, limit: number, failed: BrokerError | undefined): Effect.Effect<Following, BrokerError> {
    return Effect.suspend(() => {
      // The one who read before may have found it.
      const known = this.known(position, limit)
      if (known !== undefined) return Effect.succeed(known)
      if (this.failed !== undefined && this.failed !== failed) return Effect.fail(this.failed)
      const atOnce = Math.min(limit, readAtOnce)
      return Effect.matchEffect(this.around.read(this.name, position, atOnce), {
        onFailure: (error) => Effect.fail(this.failed = error),
        onSuccess: (read) => {
          this.failed = undefined
          return Effect.sync(() => this.takeOlder(position, read))
        }
      })
    })
  }

  /** Takes in what was read behind a position that is not the top. */
  private takeOlder(position: Position, read: Read): Following {
    if (read.epoch !== this.epoch) {
      this.take(read)
      return this.known(position, readAtOnce) ?? this.gap(position, read.oldest)
    }
    this.floor = Math.max(this.floor, read.oldest)
    if (position.epoch !== read.epoch || read.oldest > position.offset + 1) return this.gap(position, read.oldest)
    if (read.top > this.top) this.doubt()
    const expires = this.around.now() + Math.min(this.history.timeToLive, heldAfterReading)
    const first = this.window.first?.offset ?? this.top + 1
    const entries = read.entries.filter(({ offset }) => offset <= this.top).map((entry) => new Recent(entry, expires))
    const older = entries.filter(({ offset }) => offset < first)
    if (older.at(-1)?.offset === first - 1) this.window.prepend(older)
    return { entries, gap: undefined }
  }

  /** The position behind which a subscription can begin that asks for `since`, and what it misses. */
  resolve(since: Position | "start" | undefined): Effect.Effect<{ readonly position: Position; readonly gap: Gap | undefined }, BrokerError> {
    if (since === undefined) return Effect.sync(() => ({ position: this.position, gap: undefined }))
    return Effect.suspend(() => {
      if (since === "start") return Effect.map(this.oldest, (position) => ({ position, gap: undefined }))
      // Another server may have heard more than this one: more of this epoch, or of the next.
      const isAhead = () => since.epoch === this.epoch ? since.offset > this.top : since.epoch !== this.gone
      return Effect.flatMap(isAhead() ? this.refresh() : Effect.void, () => {
        if (since.epoch !== this.epoch) this.gone = since.epoch
        return since.epoch === this.epoch && since.offset > this.top
          ? Effect.map(this.oldest, (to) => ({ position: to, gap: { _tag: "Gap", reason: "epoch", from: since, to } as const }))
          : Effect.map(this.after(since, 1), ({ gap }) => ({ position: gap?.to ?? since, gap }))
      })
    })
  }

  /** The position before the oldest publication that is kept. */
  private get oldest(): Effect.Effect<Position, BrokerError> {
    return Effect.suspend(() => {
      const position = { epoch: this.epoch, offset: 0 }
      return Effect.map(this.after(position, 1), ({ gap }) => gap?.to ?? position)
    })
  }

  /** It is given up: nothing is held any more. */
  close(): void {
    this.isOpen = false
    this.window.clear()
  }
}

/** How many messages a peer has taken. */
const toldOf = (peer: Peer, messages: ReadonlyArray<Prepared>): number => {
  for (let at = 0; at < messages.length; at++) if (!offered(peer, messages[at])) return at
  return messages.length
}

const offered = (peer: Peer, message: Prepared): boolean => {
  try {
    return peer.offer(message)
  } catch {
    // An extension of that connection threw. It throws again where the subscription catches up, which ends that
    // connection and no other.
    return false
  }
}
