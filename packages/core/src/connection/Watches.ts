/**
 * The deadlines of a connection that its traffic keeps away, but for the keepalive's: that
 * of a write that stalls, of a message that does not come along, of a connection on which
 * nothing is said. Few connections need any of them, and most of the time none: so they
 * exist from when they are needed until there is nothing to watch.
 */
import type { Link } from "./Link.ts"
import { IdleWatch } from "./IdleWatch.ts"
import { MessageWatch } from "./MessageWatch.ts"
import { StallWatch } from "./StallWatch.ts"

export class Watches {
  private readonly link: Link
  private idle: IdleWatch | undefined
  private message: MessageWatch | undefined
  private stall: StallWatch | undefined

  /** Those that a connection has from its beginning. */
  static start(link: Link, now: number): Watches | undefined {
    const idle = IdleWatch.start(link, now)
    if (idle === undefined) return undefined
    const watches = new Watches(link)
    watches.idle = idle
    return watches
  }

  constructor(link: Link) {
    this.link = link
  }

  /** When to look next. */
  get due(): number {
    const { idle, message, stall } = this
    return Math.min(idle?.due ?? Infinity, message?.due ?? Infinity, stall?.due ?? Infinity)
  }

  /** The input so far stops inside a message. */
  insideMessage(): void {
    this.message ??= new MessageWatch(this.link)
    this.message.begin()
  }

  /** Reading is paused, or resumed: what does not come meanwhile is not the peer's fault. */
  standStill(): void {
    this.message?.standStill()
  }

  /** The transport did not take a write; `pending` bytes are left of it. */
  writeBlocked(pending: number): void {
    this.stall ??= new StallWatch(this.link)
    this.stall.begin(pending)
  }

  /** It has taken it. */
  writeTaken(): void {
    this.stall?.end()
  }

  /** Looks at each that is due, and returns itself if there is anything to watch on. */
  onAlarm(now: number): Watches | undefined {
    // Each may end the connection, and with it all that watch it.
    this.stall?.onAlarm(now)
    if (!this.isOver) this.idle?.onAlarm(now)
    if (!this.isOver) this.message?.onAlarm(now)
    return this.isOver || this.due === Infinity ? undefined : this
  }

  private get isOver(): boolean {
    return this.link.broken !== undefined || this.link.gone
  }
}
