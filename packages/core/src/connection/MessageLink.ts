/**
 * A link over a platform's own WebSocket: messages go directly to it. Where the platform does not
 * report how much it has passed on, the link checks.
 *
 * Nothing is queued on this side, because the platform has every accepted message. So there is nothing
 * to flush, and "blocked" means that the platform has bytes in its buffer.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Capabilities } from "../Capabilities.ts"
import type { Limits } from "../Limits.ts"
import { byteLength, type Message, type Prepared, type Sendable } from "../Message.ts"
import type { MessageTransport, MessageTransportHandlers } from "../MessageTransport.ts"
import { type MessageOutput, MessageProtocol } from "../protocol/MessageProtocol.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import { flushSoon } from "../runtime/FlushQueue.ts"
import { type Polled, pollingOf } from "../runtime/Polling.ts"
import { Link } from "./Link.ts"
import type { MessageKeepAlive } from "./LinkHooks.ts"
import type { IncomingMessage, Kind, PieceReader, ReceiveError } from "./Pieces.ts"
import type { Outcome, Turns } from "./Sending.ts"
import { StallWatch } from "./Watches.ts"
import { receiveStream, sendStream } from "./WholePieces.ts"

// How soon the platform's buffer is checked again while something waits for room, and how rarely if it does not shrink.
const soon = 4
const seldom = 64

/** Makes the keepalive of a link. */
export type MakeKeepAlive = (link: MessageLink) => MessageKeepAlive

// Not by its class, which a page that prepares no message does not load.
const isPrepared = (message: Sendable): message is Prepared => typeof message === "object" && "encoding" in message

export class MessageLink extends Link implements MessageTransportHandlers, MessageOutput, Polled {
  readonly protocol: MessageProtocol
  readonly transport: MessageTransport
  readonly extension: string | undefined
  readonly pings = undefined
  readonly keepAlive: MessageKeepAlive | undefined
  pollsAt = Infinity
  // How much the platform had passed on at the last check, and how long to wait for the next one.
  #passedOn = 0
  #pause = soon

  constructor(
    role: "client" | "server",
    transport: MessageTransport,
    limits: Limits,
    deadlines: Deadlines,
    extension: string | undefined,
    makeKeepAlive: MakeKeepAlive | undefined
  ) {
    super(limits, deadlines)
    this.transport = transport
    this.extension = extension
    this.protocol = new MessageProtocol(role, limits, this, transport.capabilities.inboundBackpressure)
    this.keepAlive = makeKeepAlive?.(this)
  }

  override start(): void {
    super.start()
    this.transport.start(this)
  }

  get capabilities(): Capabilities {
    return this.transport.capabilities
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  get bufferedBytes(): number {
    return this.transport.bufferedBytes()
  }

  get pendingBytes(): number {
    return this.transport.bufferedBytes()
  }

  get isBlocked(): boolean {
    return this.transport.bufferedBytes() > 0
  }

  plain(message: Sendable): Message {
    return isPrepared(message) ? message.message : message
  }

  attempt(message: Sendable): Outcome {
    if (!this.isOpen) return "closed"
    if (this.isAboveMark) return "wait"
    // The platform's connection is closing: how, is not known before its event arrives.
    if (!this.protocol.send(this.plain(message))) return this.isOpen ? "wait" : "closed"
    this.scheduleFlush()
    return "accepted"
  }

  offer(message: Sendable): boolean {
    return this.attempt(message) === "accepted"
  }

  sendRun(messages: ReadonlyArray<Sendable>, from: number): number {
    return this.protocol.sendRun(messages, from, this.limits.outboundHighWaterMark)
  }

  sendStream<E, R>(writer: Turns, kind: Kind, fragments: Stream.Stream<Message, E, R>) {
    return sendStream(this, writer, kind, fragments)
  }

  sendOut(message: Message): boolean {
    const isSent = this.transport.send(message)
    if (isSent) this.sentBytes += byteLength(message)
    // The platform will report its end. If it does not, there is the close deadline.
    else this.end.want(undefined, "")
    return isSent
  }

  closeOut(code: number, reason: string): number {
    const sent = this.capabilities.closeCodes === "all" || code === 1000 || code === 1005 || code >= 3000 ? code : code + 3000
    this.transport.close(sent === 1005 ? undefined : sent, reason)
    return sent
  }

  /** Nothing waits here. A sender that waits for the platform makes this side check its buffer. */
  flush(): void {
    if (this.gone || this.broken !== undefined) return
    const buffered = this.transport.bufferedBytes()
    if (buffered === 0) return
    // A platform that passes nothing on is noticed.
    if (this.stall === undefined) {
      this.stall = new StallWatch(this)
      this.stall.begin(buffered)
      this.updateAlarm()
    }
    if (this.pollsAt === Infinity && this.#isAwaited) this.#pollAgain()
  }

  scheduleFlush(): void {
    if (this.flushScheduled) return
    this.flushScheduled = true
    flushSoon(this)
  }

  /** Something waits for room, or until everything is sent, and the platform will not report it. */
  get #isAwaited(): boolean {
    return this.capabilities.outboundBackpressure === "polled" &&
      (this.hooks.writer.hasWaiting || (this.protocol.sentClose !== undefined && !this.isClosed))
  }

  #pollAgain(): void {
    this.pollsAt = this.deadlines.now() + this.#pause
    pollingOf(this.deadlines).add(this)
  }

  onDrain(): void {
    if (!this.gone && this.broken === undefined) this.#passed()
  }

  /** Has the platform passed anything on since the last look? */
  poll(): void {
    this.pollsAt = Infinity
    if (this.gone || this.broken !== undefined) return
    const passedOn = this.sentBytes - this.transport.bufferedBytes()
    const hasPassed = passedOn > this.#passedOn
    this.#passedOn = passedOn
    if (hasPassed) this.#passed()
    else this.#pause = Math.min(2 * this.#pause, seldom)
    if (this.pollsAt === Infinity && this.#isAwaited && this.isBlocked) this.#pollAgain()
  }

  #passed(): void {
    this.#pause = soon
    this.stall = undefined
    this.account()
    this.madeRoom()
    this.flush()
  }

  override onAlarm(now: number): void {
    // Bytes that were passed on in the meantime show that the write is not stalled.
    if (this.stall !== undefined) this.poll()
    super.onAlarm(now)
  }

  endOutput(): void {
    // There is no half-closing here: nothing more is waited for.
    this.transport.destroy()
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  onMessage(message: Message): void {
    const size = byteLength(message)
    this.receivedBytes += size
    this.isLooking = false
    this.closing?.alive()
    if (this.keepAlive?.takes(message) !== true) this.protocol.receive(message, size)
    this.afterInput()
    // If the peer cannot be held back it learns of the error at once, although messages wait to be read before it.
    if (this.protocol.isOpen && this.protocol.ending?._tag === "Violation") this.end.processEnd()
    // The peer works: there may be room.
    if (this.pollsAt !== Infinity) this.poll()
  }

  receiveStream(reader: PieceReader): Effect.Effect<IncomingMessage, ReceiveError> {
    return receiveStream(reader)
  }

  onClose(code: number, reason: string): void {
    if (this.gone) return
    this.protocol.receiveClose(code, reason)
    this.afterInput()
  }
}
