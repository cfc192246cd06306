/**
 * One topic on the client's side: its readers, and the one subscription on the connection that serves them all. Plain synchronous state.
 */
import * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import type { Failed, Gap, Publication, Signalled, Subscribed } from "../wire/Messages.ts"
import { type Refused, refusedBy, Retries } from "./Errors.ts"
import type { Answered, Calls } from "./Calls.ts"
import { finish } from "./Finish.ts"
import type { Reader, Since } from "./Reader.ts"

/** A signal that is not decoded yet. */
export interface SignalItem {
  readonly from: string
  readonly value: Schema.Json
}

export type Listener<E> = Queue.Queue<SignalItem, E | Cause.Done>

/** What was asked, and has no answer yet. */
interface Asking<E> {
  readonly id: number
  /** The readers for which a snapshot was asked. */
  readonly snapshotFor: ReadonlyArray<Reader<E | Refused>>
}

export class Channel<E> {
  readonly topic: string
  private readonly calls: Calls
  readonly readers = new Set<Reader<E | Refused>>()
  readonly listeners = new Set<Listener<E | Refused>>()
  // A subscription was asked for on this connection, and not ended since.
  private isAsked = false
  // It was answered.
  private isStanding = false
  private asking: Asking<E> | undefined
  private isPaused = false
  private readonly retries = new Retries()
  private readonly unused: () => void

  constructor(calls: Calls, topic: string, unused: () => void) {
    this.calls = calls
    this.unused = unused
    this.topic = topic
  }

  get isUnused(): boolean {
    return this.readers.size === 0 && this.listeners.size === 0
  }

  /** A connection is there. */
  opened(): void {
    this.lost()
    this.reconcile()
  }

  /** What was asked has no answer any more. */
  lost(): void {
    this.isAsked = this.isStanding = this.isPaused = false
    this.asking = undefined
    for (const reader of this.readers) reader.lost()
  }

  /** Makes the subscription what the readers need. */
  reconcile(): void {
    const { calls, topic } = this
    if (calls.link === undefined) return
    const active = Array.from(this.readers).filter((reader) => reader.isActive)
    if (active.length === 0 && this.listeners.size === 0) {
      if (this.isAsked) calls.ask({ type: "unsubscribe", topic })
      this.isAsked = this.isStanding = false
      this.asking = undefined
      return
    }
    if (this.asking !== undefined || this.isPaused) return
    if (this.isAsked && !active.some((reader) => reader.needsAsk)) return
    const since = lowest(active)
    const snapshotFor = active.filter((reader) => reader.needsAsk && reader.wantsSnapshot)
    if (since !== undefined) calls.counts.recoveries++
    const id = calls.ask({
      type: "subscribe",
      topic,
      ...(since !== undefined && { since }),
      ...(snapshotFor.length > 0 && { snapshot: true })
    }, (answer) => this.answered(answer))
    this.isAsked = true
    this.asking = { id, snapshotFor }
    for (const reader of active) {
      reader.needsAsk = false
      reader.ask = id
    }
  }

  private answered(answer: Answered): void {
    const { asking } = this
    if (asking === undefined || asking.id !== answer.id) return
    this.asking = undefined
    if (answer.type === "subscribed") {
      this.retries.reset()
      this.isStanding = true
      this.subscribed(answer, asking.snapshotFor.length > 0)
      this.reconcile()
    } else if (answer.type === "failed") this.failed(answer, asking)
  }

  /** It was not done, and nothing has changed: what stood before stands. */
  private failed(answer: typeof Failed.Type, { id, snapshotFor }: Asking<E>): void {
    this.isAsked = this.isStanding
    for (const reader of this.readers) if (reader.ask === id) reader.lost()
    const concerned = snapshotFor.filter((reader) => this.readers.has(reader))
    if (concerned.length > 0 && isOwnFault(answer)) return this.failedFor(concerned, answer)
    const delay = this.retries.next(answer, this.calls.around.random())
    if (delay === undefined) return this.fail(refusedBy("subscribe", this.topic, answer))
    this.isPaused = true
    this.calls.around.later(delay, () => {
      this.isPaused = false
      this.reconcile()
    })
  }

  /** It may be the snapshot that failed, so it concerns those who asked for one. The others are asked for without. */
  private failedFor(concerned: ReadonlyArray<Reader<E | Refused>>, answer: typeof Failed.Type): void {
    const { around } = this.calls
    const random = around.random()
    const resting: Array<Reader<E | Refused>> = []
    let longest = 0
    for (const reader of concerned) {
      const delay = reader.retries.next(answer, random)
      if (delay === undefined) {
        this.readers.delete(reader)
        reader.end(Cause.fail<E | Refused>(refusedBy("subscribe", this.topic, answer)))
      } else {
        longest = Math.max(longest, delay)
        reader.isResting = true
        resting.push(reader)
      }
    }
    if (resting.length > 0) {
      around.later(longest, () => {
        for (const reader of resting) reader.isResting = false
        this.reconcile()
      })
    }
    if (this.isUnused) this.unused()
    this.reconcile()
  }

  private subscribed(answer: typeof Subscribed.Type, snapshot: boolean): void {
    const { id } = answer
    for (const reader of this.readers) if (reader.ask === id) reader.subscribed(answer, snapshot)
  }

  publication({ epoch, key, offset, value }: typeof Publication.Type): void {
    const item = { _tag: "Publication" as const, epoch, offset, key, value }
    let changes = false
    for (const reader of this.readers) {
      reader.publication(item)
      changes ||= reader.needsAsk || reader.isBehind
    }
    if (changes) this.reconcile()
  }

  gap({ gap }: typeof Gap.Type): void {
    for (const reader of this.readers) reader.gap(gap)
    this.reconcile()
  }

  signalled({ from, value }: typeof Signalled.Type): void {
    for (const listener of this.listeners) Queue.offerUnsafe(listener, { from, value })
  }

  /** The server ended the subscription. */
  ended(why: Refused): void {
    this.isStanding = false
    this.fail(why)
  }

  /** A reader has taken everything that was queued before it was behind. */
  drained(reader: Reader<E | Refused>): void {
    reader.drained()
    this.reconcile()
  }

  /** All who read here learn why they no longer can. */
  private fail(refused: Refused): void {
    // A subscription that stood before, or one that is still being asked for.
    if (this.isStanding || this.asking !== undefined) this.calls.ask({ type: "unsubscribe", topic: this.topic })
    this.lost()
    // First, because a reader that fails leaves.
    this.unused()
    this.end(Cause.fail<E | Refused>(refused))
    this.readers.clear()
    this.listeners.clear()
  }

  /** Nothing more comes. */
  end(cause: Cause.Cause<E | Refused> | undefined): void {
    for (const reader of this.readers) reader.end(cause)
    for (const listener of this.listeners) finish(listener, cause)
  }
}

/** Whether the fault may lie in what was asked, and not in the broker, or in how much was asked. */
const isOwnFault = ({ code, retryAfter }: typeof Failed.Type): boolean =>
  code !== "unavailable" && code !== "unknown" && (code !== "limit" || retryAfter === undefined)

/** The position from which all of them miss nothing that can be had; what the others have already they ignore. */
const lowest = (readers: ReadonlyArray<{ readonly from: Since }>): Since => {
  let found: Since
  for (const { from } of readers) {
    if (from === undefined) continue
    // There is no order between epochs.
    if (from === "start" || found === "start" || (found !== undefined && found.epoch !== from.epoch)) return "start"
    if (found === undefined || from.offset < found.offset) found = from
  }
  return found
}
