/**
 * Joins protocol, transport and time: it regulates reading and keeps the deadlines; how it ends is in `EndingLink`.
 * It is plain synchronous code, called by the transport, by the shared scheduler of deadlines and by the effects of
 * `Reader` and `Writer`, which it wakes. `ByteLink` moves bytes between a protocol and a transport, `MessageLink` whole
 * messages to and from a platform that frames them by itself.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Capabilities } from "../Capabilities.ts"
import type { Message, Sendable } from "../Message.ts"
import type { Budget, Holder } from "../memory/MemoryBudget.ts"
import type { Flushable } from "../runtime/FlushQueue.ts"
import { EndingLink } from "./EndingLink.ts"
import type {
  Compression,
  KeepAlive,
  LinkObserver,
  LinkOwner,
  ObservedLink,
  TimedLink,
  Timer
} from "./LinkHooks.ts"
import type { IncomingMessage, Kind, PieceReader, ReceiveError } from "./Pieces.ts"
import type { Pings } from "./Pings.ts"
import type { Outcome, SendError, Thrown, Turns } from "./Sending.ts"
import { type StandingLink, Standstill } from "./Standstill.ts"
import { IdleWatch, type StallWatch } from "./Watches.ts"

let opened = 0

export abstract class Link extends EndingLink implements Flushable, Holder, ObservedLink, TimedLink, StandingLink {
  abstract readonly capabilities: Capabilities
  /** The name of the extension that was negotiated. */
  abstract readonly extension: string | undefined
  /** What finds a peer that vanished. */
  abstract readonly keepAlive: KeepAlive | undefined
  /** What sends Pings, if this side can. */
  abstract readonly pings: Pings | undefined
  readonly serial: number = opened++
  /** The budget of all connections, if this one counts in any; set before the first byte. */
  budget: Budget | undefined
  /** The pages that the budget has counted. */
  accounted = 0
  /** Bytes of messages that were accepted and not encoded. */
  keptBack = 0
  /** Observes this connection, if its metrics, span or log lines are wanted. */
  observer: LinkObserver | undefined
  /** Holds this connection, as a server does. */
  owner: LinkOwner | undefined

  /** When it opened, in the milliseconds of `Deadlines.now`. */
  openedAt = 0
  /** All bytes that ever arrived. */
  receivedBytes = 0
  /** All bytes that were ever written to the transport. */
  sentBytes = 0
  /** Writes that the transport took later than at once: the peer made room for them. */
  takenWrites = 0
  /** Reading is paused, because messages that arrived were not read. */
  isPaused = false

  // What ends it by time; most connections need none of them most of the time.
  protected stall: StallWatch | undefined
  #idle: IdleWatch | undefined
  #standstill: Standstill | undefined
  protected flushScheduled = false
  // Paused by the mark, and reading nevertheless until something arrives.
  protected isLooking = false

  start(): void {
    this.openedAt = this.deadlines.now()
    this.keepAlive?.start(this.openedAt)
    if (this.limits.idleTimeout !== Infinity) this.#idle = new IdleWatch(this, this.openedAt)
    this.updateAlarm()
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  /** The transport has not taken the last write. */
  abstract readonly isBlocked: boolean

  /** Whether more is buffered than the mark allows, even after a flush. */
  get isAboveMark(): boolean {
    const mark = this.limits.outboundHighWaterMark
    if (this.bufferedBytes < mark) return false
    this.flush()
    return this.bufferedBytes >= mark
  }

  /** What is sent of a message here: itself, or what it was prepared from. */
  abstract plain(message: Sendable): Sendable

  /** Appends a message if there is room for it: it is written with what follows in this run of JavaScript, or at once. */
  abstract attempt(message: Sendable): Outcome

  /** Sends a message if there is room for it now. Bytes that its caller may change are copied. */
  abstract offer(message: Sendable): boolean

  /** Appends messages that need not wait and need no special treatment. Returns the index of the first that does. */
  abstract sendRun(messages: ReadonlyArray<Sendable>, from: number): number

  /** The effect of an attempt that only some links have. */
  settle?(outcome: "inFlight" | Thrown): Effect.Effect<void, SendError>

  /** Lets the sender of a message in fragments go on, before all others, where there are fragments. */
  resumeHolder?(writer: Turns): void

  /** A message that its caller may change from now on. */
  owned(message: Sendable): Sendable {
    return message
  }

  /** Whether it gives back the memory of messages that it sends without a copy, and keeps no others. */
  get returnsMemory(): boolean {
    return false
  }

  /** Whether a message is sent in slices, with turns of other code in between. */
  isSliced(_message: Sendable): _message is Message {
    return false
  }

  /** Sends a message of which {@link isSliced} is true. */
  sendSliced?(writer: Turns, message: Message, accepted: (() => void) | undefined): Effect.Effect<void, SendError>

  /** Sends one message from a stream of its fragments. */
  abstract sendStream<E, R>(
    writer: Turns,
    kind: Kind,
    fragments: Stream.Stream<Message, E, R>
  ): Effect.Effect<void, SendError | E, R>

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
    this.hooks.writer.onWritable()
    this.sendersMoved()
    this.closing?.advance()
    // The alarm may now ring too early. It then finds nothing due and is set again.
    if (this.closing !== undefined) this.updateAlarm()
  }

  /**
   * Whether senders must let other code run first, because an extension has encoded enough in
   * this turn of the event loop. They continue when the next one begins.
   */
  get isTurnOver(): boolean {
    return false
  }

  /** Waiting senders continued, or a streamed message ended. */
  sendersMoved(): void {
    this.closing?.settle(false)
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  /** Reads the input that was left over. */
  feedRest(): void {}

  protected afterInput(): void {
    this.hooks.reader.onReadable()
    this.checkEnding()
    this.flushAnswers()
    // The answer to the peer's Close may have been written just now.
    this.closing?.advance()
    this.regulate()
  }

  /** The next message as a stream of its fragments. */
  abstract receiveStream(reader: PieceReader): Effect.Effect<IncomingMessage, ReceiveError>

  /** The reader passes messages on to what {@link returnsMemory}, and gives back that of messages that were copied. */
  lendMemory(): void {}

  /** The reader may be any from now on: messages that were not taken are its to keep. */
  ownMemory(): void {}

  /** Drops what is left of a message that is read piece by piece. */
  leaveFragments(): void {}

  /** Messages, or bytes that are not decoded, wait for the reader. */
  get hasUnread(): boolean {
    return this.isDecoding || this.protocol.messages.length > 0
  }

  /** Input is being decoded, or waits to be. */
  get isDecoding(): boolean {
    return false
  }

  get traffic(): number {
    return this.receivedBytes + this.sentBytes
  }

  compression?(): Compression | undefined

  /** Messages wait above the mark, so that this side reads little or nothing. */
  get isStanding(): boolean {
    return this.isPaused || this.#standstill !== undefined
  }

  /** The same, with a reader that is busy with something else. */
  get isBusy(): boolean {
    return this.isPaused || (this.#standstill !== undefined && this.hooks.reader.isReading)
  }

  get unreadBytes(): number {
    return this.protocol.inbound.queuedBytes
  }

  get canReadMore(): boolean {
    return !this.isDecoding && this.budget?.isExhausted !== true
  }

  get heldBytes(): number {
    return this.gone || this.broken !== undefined ? 0 : this.inboundBytes + this.bufferedBytes + this.keptBack
  }

  /** Reports to the budget what is held. */
  account(): void {
    this.budget?.account(this)
  }

  /** The memory of what was received and not read. */
  protected get inboundBytes(): number {
    return this.unreadBytes
  }

  /**
   * Resumes or pauses reading. It is paused above the mark, unless the reader waits or
   * everything is dropped anyway, and while the budget of all connections is exhausted.
   */
  regulate(): void {
    if (this.gone) return
    this.account()
    const isDropping = !this.protocol.isOpen || this.closing?.isEnding === true
    const isStanding = !isDropping && (this.isDecoding ||
      (!this.hooks.reader.isWaiting && this.unreadBytes >= this.limits.inboundHighWaterMark))
    if (!isStanding) this.#standstill = undefined
    else this.#standstill ??= new Standstill(this, this.deadlines.now())
    const isFull = !isDropping && (this.budget?.holdsBack(this) === true || (isStanding && !this.isLooking))
    if (isFull === this.isPaused) return
    this.isPaused = isFull
    // While this side does not read, no Pong can be seen.
    this.keepAlive?.standStill(isFull, this.deadlines.now())
    this.stoodStill()
    this.updateAlarm()
    // The last step, because a transport may deliver at once what it has kept.
    if (isFull) this.transport.pause()
    else this.transport.resume()
  }

  /** Reading was paused or resumed: a pause is not the peer's fault. */
  protected stoodStill(): void {}

  /** Resumes reading until something arrives. */
  look(): void {
    this.isLooking = true
    this.regulate()
  }

  /**
   * The reader says what it waits for. Input that had to wait for this decision is read, so
   * look again before waiting.
   */
  demand(_demand: "none" | "message" | "fragments"): void {}

  /** The reader took something, or begins to wait. */
  afterRead(): void {
    if (this.accounted > 0) this.account()
    if (this.#standstill !== undefined) this.#standstill.progress(this.deadlines.now())
    const isEnding = this.closing?.isEnding === true
    if (this.isPaused || this.#standstill !== undefined || isEnding) this.regulate()
    if (isEnding) this.hooks.onEnding(true)
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /** Only the end of the transport is left. */
  stop(): void {
    this.stall = this.#idle = this.#standstill = undefined
    this.keepAlive?.stop()
    this.hooks.writer.onWritable()
    this.hooks.reader.onReadable()
    this.keptBack = 0
    this.budget?.leave(this)
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
    if (!this.isDecoding) this.dispose()
  }

  /** Nothing reads any more: input is dropped, and the process need not stay for the rest. */
  abandon(): void {
    if (this.gone) this.dispose()
  }

  /** Gives back what the connection held: its transport is closed, and all input is decoded or dropped. */
  dispose(): void {
    const { end } = this
    if (end.isDisposed) return
    end.isDisposed = true
    this.observer?.onDisposed(this)
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  override onAlarm(now: number): void {
    this.closing?.onAlarm()
    // Each may end the connection.
    for (const timer of this.timers) if (this.broken === undefined && !this.gone) timer?.onAlarm(now)
    if (this.stall?.due === Infinity) this.stall = undefined
    this.updateAlarm()
  }

  protected get timers(): ReadonlyArray<Timer | undefined> {
    return [this.stall, this.#idle, this.#standstill, this.keepAlive]
  }

  updateAlarm(): void {
    if (this.gone) return
    this.deadlines.set(this, this.nextDue)
  }

  protected get nextDue(): number {
    return this.timers.reduce((due, timer) => Math.min(due, timer?.due ?? Infinity), this.closing?.due ?? Infinity)
  }
}
