/**
 * What a link says of its end, and what ends it. `LinkClosing` does it, and exists from the first sign of an end on.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { Limits } from "../Limits.ts"
import { Alarm, type Deadlines } from "../runtime/Deadlines.ts"
import { Listeners } from "../runtime/Listeners.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"
import { type ClosableLink, type EndStep, LinkClosing } from "./LinkClosing.ts"
import type { LinkHooks, LinkTransport } from "./LinkHooks.ts"
import type { LinkProtocol } from "./LinkProtocol.ts"

export abstract class EndingLink extends Alarm implements ClosableLink {
  abstract readonly protocol: LinkProtocol
  abstract readonly transport: LinkTransport
  readonly limits: Limits
  readonly deadlines: Deadlines
  /** The connection; set before the first byte. */
  hooks!: LinkHooks
  /** Listeners to its end. */
  listeners: Listeners<EndStep> | undefined
  protected closing: LinkClosing | undefined

  constructor(limits: Limits, deadlines: Deadlines) {
    super()
    this.limits = limits
    this.deadlines = deadlines
  }

  /** Bytes that were accepted and that the transport has not taken. */
  abstract readonly bufferedBytes: number
  /** Bytes of the last write that the transport has not passed on, where it knows; 0 if it has taken it. */
  abstract readonly pendingBytes: number
  abstract readonly hasUnread: boolean
  abstract readonly isDecoding: boolean
  /** Writes the output that waits, unless the transport has not taken the last write. */
  abstract flush(): void
  /** Sends the end of the stream, where the transport has one: nothing more is sent. */
  abstract endOutput(): void
  abstract regulate(): void
  abstract feedRest(): void
  abstract updateAlarm(): void
  abstract stop(): void
  abstract observeGone(): void
  abstract release(): void

  protected get end(): LinkClosing {
    return this.closing ??= new LinkClosing(this)
  }

  protected checkEnding(): void {
    if (this.closing !== undefined) this.closing.check()
    else if (this.protocol.ending !== undefined) this.end.check()
  }

  /** Whether data can still be sent. */
  get isOpen(): boolean {
    return this.protocol.isOpen && this.broken === undefined && !this.gone
  }

  /** Whether an ending follows the messages that wait. */
  get hasEnding(): boolean {
    return this.closing === undefined ? this.protocol.ending !== undefined : this.closing.hasEnding
  }

  /** Whether a Close frame was sent or received, or the connection broke. */
  get isClosing(): boolean {
    return !this.isOpen || this.closing?.isEnding === true
  }

  /** Whether the closing handshake is over, one way or the other. */
  get isClosed(): boolean {
    return this.closing?.info !== undefined
  }

  /** Whether there is nothing to wait for: the transport is closed, or the peer is silent. */
  get isDone(): boolean {
    return this.closing?.isDone === true
  }

  /** What broke the connection. */
  get broken(): IOError | undefined {
    return this.closing?.broken
  }

  /** The transport is closed. */
  get gone(): boolean {
    return this.closing?.goneAt !== undefined
  }

  /** When it closed, if it is. */
  get goneAt(): number | undefined {
    return this.closing?.goneAt
  }

  /** How the connection closed or, before its end, how it would be closed now. */
  get closeInfo(): CloseInfo {
    return this.closing?.info ?? this.protocol.closeInfo
  }

  /** What the reader fails with at its end; nothing after an orderly one. */
  get readFailure(): ProtocolError | IOError | undefined {
    const ending = this.protocol.ending
    if (ending?._tag === "Violation") return ending.error
    return ending === undefined && this.protocol.sentClose === undefined ? this.broken : undefined
  }

  /** Adds a listener that is called once. */
  once(step: EndStep, listener: () => void): () => void {
    return (this.listeners ??= new Listeners()).add(step, listener)
  }

  /** The reader ended. What it left unread is there for the next one. */
  readerLeft(): void {
    if (this.closing === undefined) return
    this.closing.readerLeft()
    this.hooks.onEnding(true)
  }

  /** The reader has reached the end: it takes effect. */
  processEnd(): void {
    this.end.processEnd()
    this.hooks.onEnding(true)
  }

  /** A call wants a Close that has to wait for its turn; it is sent at the close deadline in any case. */
  wantClose(code: number | undefined, reason: string): void {
    if (this.isOpen) this.end.want(code, reason)
  }

  /** Sends a Close frame after everything that was accepted. Only the first counts. */
  close(code: number | undefined, reason: string): void {
    if (this.isOpen) this.end.close(code, reason)
  }

  /** The same, with what a writer keeps back for a slow peer before the Close. */
  closeAfterKept(code: number, reason: string): void {
    if (!this.isOpen) return
    this.hooks.writer.beforeClose()
    this.close(code, reason)
  }

  /** A message that was begun will not be completed (RFC 6455 §5.4: it can neither be ended early nor taken back). */
  cutMessage(): void {
    this.close(1011, "a streamed message failed")
  }

  /** Closes to make room for other connections. */
  shed(): void {
    this.close(1013, "out of memory")
    this.end.isShed = true
  }

  /** Something that was accepted is not sent: the connection did not close cleanly. */
  lose(): void {
    this.end.hasLost = true
  }

  /** The connection broke: senders fail now, the reader fails after the messages that had arrived. */
  break(error: IOError): void {
    this.end.break(error)
  }

  onClosed(error: IOError | undefined): void {
    if (!this.gone) this.end.transportClosed(error)
  }
}
