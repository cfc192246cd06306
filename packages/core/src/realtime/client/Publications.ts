/**
 * Publications on their way to the server: each is sent under its key until it is acknowledged, on as many connections as it takes, and it is
 * known whether one that is given up may have been applied. Plain synchronous state.
 */
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import type { Position } from "../Broker.ts"
import { NotConnected } from "../../WebSocketError.ts"
import { type Answered, type Calls, elapsed, type Moment } from "./Calls.ts"
import { PublishUnknown, Refused, refusedBy, Retries } from "./Errors.ts"

export interface Acknowledged {
  readonly position: Position
  readonly duplicate: boolean
}

export class Pending {
  readonly topic: string
  readonly key: string
  /** The value as JSON text. */
  readonly text: string
  /** For how many milliseconds from its first sending it may be sent again. */
  readonly life: number
  readonly outcome = Deferred.makeUnsafe<Acknowledged, Refused | PublishUnknown | NotConnected>()
  /** How often it was sent without an answer that says that it was not applied. */
  doubts = 0
  sentAt: Moment | undefined
  readonly retries = new Retries()
  /** Its place among all. */
  place = 0

  constructor(topic: string, key: string, text: string, life: number) {
    this.topic = topic
    this.key = key
    this.text = text
    this.life = life
  }

  /** Whether the server may have forgotten the key, and would apply it twice. */
  isTooOld(now: Moment): boolean {
    return this.sentAt !== undefined && elapsed(this.sentAt, now) > this.life
  }

  /** Given up: what is known of it. */
  givenUp(reason: NotConnected["reason"], cause: unknown): PublishUnknown | NotConnected {
    const because = cause === undefined ? {} : { cause }
    return this.doubts > 0
      ? new PublishUnknown({ topic: this.topic, key: this.key, ...because })
      : new NotConnected({ reason, ...because })
  }
}

export class Publications {
  private readonly calls: Calls
  private readonly limit: number
  // In the order in which they were published.
  private readonly pending = new Set<Pending>()
  private waiting: Array<Pending> = []
  private readonly underWay = new Set<Pending>()
  private isPaused = false
  private places = 0

  constructor(calls: Calls, limit: number) {
    this.calls = calls
    this.limit = limit
  }

  get size(): number {
    return this.pending.size
  }

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.pending.size < this.limit
  }

  add(pending: Pending): void {
    pending.place = ++this.places
    this.pending.add(pending)
    this.waiting.push(pending)
    this.pump()
  }

  /** Nobody waits for it any more. What was sent cannot be taken back. */
  remove(pending: Pending): void {
    this.pending.delete(pending)
  }

  opened(): void {
    this.lost()
    this.pump()
  }

  lost(): void {
    this.underWay.clear()
    this.isPaused = false
    this.waiting = Array.from(this.pending)
  }

  finish(cause: unknown): void {
    for (const pending of this.pending) this.fail(pending, pending.givenUp("Ended", cause))
  }

  /** Sends as many as the server takes at a time. */
  private pump(): void {
    const { calls } = this
    const { welcome } = calls
    if (welcome === undefined) return
    while (!this.isPaused && this.underWay.size < welcome.calls) {
      const next = this.waiting.shift()
      if (next === undefined) return
      if (!this.pending.has(next)) continue
      if (next.text.length > welcome.size) {
        // It would only cost the connection, again and again.
        const detail = `the value has ${next.text.length} characters of JSON, and the server takes ${welcome.size}`
        this.refuse(next, new Refused("publish", next.topic, "limit", detail, undefined))
      } else if (this.isCurrent(next)) this.send(next)
    }
  }

  /** Whether it is still to be sent. One that has become too old is given up. */
  private isCurrent(pending: Pending): boolean {
    if (!this.pending.has(pending)) return false
    if (!pending.isTooOld(this.calls.around.now())) return true
    this.fail(pending, pending.givenUp("Away", undefined))
    return false
  }

  private send(pending: Pending): void {
    this.underWay.add(pending)
    const { key, text, topic } = pending
    this.calls.askAs((id) => ({
      text: `{"type":"publish","id":${id},"topic":${JSON.stringify(topic)},"key":${JSON.stringify(key)},"value":${text}}`,
      isWanted: () => {
        // It may have waited for room on the connection, and the machine slept meanwhile.
        if (this.isCurrent(pending)) return true
        this.calls.forget(id)
        this.underWay.delete(pending)
        // There is room for the next one, but not in the midst of sending.
        this.calls.around.later(0, () => this.pump())
        return false
      },
      given: () => {
        pending.doubts++
        pending.sentAt ??= this.calls.around.now()
      }
    }), (answer) => this.answered(pending, answer))
  }

  private answered(pending: Pending, answer: Answered): void {
    this.underWay.delete(pending)
    if (this.pending.has(pending)) {
      if (answer.type === "published") this.acknowledge(pending, answer)
      else if (answer.type === "failed") this.failed(pending, answer)
    }
    this.pump()
  }

  private acknowledge(pending: Pending, { duplicate, position }: Acknowledged): void {
    this.pending.delete(pending)
    this.calls.counts.publications++
    Deferred.doneUnsafe(pending.outcome, Exit.succeed({ position, duplicate }))
  }

  private failed(pending: Pending, answer: Extract<Answered, { type: "failed" }>): void {
    if (answer.code !== "unknown") pending.doubts--
    const delay = pending.retries.next(answer, this.calls.around.random())
    if (delay === undefined) return this.refuse(pending, refusedBy("publish", pending.topic, answer))
    if (answer.code === "defect") {
      // A mistake of the program in one place holds up nothing else.
      this.calls.around.later(delay, () => {
        if (!this.pending.has(pending) || this.underWay.has(pending) || this.waiting.includes(pending)) return
        this.putBack(pending)
        this.pump()
      })
      return
    }
    // The later ones wait too, so that the order stays.
    this.putBack(pending)
    this.isPaused = true
    this.calls.around.later(delay, () => {
      this.isPaused = false
      this.pump()
    })
  }

  /** Back to its place. */
  private putBack(pending: Pending): void {
    const at = this.waiting.findIndex(({ place }) => place > pending.place)
    this.waiting.splice(at < 0 ? this.waiting.length : at, 0, pending)
  }

  /** Refused now. If it may have been applied when it was sent before, that is not known. */
  private refuse(pending: Pending, refused: Refused): void {
    this.fail(pending, pending.doubts > 0 ? pending.givenUp("Lost", new Error(refused.detail)) : refused)
  }

  private fail(pending: Pending, error: Refused | PublishUnknown | NotConnected): void {
    this.pending.delete(pending)
    Deferred.doneUnsafe(pending.outcome, Exit.fail(error))
  }
}
