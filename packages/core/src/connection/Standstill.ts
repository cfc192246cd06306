/**
 * A connection whose reading is paused, because its program reads nothing while messages wait above
 * the inbound mark. It then sees nothing of the peer: no Ping, Pong or Close, and not the end of its
 * stream. So from time to time this side looks for more: it reads until something arrives. There is
 * a second mark for what that brings; above it, looks are as rare as the keepalive's Pings. These go
 * on: one that cannot be written shows that the peer has left, however much waits before its end.
 * The pause as a whole has a limit (`unreadTimeout`).
 */
import type { Limits } from "../Limits.ts"

/** A link whose reading is paused. */
export interface StandingLink {
  readonly limits: Limits
  /** Bytes that wait for the reader. */
  readonly unreadBytes: number
  /** Whether more can be read at all: nothing waits undecoded, and memory is left. */
  readonly canReadMore: boolean
  closeAfterKept(code: number, reason: string): void
  /** Resumes reading until something arrives. */
  look(): void
}

// How long reading may be paused before this side looks for more.
const soon = 1000

// Where the keepalive is off.
const seldom = 20_000

export class Standstill {
  /** When to look next. */
  due: number
  readonly #link: StandingLink
  #since: number
  #lookedAt: number

  constructor(link: StandingLink, now: number) {
    this.#link = link
    this.#since = this.#lookedAt = now
    this.due = now + this.#pause
  }

  get #pause(): number {
    return Math.min(soon, this.#link.limits.keepAlive?.interval ?? soon)
  }

  /** The reader took something: reading resumes. */
  progress(now: number): void {
    this.#since = now
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    const link = this.#link
    const { inboundHighWaterMark, keepAlive, unreadTimeout } = link.limits
    if (now - this.#since >= unreadTimeout) {
      this.due = Infinity
      link.closeAfterKept(1011, "messages are not read")
      return
    }
    const hasReserve = link.unreadBytes < 2 * inboundHighWaterMark
    this.due = Math.min(now + this.#pause, this.#since + unreadTimeout)
    if (link.canReadMore && (hasReserve || now - this.#lookedAt >= (keepAlive?.interval ?? seldom))) {
      this.#lookedAt = now
      link.look()
    }
  }
}
