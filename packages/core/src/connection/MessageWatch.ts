/** The deadline of a message that arrives in parts, which only a transport of bytes delivers. */
import type { Protocol } from "../Protocol.ts"
import type { ProtocolRule } from "../WebSocketError.ts"
import type { TimedLink, Timer } from "./LinkHooks.ts"

/** A link that decodes messages. */
export interface DecodingLink extends TimedLink {
  readonly protocol: Protocol
  /** The peer broke a rule about time. */
  violate(rule: ProtocolRule): void
}

/**
 * Ends a connection whose peer begins a message and makes no progress with it (`messageProgress`).
 * It begins once input stops inside a message and checks again after the timeout, so that messages
 * which are split by the chunks of the network cost one look at the clock in each timeout.
 */
export class MessageWatch implements Timer {
  /** When to look next. */
  due = Infinity
  private readonly link: DecodingLink
  private message = 0
  private received = 0
  private stoodStill = false

  constructor(link: DecodingLink) {
    this.link = link
  }

  /** The input stops inside a message. */
  begin(): void {
    const { isOpen, limits, protocol } = this.link
    if (this.due !== Infinity || !isOpen || protocol.ending !== undefined || limits.messageProgress.timeout === Infinity) return
    this.look(this.link.deadlines.now())
    this.link.updateAlarm()
  }

  /** Reading was paused or resumed: a pause is not the peer's fault. */
  standStill(): void {
    this.stoodStill = true
  }

  onAlarm(now: number): void {
    if (now < this.due) return
    this.due = Infinity
    const { limits, protocol } = this.link
    if (!this.link.isOpen || !protocol.inbound.isInsideMessage) return
    const isSame = protocol.inbound.receivedMessages === this.message
    const progresses = this.dataBytes - this.received >= limits.messageProgress.bytes
    if (isSame && !progresses && !this.stoodStill && !this.link.isStanding && !this.isStreamed) {
      this.link.violate("MessageTooSlow")
    } else {
      this.look(now)
    }
  }

  /** Whether the message is delivered as it arrives: it holds no memory, and its reader has its own time. */
  private get isStreamed(): boolean {
    const { fragments } = this.link.protocol
    return fragments !== undefined && !fragments.done && !fragments.discarded
  }

  /** Bytes received, without Pings and Pongs, which are no progress of a message. */
  private get dataBytes(): number {
    return this.link.receivedBytes - this.link.protocol.controls.received
  }

  private look(now: number): void {
    this.due = now + this.link.limits.messageProgress.timeout
    this.message = this.link.protocol.inbound.receivedMessages
    this.received = this.dataBytes
    this.stoodStill = false
  }
}
