/**
 * A link over a byte stream: it moves bytes between `Protocol` and `Transport`, writes once for
 * many sends, and keeps what the protocol cannot read yet.
 */
import { type Capabilities, everything } from "../Capabilities.ts"
import { joined } from "../codec/Bytes.ts"
import type { Limits } from "../Limits.ts"
import type { Transform } from "../MessageExtension.ts"
import { Protocol } from "../Protocol.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import { type FannedOut, flushSoon } from "../runtime/FanOuts.ts"
import type { Transport, TransportHandlers } from "../Transport.ts"
import type { ProtocolRule } from "../WebSocketError.ts"
import { framePieces } from "./FramePieces.ts"
import { Link } from "./Link.ts"
import { type DecodingLink, MessageWatch } from "./MessageWatch.ts"
import type { Pieces } from "./Pieces.ts"
import { Pings } from "./Pings.ts"
import { Watches } from "./Watches.ts"

export class ByteLink extends Link implements TransportHandlers, FannedOut, DecodingLink {
  readonly protocol: Protocol
  readonly transport: Transport
  readonly transform: Transform | undefined
  readonly pings: Pings
  isFannedOut = false
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
    super(limits, deadlines)
    this.transform = transform
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

  get pieces(): Pieces {
    return framePieces
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

  get pendingBytes(): number {
    return this.transport.pendingBytes?.() ?? 0
  }

  flush(): void {
    const protocol = this.protocol
    const bytes = protocol.outputBytes
    if (bytes === 0 || this.inFlight > 0 || this.gone || this.broken !== undefined) return
    this.sentBytes += bytes
    this.fannedOut = -1
    if (this.transport.write(protocol.takeOutput())) {
      protocol.outputTaken()
      return
    }
    // The transport may notice while it writes that it is closed.
    if (this.gone) return
    this.inFlight = bytes
    protocol.outbound.blocked = true
    this.closing?.writeBlocked(this.pendingBytes)
    this.account()
    ;(this.watches ??= new Watches(this)).writeBlocked(this.pendingBytes)
    this.updateAlarm()
  }

  scheduleFlush(): void {
    if (this.taking || (this.flushScheduled && !this.isFannedOut)) return
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
    this.watches?.writeTaken()
    this.protocol.outputTaken()
    this.protocol.outbound.blocked = false
    this.hooks.onWriteTaken()
    this.flush()
    this.account()
    this.madeRoom()
  }

  endOutput(): void {
    this.transport.end()
  }

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

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  onData(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length
    this.isLooking = false
    this.taking = true
    if (this.isFannedOut) this.fannedOut = this.protocol.outputBytes
    this.closing?.alive()
    try {
      if (this.rest === undefined) this.feed(chunk, this.transport.chunks === "owned")
      else this.rest = joined([this.rest, chunk])
      if (this.hooks.isWaiting) this.hooks.onReadable()
    } finally {
      this.taking = false
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

  feedRest(): void {
    const rest = this.rest
    if (rest === undefined) return
    this.rest = undefined
    this.feed(rest, true)
  }

  protected override insideMessage(): void {
    const watches = this.watches ??= new Watches(this)
    watches.message ??= new MessageWatch(this)
    watches.message.begin()
  }

  /** The peer broke a rule about time. */
  violate(rule: ProtocolRule): void {
    this.protocol.fail(rule)
    this.afterInput()
  }

  onEnd(): void {
    this.end.peerEnded()
    if (this.hooks.isWaiting) this.hooks.onReadable()
    this.checkEnding()
  }
}
