/**
 * The deadlines of a connection that its traffic keeps away: the keepalive's, that of a
 * write that stalls, of a message that does not come along, of a connection on which
 * nothing is said. Those that few need exist from when they are needed only.
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

  constructor(link: Link) {
    this.link = link
  }

  /** When to look next. */
  get due(): number {
    const { idle, link, message, stall } = this
    return Math.min(link.pings.due, idle?.due ?? Infinity, message?.due ?? Infinity, stall?.due ?? Infinity)
  }

  start(now: number): void {
    this.link.pings.start(now)
    this.idle = IdleWatch.start(this.link, now)
  }

  stop(): void {
    this.link.pings.stop()
    this.idle = this.message = this.stall = undefined
  }

  /** The input so far stops inside a message. */
  insideMessage(): void {
    this.message ??= new MessageWatch(this.link)
    this.message.begin()
  }

  /** Reading is paused, or resumed: what does not come meanwhile is not the peer's fault. */
  standStill(paused: boolean, now: number): void {
    this.link.pings.standStill(paused, now)
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

  onAlarm(now: number): void {
    // Each may end the connection, and with it all that watch it.
    this.stall?.onAlarm(now)
    this.idle?.onAlarm(now)
    this.message?.onAlarm(now)
    if (this.link.broken === undefined && !this.link.gone) this.link.pings.onAlarm(now)
  }
}
