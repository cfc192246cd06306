/**
 * The deadlines that traffic postpones, except for the keepalive's: a write that stalls, a connection without messages; and a
 * message without progress (`MessageWatch`). A watch exists only while there is something to watch.
 */
import { IOError } from "../WebSocketError.ts"
import type { TimedLink, Timer } from "./LinkHooks.ts"

// The Close is sent at most a quarter of the timeout late.
const looks = 4

/**
 * Closes a connection without messages (`idleTimeout`). It compares counters a few times within the
 * timeout, so that messages need not read the clock.
 */
export class IdleWatch implements Timer {
  /** When to look next. */
  due: number
  readonly #link: TimedLink
  readonly #pause: number
  #seen = 0
  #quiet = 0

  constructor(link: TimedLink, now: number) {
    this.#link = link
    this.#pause = link.limits.idleTimeout / looks
    this.due = now + this.#pause
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    const link = this.#link
    if (!link.isOpen) {
      this.due = Infinity
      return
    }
    // While this side or the peer is too busy to read, something is going on.
    this.#quiet = link.traffic === this.#seen && !link.isBusy && !link.isBlocked ? this.#quiet + 1 : 0
    this.#seen = link.traffic
    if (this.#quiet < looks) {
      this.due = now + this.#pause
    } else {
      this.due = Infinity
      link.close(1001, "idle")
    }
  }
}

/**
 * Breaks a connection whose peer takes nothing of what is written
 * (`stalledWriteTimeout`). A write that makes progress, however slowly, is not stalled.
 */
export class StallWatch implements Timer {
  /** When to look next. */
  due = Infinity
  readonly #link: TimedLink
  #pending = 0

  constructor(link: TimedLink) {
    this.#link = link
  }

  /** The transport did not take a write; `pending` bytes are left of it. */
  begin(pending: number): void {
    this.#pending = pending
    this.due = this.#link.deadlines.now() + this.#link.limits.stalledWriteTimeout
  }

  /** The transport has taken the write. */
  end(): void {
    this.due = Infinity
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    const link = this.#link
    const timeout = link.limits.stalledWriteTimeout
    const pending = link.pendingBytes
    if (pending < this.#pending) {
      this.#pending = pending
      this.due = now + timeout
      return
    }
    this.due = Infinity
    link.break(
      new IOError({
        phase: "write",
        reason: "TimedOut",
        detail: `The peer took nothing of what was sent for ${timeout} ms (stalledWriteTimeout)`
      })
    )
  }
}
