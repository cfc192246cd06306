/**
 * Ends a connection whose peer begins a message and does not go on with it
 * (`messageProgress`). It is set once input stops inside a message
 * and looks again when its time has come, so that a stream of messages, each cut by
 * the edges of the network's chunks, costs one look at the clock in each timeout.
 */
import type { Link } from "./Link.ts"

export class MessageWatch {
  /** When to look next. */
  due = Infinity
  private readonly link: Link
  private message = 0
  private received = 0
  private stoodStill = false

  constructor(link: Link) {
    this.link = link
  }

  /** The input stops inside a message. */
  begin(): void {
    const { isOpen, limits, protocol } = this.link
    if (this.due !== Infinity || !isOpen || protocol.ending !== undefined || limits.messageProgress.timeout === Infinity) return
    this.look(this.link.deadlines.now())
    this.link.updateAlarm()
  }

  /** Reading was paused or resumed: what did not come meanwhile is not the peer's fault. */
  standStill(): void {
    this.stoodStill = true
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    this.due = Infinity
    const { limits, protocol } = this.link
    if (!this.link.isOpen || !protocol.isInsideMessage) return
    const isSame = protocol.messagesEnded === this.message
    const comesAlong = this.dataBytes - this.received >= limits.messageProgress.bytes
    if (isSame && !comesAlong && !this.stoodStill && !this.link.isPaused && !this.isStreamed) {
      this.link.violate("MessageTooSlow")
    } else {
      this.look(now)
    }
  }

  /** Whether the message is handed on as it comes: it holds no memory, and its reader keeps its own time. */
  private get isStreamed(): boolean {
    const { fragments } = this.link.protocol
    return fragments !== undefined && !fragments.done && !fragments.discarded
  }

  /** What came, Pings and Pongs left out: a message does not come along by them. */
  private get dataBytes(): number {
    return this.link.receivedBytes - this.link.protocol.controls.received
  }

  private look(now: number): void {
    this.due = now + this.link.limits.messageProgress.timeout
    this.message = this.link.protocol.messagesEnded
    this.received = this.dataBytes
    this.stoodStill = false
  }
}
