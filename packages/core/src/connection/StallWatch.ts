/**
 * Breaks a connection whose peer takes nothing of what is written
 * (`stalledWriteTimeout`). A write that goes on, however slowly, is not stalled.
 */
import { IOError } from "../WebSocketError.ts"
import type { Link } from "./Link.ts"

export class StallWatch {
  /** When to look next. */
  due = Infinity
  private readonly link: Link
  private pending = 0

  constructor(link: Link) {
    this.link = link
  }

  begin(pending: number): void {
    this.pending = pending
    this.due = this.link.deadlines.now() + this.link.limits.stalledWriteTimeout
  }

  end(): void {
    this.due = Infinity
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    const { link } = this
    const timeout = link.limits.stalledWriteTimeout
    const pending = link.pendingBytes
    if (pending < this.pending) {
      this.pending = pending
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
