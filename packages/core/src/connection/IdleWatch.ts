/**
 * Closes a connection on which nothing is said (`idleTimeout`). It compares counts of
 * bytes a few times within the timeout, so that messages cost no look at the clock.
 */
import type { Link } from "./Link.ts"

// So much later than the timeout says, as a share of it, may the end come.
const looks = 4

export class IdleWatch {
  /** When to look next. */
  due: number
  private readonly link: Link
  private readonly pause: number
  private seen = 0
  private quiet = 0

  /** A watch, if the connection has an idle timeout. */
  static start(link: Link, now: number): IdleWatch | undefined {
    return link.limits.idleTimeout === Infinity ? undefined : new IdleWatch(link, now)
  }

  private constructor(link: Link, now: number) {
    this.link = link
    this.pause = link.limits.idleTimeout / looks
    this.due = now + this.pause
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    const { link } = this
    if (!link.isOpen) {
      this.due = Infinity
      return
    }
    const { controls } = link.protocol
    const seen = link.receivedBytes + link.sentBytes - controls.received - controls.sent
    // While this side or the peer is too busy to read, something is going on.
    this.quiet = seen === this.seen && !link.isPaused && !link.isBlocked ? this.quiet + 1 : 0
    this.seen = seen
    if (this.quiet < looks) {
      this.due = now + this.pause
    } else {
      this.due = Infinity
      link.close(1001, "idle")
    }
  }
}
