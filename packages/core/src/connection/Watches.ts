/**
 * The deadlines that traffic postpones, except for the keepalive's: a write that stalls, a message
 * without progress (`MessageWatch`), a connection without messages. Most connections need none of
 * them most of the time: a watch exists only while there is something to watch.
 */
import { IOError } from "../WebSocketError.ts"
import type { TimedLink } from "./LinkHooks.ts"

/** Watches the progress of a message that arrives in parts; see `MessageWatch`. */
export interface ProgressWatch {
  /** When to look next. */
  readonly due: number
  /** The input stops inside a message. */
  begin(): void
  /** Reading was paused or resumed: a pause is not the peer's fault. */
  standStill(): void
  onAlarm(now: number): void
}

export class Watches {
  /** Where messages arrive in parts, since the first of them. */
  message: ProgressWatch | undefined
  private readonly link: TimedLink
  private idle: IdleWatch | undefined
  private stall: StallWatch | undefined

  /** The watches that a connection has from its beginning. */
  static start(link: TimedLink, now: number): Watches | undefined {
    const idle = IdleWatch.start(link, now)
    if (idle === undefined) return undefined
    const watches = new Watches(link)
    watches.idle = idle
    return watches
  }

  constructor(link: TimedLink) {
    this.link = link
  }

  /** When to look next. */
  get due(): number {
    const { idle, message, stall } = this
    return Math.min(idle?.due ?? Infinity, message?.due ?? Infinity, stall?.due ?? Infinity)
  }

  /** Reading was paused or resumed: a pause is not the peer's fault. */
  standStill(): void {
    this.message?.standStill()
  }

  /** The transport did not take a write; `pending` bytes are left of it. */
  writeBlocked(pending: number): void {
    this.stall ??= new StallWatch(this.link)
    this.stall.begin(pending)
  }

  /** The transport has taken the write. */
  writeTaken(): void {
    this.stall?.end()
  }

  /** Checks each watch that is due. Returns itself if there is anything left to watch. */
  onAlarm(now: number): Watches | undefined {
    // Each may end the connection, and with it all watches.
    this.stall?.onAlarm(now)
    if (!this.isOver) this.idle?.onAlarm(now)
    if (!this.isOver) this.message?.onAlarm(now)
    return this.isOver || this.due === Infinity ? undefined : this
  }

  private get isOver(): boolean {
    return this.link.broken !== undefined || this.link.gone
  }
}

// The Close is sent at most a quarter of the timeout late.
const looks = 4

/**
 * Closes a connection without messages (`idleTimeout`). It compares counters a few times within the
 * timeout, so that messages need not read the clock.
 */
class IdleWatch {
  /** When to look next. */
  due: number
  private readonly link: TimedLink
  private readonly pause: number
  private seen = 0
  private quiet = 0

  /** A watch, if the connection has an idle timeout. */
  static start(link: TimedLink, now: number): IdleWatch | undefined {
    return link.limits.idleTimeout === Infinity ? undefined : new IdleWatch(link, now)
  }

  private constructor(link: TimedLink, now: number) {
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
    const { controls, outbound } = link.protocol
    const seen = link.receivedBytes + link.sentBytes - controls.received - outbound.controlBytes
    // While this side or the peer is too busy to read, something is going on.
    this.quiet = seen === this.seen && !link.isBusy && !link.isBlocked ? this.quiet + 1 : 0
    this.seen = seen
    if (this.quiet < looks) {
      this.due = now + this.pause
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
class StallWatch {
  /** When to look next. */
  due = Infinity
  private readonly link: TimedLink
  private pending = 0

  constructor(link: TimedLink) {
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
