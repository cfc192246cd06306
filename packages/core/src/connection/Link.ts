/**
 * A connection's state where protocol, transport and time meet: it moves bytes
 * between the two, keeps the deadlines, and knows how everything ends. It is plain
 * synchronous code, called by the transport, by the shared scheduler of deadlines
 * and by the effects of `Reader` and `Writer`, which it wakes.
 *
 * How a connection ends: the *ending* (the peer's Close, a broken rule, the end of
 * the stream) stands behind all messages and takes effect when the reader reaches
 * it, at the latest at the close deadline. A *break* (reset, timeout) takes effect on
 * senders at once and on the reader behind the messages that had arrived.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { Limits } from "../Limits.ts"
import type { Transform } from "../MessageExtension.ts"
import { Protocol } from "../Protocol.ts"
import { joined } from "../memory/Slab.ts"
import type { Transport, TransportHandlers } from "../Transport.ts"
import type { IOError, ProtocolError, ProtocolRule } from "../WebSocketError.ts"
import { HeldMemory } from "./HeldMemory.ts"
import { Closing, notClosing } from "./Closing.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import type { LinkHooks, LinkObserver, LinkOwner, ObservedLink, TimedLink } from "./LinkHooks.ts"
import { closeTimedOut, endedWithoutClose, goneWithoutClose, noHooks } from "./LinkHooks.ts"
import { Listeners } from "../runtime/Listeners.ts"
import { Pings } from "./Pings.ts"
import { flushSoon, type Flushable } from "../runtime/FlushQueue.ts"
import { Watches } from "./Watches.ts"

export class Link extends HeldMemory implements TransportHandlers, Flushable, ObservedLink, TimedLink {
  readonly protocol: Protocol
  readonly limits: Limits
  readonly deadlines: Deadlines
  readonly pings: Pings
  private watches: Watches | undefined
  hooks: LinkHooks = noHooks
  /** Who keeps account of this connection, if anyone does. */
  observer: LinkObserver | undefined
  /** Who holds this connection, if anyone does. */
  owner: LinkOwner | undefined

  /** A reader is present: it has begun to read and not said that it is done. */
  reading = false
  /** The reader waits for input. */
  waiting = false
  /** A message is being sent fragment by fragment, so other data must wait. */
  streaming = false

  /** When it opened, in the milliseconds of `Deadlines.now`. */
  openedAt = 0
  /** All bytes that ever arrived. */
  receivedBytes = 0
  /** All bytes that the transport was ever given. */
  sentBytes = 0
  /** Reading is paused, since what arrived was not pulled. */
  isPaused = false

  readonly transform: Transform | undefined
  private readonly transport: Transport
  /** Bytes of the last write that the transport has not taken. */
  inFlight = 0
  private flushScheduled = false
  // Input is being read, at the end of which all is flushed.
  private taking = false
  private feeding = false
  // What the protocol has not read: it waits for the reader, or for its next turn.
  private rest: Uint8Array | undefined
  private turnScheduled = false
  private closing: Readonly<Closing> = notClosing

  constructor(
    role: "client" | "server",
    transport: Transport,
    limits: Limits,
    deadlines: Deadlines,
    transform?: Transform
  ) {
    super()
    this.transform = transform
    this.transport = transport
    this.limits = limits
    this.deadlines = deadlines
    this.pings = new Pings(this)
    const { chunks, primitives } = transport
    this.protocol = new Protocol({ role, primitives, chunks, transform, clock: deadlines }, limits, this.pings)
  }

  start(): void {
    this.openedAt = this.deadlines.now()
    this.pings.start(this.openedAt)
    this.watches = Watches.start(this, this.openedAt)
    this.updateAlarm()
    this.transport.start(this)
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  /** Bytes that were accepted and that the transport has not taken. */
  get bufferedBytes(): number {
    return this.protocol.outputBytes + this.inFlight
  }

  /** What broke the connection. */
  get broken(): IOError | undefined {
    return this.closing.broken
  }

  /** The transport is closed. */
  get gone(): boolean {
    return this.closing.goneAt !== undefined
  }

  /** When it closed, if it is. */
  get goneAt(): number | undefined {
    return this.closing.goneAt
  }

  /** Whether data can still be sent. */
  get isOpen(): boolean {
    return this.protocol.isOpen && this.broken === undefined && !this.gone
  }

  /** Bytes of the last write that the transport has not passed on, where it knows. */
  get pendingBytes(): number {
    return this.transport.pendingBytes?.() ?? 0
  }

  get isBlocked(): boolean {
    return this.inFlight > 0
  }

  /** Writes what waits, unless the transport still has the last write. */
  flush(): void {
    const protocol = this.protocol
    const bytes = protocol.outputBytes
    if (bytes === 0 || this.inFlight > 0 || this.gone || this.broken !== undefined) return
    this.sentBytes += bytes
    if (this.transport.write(protocol.takeOutput())) {
      protocol.outputTaken()
      return
    }
    // The transport may notice while it writes that it is closed.
    if (this.gone) return
    this.inFlight = bytes
    protocol.outbound.blocked = true
    this.account()
    ;(this.watches ??= new Watches(this)).writeBlocked(this.pendingBytes)
    this.updateAlarm()
  }

  /** Writes what waits once the current run of JavaScript ends: one write for many sends. */
  scheduleFlush(): void {
    if (this.flushScheduled || this.taking) return
    this.flushScheduled = true
    flushSoon(this)
  }

  /** Called for what {@link scheduleFlush} put off. */
  flushNow(): void {
    this.flushScheduled = false
    this.flush()
    this.account()
  }

  onTaken(): void {
    if (this.gone) return
    this.inFlight = 0
    this.watches?.writeTaken()
    this.protocol.outputTaken()
    this.protocol.outbound.blocked = false
    this.hooks.onWriteTaken()
    this.flush()
    this.account()
    this.hooks.onWritable()
    this.settle()
    this.advanceClosing()
    // The alarm may now go off too early; it finds nothing due and is set anew.
  }

  /**
   * Whether senders are to let everybody else run first, since an extension has encoded
   * enough in this turn of the event loop; they are told when the next one begins.
   */
  get isTurnOver(): boolean {
    if (!this.protocol.outbound.isTurnOver) return false
    if (!this.turnScheduled) {
      this.turnScheduled = true
      this.deadlines.nextTurn(() => this.takeTurn())
    }
    return true
  }

  private takeTurn(): void {
    this.turnScheduled = false
    this.protocol.outbound.tookTurn()
    this.hooks.onWritable()
  }

  /** Suspended senders went on, or a streamed message ended. */
  sendersMoved(): void {
    this.settle()
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  onData(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length
    this.taking = true
    try {
      if (this.rest === undefined) this.feed(chunk, this.transport.chunks === "owned")
      else this.rest = joined(this.rest, chunk)
      if (this.waiting) this.hooks.onReadable()
    } finally {
      this.taking = false
    }
    this.afterInput()
  }

  private feed(chunk: Uint8Array, mayKeep: boolean): void {
    let next: number
    this.feeding = true
    try {
      next = this.protocol.receive(chunk)
    } finally {
      this.feeding = false
    }
    // It may have closed meanwhile, by what a fiber did that a Pong woke.
    if (this.protocol.stopped === undefined) return this.gone ? this.dispose() : undefined
    const rest = chunk.subarray(next)
    this.rest = mayKeep ? rest : new Uint8Array(rest)
    if (this.protocol.stopped === "turn") this.deadlines.nextTurn(() => (this.feedRest(), this.afterInput()))
  }

  /** Reads what was left over. */
  private feedRest(): void {
    const rest = this.rest
    if (rest === undefined) return
    this.rest = undefined
    this.feed(rest, true)
  }

  private afterInput(): void {
    if (this.waiting) this.hooks.onReadable()
    this.checkEnding()
    this.flush()
    this.regulate()
    if (this.protocol.inbound.isInsideMessage) (this.watches ??= new Watches(this)).insideMessage()
  }

  /** The peer broke a rule about time. */
  violate(rule: ProtocolRule): void {
    this.protocol.fail(rule)
    this.afterInput()
  }

  protected get heldBytes(): number {
    if (this.gone || this.broken !== undefined) return 0
    return this.protocol.inbound.heldBytes + this.bufferedBytes + (this.rest === undefined ? 0 : this.rest.length)
  }

  /**
   * Reads on or pauses: above the mark, unless the reader waits or all is dropped anyway,
   * and where the budget of all is exhausted.
   */
  regulate(): void {
    // A Pong wakes its fiber while input is read; what it does must not bring the next input
    // before the rest of this one. Whoever feeds regulates afterwards.
    if (this.gone || this.feeding) return
    this.account()
    const dropping = !this.protocol.isOpen || this.closing.ended
    const full = !dropping && (this.heldBack() || this.rest !== undefined ||
      (!this.waiting && this.protocol.inbound.queuedBytes >= this.limits.inboundHighWaterMark))
    if (full === this.isPaused) return
    this.isPaused = full
    // While this side does not read, no Pong can be seen.
    this.pings.standStill(full, this.deadlines.now())
    this.watches?.standStill()
    this.updateAlarm()
    // Last, because a transport may hand over at once what it kept.
    if (full) this.transport.pause()
    else this.transport.resume()
  }

  /**
   * The reader says what it waits for. What had to wait for this decision is read, so
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

  /** The reader took something, or waits now. */
  afterRead(): void {
    if (this.accounted > 0) this.account()
    if (this.isPaused || this.closing.ended) this.regulate()
  }

  onEnd(): void {
    this.end.halfClosed = true
    if (this.protocol.sentClose !== undefined) {
      // Nothing more can come. What still waits (our answer) goes out first.
      this.advanceClosing()
    }
    if (this.waiting) this.hooks.onReadable()
    this.checkEnding()
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  /** `closing`, to write to: the end begins, or goes on. */
  private get end(): Closing {
    if (this.closing === notClosing) this.closing = new Closing()
    return this.closing
  }

  /** From here on the end takes so long at most. */
  private limitClosing(): void {
    this.end.due = this.deadlines.now() + this.limits.closeTimeout
  }

  /** Whether an end stands behind the messages that wait. */
  get hasEnding(): boolean {
    if (this.protocol.ending !== undefined) return true
    // What a Pong wakes may find that the transport is closed, before the rest of the chunk is read.
    return !this.feeding && this.rest === undefined && (this.closing.halfClosed || this.gone || this.broken !== undefined)
  }

  private checkEnding(): void {
    if (!this.hasEnding || this.closing.ended) return
    this.end.ended = true
    // Our Close was sent, or nobody reads: there is nothing that it could overtake.
    if (this.protocol.sentClose !== undefined || (!this.reading && !this.hasUnread)) this.reach()
    else if (!this.closing.reached) this.limitClosing()
    this.updateAlarm()
  }

  private get hasUnread(): boolean {
    return this.protocol.messages.length > 0 || this.rest !== undefined
  }

  /** The reader went away; what it left behind is the next one's. */
  doneReading(): void {
    this.reading = false
    if (this.closing.ended && !this.closing.reached && !this.hasUnread) this.reach()
  }

  /** The reader has reached the end, or nobody reads: it takes effect. */
  reach(): void {
    this.end.reached = true
    this.settle()
  }

  /**
   * Answers the ending, once what suspended senders were promised has gone out; the
   * close deadline forces it.
   */
  private settle(forced = false): void {
    if (!this.closing.reached || this.gone || this.broken !== undefined) return
    const ending = this.protocol.ending
    if (ending === undefined) {
      if (this.closing.halfClosed && this.protocol.isOpen) {
        this.break(endedWithoutClose())
      }
      return
    }
    if (this.protocol.sentClose === undefined) {
      if (!forced && (this.streaming || this.hooks.hasWaitingSenders())) {
        if (this.closing.due === undefined) {
          this.limitClosing()
          this.updateAlarm()
        }
        return
      }
      this.protocol.settle()
      this.limitClosing()
      this.hooks.onWritable()
    }
    this.flush()
    this.regulate()
    this.advanceClosing()
    this.updateAlarm()
  }

  /** Sends a Close frame behind everything that was accepted. Only the first counts. */
  close(code: number | undefined, reason: string): void {
    if (!this.isOpen) return
    if (this.protocol.ending !== undefined) {
      // The peer was first: it gets its answer.
      this.end.reached = true
      this.settle(true)
      return
    }
    this.protocol.close(code, reason)
    if (this.rest !== undefined) {
      // Dropped, but read: the peer's next frame begins behind it.
      this.feedRest()
      this.checkEnding()
    }
    this.limitClosing()
    this.flush()
    if (this.waiting) this.hooks.onReadable()
    this.hooks.onWritable()
    this.regulate()
    this.advanceClosing()
    this.updateAlarm()
  }

  /** Takes the next step of the closing handshake that is due (RFC 6455 §7.1.1). */
  private advanceClosing(): void {
    const { protocol } = this
    if (this.gone || protocol.sentClose === undefined || protocol.outputBytes > 0 || this.inFlight > 0) return
    const ending = protocol.ending
    if (this.closing.halfClosed) {
      this.transport.destroy()
    } else if (ending !== undefined) {
      // The server closes TCP first; a client does so only where the peer broke a rule.
      if (!this.closing.endSent && (protocol.role === "server" || ending._tag === "Violation")) {
        this.end.endSent = true
        this.transport.end()
      }
      this.settleClosed()
    }
  }

  /** The connection broke: senders fail now, the reader behind what had arrived. */
  break(error: IOError): void {
    if (this.broken !== undefined || this.gone) return
    this.end.broken = error
    this.transport.destroy()
    this.finish()
  }

  onClosed(error: IOError | undefined): void {
    if (this.gone) return
    this.end.goneAt = this.deadlines.now()
    if (this.broken === undefined && this.protocol.ending === undefined && this.protocol.sentClose === undefined) {
      this.end.broken = error ?? goneWithoutClose()
    }
    // Before anyone is told who might look at the account.
    this.observer?.onGone(this)
    this.finish()
  }

  private finish(): void {
    this.end.ended = true
    this.end.due = this.watches = undefined
    this.pings.stop()
    this.inFlight = 0
    this.protocol.outbound.clear()
    if (this.gone) this.protocol.outputTaken()
    this.settleClosed()
    this.hooks.onWritable()
    if (this.waiting) this.hooks.onReadable()
    this.leaveBudget()
    if (this.gone) {
      this.deadlines.set(this, Infinity)
      // A transport that is closed while it is destroyed comes here twice.
      const { owner } = this
      this.owner = undefined
      owner?.onGone(this.hooks)
      this.closing.whenGone?.happen()
      // What has arrived is still decoded.
      if (this.rest === undefined && !this.feeding) this.dispose()
    }
  }

  private settleClosed(): void {
    if (this.isClosed) return
    this.end.info = this.protocol.closeInfo
    this.closing.whenClosed?.happen()
  }

  /** How the connection closed or, before that, would have closed by now. */
  get closeInfo(): CloseInfo {
    return this.closing.info ?? this.protocol.closeInfo
  }

  /** What the reader fails with at its end; nothing after an orderly one. */
  get readFailure(): ProtocolError | IOError | undefined {
    const ending = this.protocol.ending
    if (ending?._tag === "Violation") return ending.error
    return ending === undefined && this.protocol.sentClose === undefined ? this.broken : undefined
  }

  /** Whether the closing handshake is over, one way or the other. */
  get isClosed(): boolean {
    return this.closing.info !== undefined
  }

  onceClosed(listener: () => void): () => void {
    return (this.end.whenClosed ??= new Listeners()).add(listener)
  }

  /** Gives back what the connection held: it is gone, and what had arrived is decoded or unwanted. */
  dispose(): void {
    this.rest = undefined
    if (this.closing.disposed) return
    this.end.disposed = true
    this.transform?.close()
    this.observer?.onDisposed(this)
  }

  onceGone(listener: () => void): () => void {
    return (this.end.whenGone ??= new Listeners()).add(listener)
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  override onAlarm(now: number): void {
    if (this.closing.due !== undefined && this.closing.due <= now) {
      this.end.due = undefined
      if (this.protocol.sentClose === undefined) {
        this.end.reached = true
        this.settle(true)
      } else if (this.isClosed) {
        // The handshake is done, and only the peer's end of stream is missing.
        this.transport.destroy()
      } else {
        this.break(closeTimedOut(this.limits.closeTimeout))
      }
    }
    this.watches = this.watches?.onAlarm(now)
    if (this.broken === undefined && !this.gone) this.pings.onAlarm(now)
    this.updateAlarm()
  }

  updateAlarm(): void {
    if (this.gone) return
    const { closing, pings, watches } = this
    this.deadlines.set(this, Math.min(closing.due ?? Infinity, pings.due ?? Infinity, watches?.due ?? Infinity))
  }
}
