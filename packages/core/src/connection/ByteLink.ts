/**
 * A link over a byte stream: it moves bytes between `Protocol` and `Transport`, writes once for
 * many sends, and keeps what the protocol cannot read yet.
 */
import * as Effect from "effect/Effect"
import { type Capabilities, everything } from "../Capabilities.ts"
import { joined } from "../codec/Bytes.ts"
import type { Limits } from "../Limits.ts"
import { watch } from "../memory/SpareMemory.ts"
import type { Transform } from "../MessageExtension.ts"
import type { Fragments } from "../protocol/Fragments.ts"
import { Protocol } from "../Protocol.ts"
import { allowBackground } from "../runtime/BackgroundTimer.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import { type FannedOut, flushSoon } from "../runtime/FanOuts.ts"
import type { Transport, TransportHandlers } from "../Transport.ts"
import type { ProtocolRule } from "../WebSocketError.ts"
import { ByteOutput } from "./ByteOutput.ts"
import { type FragmentedLink, receiveStream } from "./FramePieces.ts"
import type { Compression, Timer } from "./LinkHooks.ts"
import { type DecodingLink, MessageWatch } from "./MessageWatch.ts"
import type { IncomingMessage, PieceReader, ReceiveError } from "./Pieces.ts"
import { type PingingLink, Pings } from "./Pings.ts"
import { StallWatch } from "./Watches.ts"

export class ByteLink extends ByteOutput
  implements TransportHandlers, FannedOut, DecodingLink, FragmentedLink, PingingLink {
  readonly protocol: Protocol
  readonly transport: Transport
  readonly pings: Pings
  isFannedOut = false
  /** The message that was delivered last in pieces. */
  current: Fragments | undefined
  // Input is being read, at the end of which all is flushed.
  private isTaking = false
  private feeding = false
  // Input that the protocol has not read: it waits for the reader, or for the next turn of the event loop.
  private rest: Uint8Array | undefined
  // Watches a message that arrives in parts, since the first of them.
  private progress: MessageWatch | undefined
  private turnScheduled = false
  // While input is read: how many bytes waited for their turn in a fan-out before.
  private fannedOut = -1

  constructor(
    role: "client" | "server",
    transport: Transport,
    limits: Limits,
    deadlines: Deadlines,
    transform?: Transform
  ) {
    super(limits, deadlines, transform)
    this.transport = transport
    this.pings = new Pings(this)
    const { chunks, primitives } = transport
    this.protocol = new Protocol({ role, primitives, chunks, transform, clock: deadlines }, limits, this.pings)
  }

  override start(): void {
    super.start()
    this.transport.start(this)
  }

  get keepAlive(): Pings {
    return this.pings
  }

  get capabilities(): Capabilities {
    return everything
  }

  get extension(): string | undefined {
    return this.transform?.name
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  override get traffic(): number {
    return super.traffic - this.protocol.controls.received - this.protocol.outbound.controlBytes
  }

  override compression(): Compression | undefined {
    const { decoding } = this.protocol.inbound
    const { encoding } = this.protocol.outbound
    return decoding === undefined || encoding === undefined ? undefined : {
      received: { compressed: decoding.inputBytes, uncompressed: decoding.outputBytes },
      sent: { compressed: encoding.outputBytes, uncompressed: encoding.inputBytes }
    }
  }

  flush(): void {
    const protocol = this.protocol
    const bytes = protocol.outputBytes
    if (bytes === 0 || this.inFlight > 0 || this.gone || this.broken !== undefined) return
    this.sentBytes += bytes
    this.fannedOut = -1
    if (this.transport.write(protocol.takeOutput())) {
      protocol.outputTaken()
      watch(this.deadlines)
      return
    }
    // The transport may notice while it writes that it is closed.
    if (this.gone) return
    this.inFlight = bytes
    protocol.outbound.blocked = true
    this.closing?.writeBlocked(this.pendingBytes)
    this.account()
    ;(this.stall ??= new StallWatch(this)).begin(this.pendingBytes)
    this.updateAlarm()
  }

  scheduleFlush(): void {
    if (this.isTaking || (this.flushScheduled && !this.isFannedOut)) return
    this.flushScheduled = true
    flushSoon(this)
  }

  override flushNow(): void {
    this.isFannedOut = false
    super.flushNow()
  }

  /** What only waits for its turn in a fan-out waits on. */
  override flushAnswers(): void {
    if (this.protocol.outputBytes !== this.fannedOut) this.flush()
  }

  onTaken(): void {
    if (this.gone) return
    this.inFlight = 0
    this.stall?.end()
    this.protocol.outputTaken()
    watch(this.deadlines)
    this.protocol.outbound.blocked = false
    this.taken(Effect.void)
    this.flush()
    this.account()
    this.madeRoom()
  }

  endOutput(): void {
    this.transport.end()
  }

  override get isTurnOver(): boolean {
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
    this.hooks.writer.onWritable()
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  onData(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length
    this.isLooking = false
    this.isTaking = true
    if (this.isFannedOut) this.fannedOut = this.protocol.outputBytes
    this.closing?.alive()
    try {
      if (this.rest === undefined) this.feed(chunk, this.transport.chunks === "owned")
      else this.rest = joined([this.rest, chunk])
      this.hooks.reader.onReadable()
    } finally {
      this.isTaking = false
    }
    this.afterInput()
    this.fannedOut = -1
  }

  private feed(chunk: Uint8Array, mayKeep: boolean): void {
    let next: number
    this.feeding = true
    try {
      next = this.protocol.receive(chunk)
    } finally {
      this.feeding = false
    }
    // A fiber that a Pong woke may have closed the connection in the meantime.
    if (this.protocol.stopped === undefined) return this.gone ? this.dispose() : undefined
    const rest = chunk.subarray(next)
    this.rest = mayKeep ? rest : new Uint8Array(rest)
    if (this.protocol.stopped === "turn") this.deadlines.nextTurn(() => (this.feedRest(), this.afterInput()))
  }

  override feedRest(): void {
    const rest = this.rest
    if (rest === undefined) return
    this.rest = undefined
    this.feed(rest, true)
  }

  protected override afterInput(): void {
    super.afterInput()
    if (this.protocol.inbound.isInsideMessage) (this.progress ??= new MessageWatch(this)).begin()
  }

  override get isDecoding(): boolean {
    return this.feeding || this.rest !== undefined
  }

  protected override get inboundBytes(): number {
    return this.protocol.inbound.heldBytes + (this.rest === undefined ? 0 : this.rest.length)
  }

  override regulate(): void {
    // A Pong wakes its fiber while input is read. That fiber must not cause the next input to be read before the
    // rest of this one, so `feed` regulates afterwards.
    if (!this.feeding) super.regulate()
  }

  protected override get timers(): ReadonlyArray<Timer | undefined> {
    return [this.progress, ...super.timers]
  }

  override onAlarm(now: number): void {
    super.onAlarm(now)
    if (this.progress?.due === Infinity) this.progress = undefined
  }

  protected override stoodStill(): void {
    this.progress?.standStill()
  }

  override demand(demand: "none" | "message" | "fragments"): void {
    this.protocol.demand(demand)
    if (demand !== "none" && this.rest !== undefined && this.protocol.stopped !== "turn") {
      this.feedRest()
      this.checkEnding()
      this.flush()
      this.regulate()
    }
  }

  receiveStream(reader: PieceReader): Effect.Effect<IncomingMessage, ReceiveError> {
    return receiveStream(this, reader)
  }

  override lendMemory(): void {
    this.protocol.inbound.lendMemory()
  }

  override ownMemory(): void {
    this.protocol.inbound.ownMemory()
  }

  override leaveFragments(): void {
    const { protocol } = this
    const { fragments } = protocol
    if (fragments === undefined) return
    if (!fragments.discarded) {
      fragments.discard()
      this.afterRead()
    }
    this.current = undefined
    if (fragments.done) protocol.endFragments()
  }

  /** The peer broke a rule about time. */
  violate(rule: ProtocolRule): void {
    this.protocol.fail(rule)
    this.afterInput()
  }

  onEnd(): void {
    this.end.peerEnded()
    this.hooks.reader.onReadable()
    this.checkEnding()
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  override stop(): void {
    this.protocol.outbound.clear()
    // What the transport had not taken is left to the collector: a session of HTTP/2 below it may read that still.
    if (this.gone && !this.protocol.outbound.blocked) this.protocol.outputTaken()
    this.progress = undefined
    super.stop()
  }

  override abandon(): void {
    super.abandon()
    this.rest = undefined
    const { transport } = this
    if (this.gone || transport.unref === undefined) return
    transport.unref()
    allowBackground(this.deadlines)
    this.deadlines.set(this, Infinity)
    this.end.isAbandoned = true
    this.updateAlarm()
  }

  /** The process need not stay for the end of an abandoned connection. */
  override get isBackground(): boolean {
    return this.closing?.isAbandoned === true
  }

  override dispose(): void {
    this.rest = undefined
    if (!this.end.isDisposed) this.transform?.close()
    super.dispose()
  }
}
