/**
 * The keepalive of a connection that cannot send Pings: a message of the application, and the peer's
 * answer (see `MessageTransport.Heartbeat`).
 */
import type { Message, Sendable } from "../Message.ts"
import type { Heartbeat } from "../MessageTransport.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import { uncaught } from "../runtime/Uncaught.ts"
import type { Limits } from "../Limits.ts"
import type { IOError } from "../WebSocketError.ts"
import { keepAliveTimedOut, type MessageKeepAlive } from "./LinkHooks.ts"

/** A link that has a heartbeat. */
export interface BeatingLink {
  readonly limits: Limits
  readonly deadlines: Deadlines
  readonly isOpen: boolean
  readonly isBlocked: boolean
  readonly protocol: { send(message: Sendable): void }
  flush(): void
  updateAlarm(): void
  break(error: IOError): void
}

export class HeartbeatTimer implements MessageKeepAlive {
  due: number | undefined
  private readonly link: BeatingLink
  private readonly heartbeat: Heartbeat
  // A message was sent, and nothing has arrived since.
  private isAwaited = false
  // How long it may still take, while the timeout is suspended.
  private remaining: number | undefined

  constructor(link: BeatingLink, heartbeat: Heartbeat) {
    this.link = link
    this.heartbeat = heartbeat
  }

  start(now: number): void {
    const { keepAlive } = this.link.limits
    if (keepAlive !== undefined) this.due = now + keepAlive.interval
  }

  stop(): void {
    this.due = this.remaining = undefined
  }

  /** A message arrived, which shows that the peer is there; returns whether it is an answer and nothing else. */
  takes(message: Message): boolean {
    const { deadlines, limits } = this.link
    if (this.isAwaited && limits.keepAlive !== undefined) {
      this.isAwaited = false
      this.remaining = undefined
      this.due = deadlines.now() + limits.keepAlive.interval
      this.link.updateAlarm()
    }
    try {
      return this.heartbeat.isAnswer(message)
    } catch (defect) {
      uncaught(defect)
      return false
    }
  }

  standStill(paused: boolean, now: number): void {
    if (paused && this.isAwaited && this.due !== undefined) {
      this.remaining = this.due - now
      this.due = undefined
    } else if (!paused && this.remaining !== undefined) {
      this.due = now + this.remaining
      this.remaining = undefined
    }
  }

  onAlarm(now: number): void {
    const { heartbeat, link } = this
    const { keepAlive } = link.limits
    if (keepAlive === undefined || this.due === undefined || now < this.due) return
    if (!link.isOpen) {
      this.due = undefined
    } else if (!this.isAwaited) {
      this.isAwaited = true
      link.protocol.send(heartbeat.message)
      link.flush()
      this.due = now + keepAlive.timeout
    } else if (link.isBlocked) {
      // Output waits, which is for the stalled-write deadline to judge.
      this.due = now + keepAlive.timeout
    } else {
      this.due = undefined
      link.break(keepAliveTimedOut("the heartbeat", keepAlive.timeout))
    }
  }
}

/** The keepalive by a heartbeat, for links that are made later. */
export const beating = (heartbeat: Heartbeat | undefined): ((link: BeatingLink) => HeartbeatTimer) | undefined =>
  heartbeat && ((link) => new HeartbeatTimer(link, heartbeat))
