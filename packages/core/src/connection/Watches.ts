/**
 * The deadlines of a connection that its traffic keeps away: of a write that stalls,
 * a message that does not come along, a connection on which nothing is said. Each
 * exists from when it is needed, so that an idle connection pays for none.
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
    const { idle, message, stall } = this
    return Math.min(idle?.due ?? Infinity, message?.due ?? Infinity, stall?.due ?? Infinity)
  }

  start(now: number): void {
    this.idle = IdleWatch.start(this.link, now)
  }

  stop(): void {
    this.idle = this.message = this.stall = undefined
  }

  /** The input so far stops inside a message. */
  insideMessage(): void {
    this.message ??= new MessageWatch(this.link)
    this.message.begin()
  }

  /** Reading was paused or resumed: what did not come meanwhile is not the peer's fault. */
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

  onAlarm(now: number): void {
    // Each may end the connection, and with it all that watch it.
    this.stall?.onAlarm(now)
    this.idle?.onAlarm(now)
    this.message?.onAlarm(now)
  }
}
