/**
 * Joins protocol, transport and time: it regulates reading and keeps the deadlines; `LinkClosing`
 * ends everything. It is plain synchronous code, called by the transport, by the shared scheduler of
 * deadlines and by the effects of `Reader` and `Writer`, which it wakes. `ByteLink` moves bytes
 * between a protocol and a transport, `MessageLink` whole messages to and from a platform that frames
 * them by itself.
 */
import type { Capabilities } from "../Capabilities.ts"
import type { CloseInfo } from "../CloseCode.ts"
import type { Limits } from "../Limits.ts"
import type { Transform } from "../MessageExtension.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import type { Flushable } from "../runtime/FlushQueue.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"
import { HeldMemory } from "./HeldMemory.ts"
import { type ClosableLink, EndListeners, LinkClosing } from "./LinkClosing.ts"
import {
  type KeepAlive,
  type LinkHooks,
  type LinkObserver,
  type LinkOwner,
  type LinkTransport,
  noHooks,
  type ObservedLink,
  type TimedLink
} from "./LinkHooks.ts"
import type { LinkProtocol } from "./LinkProtocol.ts"
import type { Pieces } from "./Pieces.ts"
import type { Pings } from "./Pings.ts"
import { type StandingLink, Standstill } from "./Standstill.ts"
import { Watches } from "./Watches.ts"

export abstract class Link extends HeldMemory
  implements Flushable, ObservedLink, TimedLink, ClosableLink, StandingLink {
  abstract readonly protocol: LinkProtocol
  abstract readonly transport: LinkTransport
  abstract readonly transform: Transform | undefined
  abstract readonly capabilities: Capabilities
  /** The name of the extension that was negotiated. */
  abstract readonly extension: string | undefined
  /** What finds a peer that vanished. */
  abstract readonly keepAlive: KeepAlive | undefined
  /** How messages are sent and received piece by piece. */
  abstract readonly pieces: Pieces
  /** What sends Pings, if this side can. */
  abstract readonly pings: Pings | undefined
  readonly limits: Limits
  readonly deadlines: Deadlines
  hooks: LinkHooks = noHooks
  /** Observes this connection, if its metrics, span or log lines are wanted. */
  observer: LinkObserver | undefined
  /** Holds this connection, as a server does. */
  owner: LinkOwner | undefined
  /** Listeners to its end. */
  listeners: EndListeners | undefined

  /** When it opened, in the milliseconds of `Deadlines.now`. */
  openedAt = 0
  /** All bytes that ever arrived. */
  receivedBytes = 0
  /** All bytes that were ever written to the transport. */
  sentBytes = 0
  /** Writes that the transport took later than at once: the peer made room for them. */
  takenWrites = 0
  /** Bytes of the last write that the transport has not taken. */
  inFlight = 0
  /** Reading is paused, because messages that arrived were not read. */
  isPaused = false

  protected watches: Watches | undefined
  private standstill: Standstill | undefined
  protected closing: LinkClosing | undefined
  protected flushScheduled = false
  // Input is being read, at the end of which all is flushed.
  protected taking = false
  protected feeding = false
  // Paused by the mark, and reading nevertheless until something arrives.
  protected isLooking = false
  // Input that the protocol has not read: it waits for the reader, or for the next turn of the event loop.
  protected rest: Uint8Array | undefined

  constructor(limits: Limits, deadlines: Deadlines) {
    super()
    this.limits = limits
    this.deadlines = deadlines
  }

  start(): void {
    this.openedAt = this.deadlines.now()
    this.keepAlive?.start(this.openedAt)
    this.watches = Watches.start(this, this.openedAt)
    this.updateAlarm()
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  /** Bytes that were accepted and that the transport has not taken. */
  get bufferedBytes(): number {
    return this.protocol.outputBytes + this.inFlight
  }

  /** Bytes of the last write that the transport has not passed on, where it knows. */
  abstract readonly pendingBytes: number

  /** The transport has not taken the last write. */
  get isBlocked(): boolean {
    return this.inFlight > 0
  }

  /** Writes the output that waits, unless the transport has not taken the last write. */
  abstract flush(): void

  /** Sends the end of the stream, where the transport has one: nothing more is sent. */
  abstract endOutput(): void

  /** Writes the output once the current run of JavaScript ends: one write for many sends. */
  abstract scheduleFlush(): void

  /** Called for what {@link scheduleFlush} put off. */
  flushNow(): void {
    this.flushScheduled = false
    this.flush()
    this.account()
  }

  /** Writes the output that waits, at the end of what the reader did with its input. */
  flushAnswers(): void {
    this.flush()
  }

  /** The peer made room: senders that wait for it continue. */
  protected madeRoom(): void {
    this.takenWrites++
    this.closing?.alive()
    this.hooks.onWritable()
    this.sendersMoved()
    this.closing?.advance()
    // The alarm may now ring too early. It then finds nothing due and is set again.
    if (this.closing !== undefined) this.updateAlarm()
  }

  /**
   * Whether senders must let other code run first, because an extension has encoded enough in
   * this turn of the event loop. They continue when the next one begins.
   */
  abstract readonly isTurnOver: boolean

  /** Waiting senders continued, or a streamed message ended. */
  sendersMoved(): void {
    this.closing?.settle(false)
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  /** Reads the input that was left over. */
  abstract feedRest(): void

  protected afterInput(): void {
    if (this.hooks.isWaiting) this.hooks.onReadable()
    this.checkEnding()
    this.flushAnswers()
    // The answer to the peer's Close may have been written just now.
    this.closing?.advance()
    this.regulate()
    if (this.protocol.inbound.isInsideMessage) this.insideMessage()
    if (this.closing !== undefined) this.updateAlarm()
  }

  /** The input so far stops inside a message. */
  protected insideMessage(): void {}

  /** Messages, or bytes that are not decoded, wait for the reader. */
  get hasUnread(): boolean {
    return this.protocol.messages.length > 0 || this.rest !== undefined
  }

  /** Input is being decoded, or waits to be. */
  get isDecoding(): boolean {
    return this.feeding || this.rest !== undefined
  }

  /** Messages wait above the mark, so that this side reads little or nothing. */
  get isStanding(): boolean {
    return this.isPaused || this.standstill !== undefined
  }

  /** The same, with a reader that is busy with something else. */
  get isBusy(): boolean {
    return this.isPaused || (this.standstill !== undefined && this.hooks.isReading)
  }

  get unreadBytes(): number {
    return this.protocol.inbound.queuedBytes
  }

  get canReadMore(): boolean {
    return this.rest === undefined && !this.budget.isExhausted
  }

  protected get heldBytes(): number {
    if (this.gone || this.broken !== undefined) return 0
    return this.protocol.inbound.heldBytes + this.bufferedBytes + (this.rest === undefined ? 0 : this.rest.length)
  }

  /**
   * Resumes or pauses reading. It is paused above the mark, unless the reader waits or
   * everything is dropped anyway, and while the budget of all connections is exhausted.
   */
  regulate(): void {
    // A Pong wakes its fiber while input is read. That fiber must not cause the next input to be read before the
    // rest of this one, so `feed` regulates afterwards.
    if (this.gone || this.feeding) return
    this.account()
    const isDropping = !this.protocol.isOpen || this.closing?.isEnding === true
    const isStanding = !isDropping && (this.rest !== undefined ||
      (!this.hooks.isWaiting && this.unreadBytes >= this.limits.inboundHighWaterMark))
    if (!isStanding) this.standstill = undefined
    else this.standstill ??= new Standstill(this, this.deadlines.now())
    const isFull = !isDropping && (this.heldBack() || (isStanding && !this.isLooking))
    if (isFull === this.isPaused) return
    this.isPaused = isFull
    // While this side does not read, no Pong can be seen.
    this.keepAlive?.standStill(isFull, this.deadlines.now())
    this.watches?.standStill()
    this.updateAlarm()
    // The last step, because a transport may deliver at once what it has kept.
    if (isFull) this.transport.pause()
    else this.transport.resume()
  }

  /** Resumes reading until something arrives. */
  look(): void {
    this.isLooking = true
    this.regulate()
  }

  /**
   * The reader says what it waits for. Input that had to wait for this decision is read, so
   * look again before waiting.
   */
  demand(demand: "none" | "message" | "fragments"): void {
    this.protocol.demand(demand)
    if (demand !== "none" && this.rest !== undefined && this.protocol.stopped !== "turn") {
      this.feedRest()
      this.checkEnding()
      this.flush()
      this.regulate()
    }
  }

  /** The reader took something, or begins to wait. */
  afterRead(): void {
    if (this.accounted > 0) this.account()
    if (this.standstill !== undefined) this.standstill.progress(this.deadlines.now())
    const isEnding = this.closing?.isEnding === true
    if (this.isPaused || this.standstill !== undefined || isEnding) this.regulate()
    if (isEnding) this.hooks.onEnding(true)
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

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
  once(what: "closing" | "closed" | "done" | "gone", listener: () => void): () => void {
    return (this.listeners ??= new EndListeners())[what].add(listener)
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
    this.hooks.beforeClose()
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

  /** Only the end of the transport is left. */
  stop(): void {
    this.watches = this.standstill = undefined
    this.keepAlive?.stop()
    this.inFlight = 0
    this.protocol.outbound.clear()
    if (this.gone) this.protocol.outputTaken()
    this.hooks.onWritable()
    if (this.hooks.isWaiting) this.hooks.onReadable()
    this.leaveBudget()
  }

  /** The transport is closed: informs the observer. */
  observeGone(): void {
    this.observer?.onGone(this)
  }

  /** The transport is closed: gives back what the connection held. */
  release(): void {
    this.deadlines.set(this, Infinity)
    const { owner } = this
    this.owner = undefined
    owner?.onGone(this.hooks)
    // Input that has arrived is still decoded.
    if (this.rest === undefined && !this.feeding) this.dispose()
  }

  /** Nothing reads any more: input is dropped, and the process need not stay for the rest. */
  abandon(): void {
    if (this.gone) return this.dispose()
    this.rest = undefined
    const { transport } = this
    if (transport.unref === undefined) return
    transport.unref()
    this.deadlines.set(this, Infinity)
    this.end.isAbandoned = true
    this.updateAlarm()
  }

  /** The process need not stay for the end of an abandoned connection. */
  override get isBackground(): boolean {
    return this.closing?.isAbandoned === true
  }

  /** Gives back what the connection held: its transport is closed, and all input is decoded or dropped. */
  dispose(): void {
    this.rest = undefined
    const { end } = this
    if (end.isDisposed) return
    end.isDisposed = true
    this.transform?.close()
    this.observer?.onDisposed(this)
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  override onAlarm(now: number): void {
    this.closing?.onAlarm()
    this.watches = this.watches?.onAlarm(now)
    if (this.broken === undefined && !this.gone) {
      this.standstill?.onAlarm(now)
      this.keepAlive?.onAlarm(now)
    }
    this.updateAlarm()
  }

  updateAlarm(): void {
    if (this.gone) return
    this.deadlines.set(this, this.nextDue)
  }

  protected get nextDue(): number {
    const { closing, keepAlive, standstill, watches } = this
    const due = Math.min(closing?.due ?? Infinity, keepAlive?.due ?? Infinity, watches?.due ?? Infinity)
    return Math.min(due, standstill?.due ?? Infinity)
  }
}
