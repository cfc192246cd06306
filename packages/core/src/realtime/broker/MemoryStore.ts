/**
 * What the brokers in memory of one service share, as the processes of a service share a Redis. It runs no effects: a topic
 * that keeps something has an alarm in the deadlines of the Clock, so that what nobody reads is forgotten in time too.
 */
import { Alarm, type Deadlines } from "../../runtime/Deadlines.ts"
import { Inbox } from "./Inbox.ts"
import { MemoryTopic } from "./MemoryTopic.ts"
import type { Entry, Heard, History, Members, Position, Presence, Published, Read } from "./Model.ts"

/** One process: its own counts, and what it hears. */
export class MemoryProcess {
  readonly inbox = new Inbox()
  /** How many scopes are subscribed to a topic. */
  readonly counts = new Map<string, number>()
  /** The topic of each presence that the process entered. */
  readonly entered = new Map<string, string>()
}

type Topic = MemoryTopic<MemoryProcess>

class Expiry extends Alarm {
  private readonly run: (now: number) => void

  constructor(run: (now: number) => void) {
    super()
    this.run = run
  }

  override onAlarm(now: number): void {
    this.run(now)
  }
}

export class MemoryStore {
  private readonly deadlines: Deadlines
  private readonly newEpoch: () => string
  private epoch: string
  private readonly topics = new Map<string, Topic>()
  private readonly expiries = new Map<Topic, Expiry>()
  private isClosed = false

  constructor(deadlines: Deadlines, newEpoch: () => string) {
    this.deadlines = deadlines
    this.newEpoch = newEpoch
    this.epoch = newEpoch()
  }

  /** How many topics it holds anything of. */
  get size(): number {
    return this.topics.size
  }

  /** Nothing is forgotten by time any more, so that no timer is left. */
  close(): void {
    this.isClosed = true
    this.disarm()
  }

  private disarm(): void {
    for (const expiry of this.expiries.values()) this.deadlines.set(expiry, Infinity)
    this.expiries.clear()
  }

  /** What was published is lost, as where a Redis is restarted without its data. Those who are present are still there. */
  lose(): void {
    this.epoch = this.newEpoch()
    this.disarm()
    const listeners = new Set<MemoryProcess>()
    for (const topic of this.topics.values()) {
      topic.forget()
      for (const owner of topic.listeners) listeners.add(owner)
      this.release(topic)
    }
    for (const owner of listeners) owner.inbox.offer({ _tag: "Missed", topic: undefined })
  }

  private topicOf(name: string): Topic {
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = new MemoryTopic(name)
      this.topics.set(name, topic)
    }
    return topic
  }

  private release(topic: Topic): void {
    if (topic.isBlank) this.topics.delete(topic.name)
  }

  private tell(topic: Topic, heard: Heard): void {
    for (const owner of topic.listeners) owner.inbox.offer(heard)
  }

  publish(name: string, entry: Omit<Entry, "offset">, history: History): Published {
    const now = this.deadlines.now()
    const topic = this.topicOf(name)
    const { entry: kept, ...published } = topic.publish(this.epoch, entry, history, now)
    if (kept === undefined) return published
    if (!this.expiries.has(topic)) this.expire(topic, now)
    this.tell(topic, { _tag: "Published", topic: name, epoch: this.epoch, entry: kept })
    return published
  }

  private expire(topic: Topic, now: number): void {
    const next = topic.trim(now)
    if (next === Infinity || this.isClosed) {
      this.expiries.delete(topic)
      return
    }
    let expiry = this.expiries.get(topic)
    if (expiry === undefined) {
      expiry = new Expiry((now) => this.expire(topic, now))
      this.expiries.set(topic, expiry)
    }
    this.deadlines.set(expiry, next)
  }

  read(name: string, since: Position, limit: number): Read {
    const topic = this.topics.get(name)
    return topic === undefined
      ? { epoch: this.epoch, entries: [], oldest: 1, top: 0 }
      : topic.read(this.epoch, since, limit, this.deadlines.now())
  }

  top(name: string): Position {
    return { epoch: this.epoch, offset: this.topics.get(name)?.top ?? 0 }
  }

  subscribe(owner: MemoryProcess, name: string): void {
    owner.counts.set(name, (owner.counts.get(name) ?? 0) + 1)
    this.topicOf(name).listeners.add(owner)
  }

  unsubscribe(owner: MemoryProcess, name: string): void {
    const count = owner.counts.get(name)! - 1
    if (count > 0) {
      owner.counts.set(name, count)
      return
    }
    owner.counts.delete(name)
    const topic = this.topicOf(name)
    topic.listeners.delete(owner)
    this.release(topic)
  }

  signal(name: string, from: string, payload: string): void {
    const topic = this.topics.get(name)
    if (topic !== undefined) this.tell(topic, { _tag: "Signalled", topic: name, from, payload })
  }

  enter(owner: MemoryProcess, name: string, presence: Presence): void {
    const topic = this.topicOf(name)
    topic.enter(presence)
    owner.entered.set(presence.id, name)
    this.tell(topic, { _tag: "MembersChanged", topic: name })
  }

  leave(owner: MemoryProcess, name: string, id: string): void {
    const topic = this.topics.get(name)
    if (owner.entered.get(id) === name) owner.entered.delete(id)
    if (topic === undefined || !topic.leave(id)) return
    this.tell(topic, { _tag: "MembersChanged", topic: name })
    this.release(topic)
  }

  /** What a process entered ends with it. */
  end(owner: MemoryProcess): void {
    for (const [id, name] of owner.entered) this.leave(owner, name, id)
  }

  members(name: string, limit: number): Members {
    const topic = this.topics.get(name)
    return topic === undefined ? { count: 0, members: [] } : { count: topic.count, members: topic.list(limit) }
  }
}
