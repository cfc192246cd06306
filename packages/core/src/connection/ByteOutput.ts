/**
 * How a link over a byte stream appends messages: copied into its output, or for a large payload as they are, which the
 * transport then reads; and through an extension, which may throw, and may need several turns of the event loop.
 */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { bytesOf } from "../codec/Bytes.ts"
import type { Limits } from "../Limits.ts"
import { type Message, Prepared, type Sendable } from "../Message.ts"
import type { Transform } from "../MessageExtension.ts"
import type { Protocol } from "../Protocol.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import type { Transport } from "../Transport.ts"
import { ConnectionClosed } from "../WebSocketError.ts"
import { Link } from "./Link.ts"
import type { Kind } from "./Pieces.ts"
import { type Outcome, type SendError, Thrown, type Turns, type Waiter } from "./Sending.ts"
import { type FragmentingLink, sendSliced, sendStream } from "./StreamedMessage.ts"

const noBytes = new Uint8Array(0)

export abstract class ByteOutput extends Link implements FragmentingLink {
  abstract override readonly protocol: Protocol
  abstract override readonly transport: Transport
  protected readonly transform: Transform | undefined
  /** Bytes of the last write that the transport has not taken. */
  protected inFlight = 0
  /** The sender of a message in fragments, while it waits. */
  holder: Waiter | undefined
  // Senders whose payload the transport still reads.
  private taking: Set<(effect: Effect.Effect<void, SendError>) => void> | undefined

  constructor(limits: Limits, deadlines: Deadlines, transform: Transform | undefined) {
    super(limits, deadlines)
    this.transform = transform
  }

  get bufferedBytes(): number {
    return this.protocol.outputBytes + this.inFlight
  }

  get pendingBytes(): number {
    return this.inFlight > 0 ? this.transport.pendingBytes?.() ?? 0 : 0
  }

  get isBlocked(): boolean {
    return this.inFlight > 0
  }

  plain(message: Sendable): Sendable {
    return message instanceof Prepared && !this.protocol.outbound.shares(message) ? message.message : message
  }

  attempt(message: Sendable): Outcome {
    const payload = message instanceof Prepared ? noBytes : message
    if (this.transform !== undefined) return this.data(payload, () => this.protocol.send(message))
    // Without an extension nothing can throw or take long.
    const room = this.room(payload)
    if (room !== undefined) return room
    this.protocol.send(message)
    return this.sent(payload)
  }

  /** Appends a payload if there is room for it, and its turn of the event loop has come. */
  data(payload: Message, append: () => void): Outcome {
    return this.isOpen && this.isTurnOver ? "wait" : this.append(append, payload)
  }

  append(append: () => void, payload: Message = noBytes): Outcome {
    const room = this.room(payload)
    if (room !== undefined) return room
    try {
      append()
    } catch (defect) {
      // An exception of an extension or its options, which users write. It belongs to this sender, even if the
      // transport made this call.
      return new Thrown(defect)
    }
    return this.sent(payload)
  }

  /** Whether a payload cannot be appended now, and why. */
  private room(payload: Message): "closed" | "wait" | undefined {
    if (!this.isOpen) return "closed"
    if (this.isUncopied(payload)) {
      // Alone in its write, so that the caller's buffer is read for as short a time as possible.
      this.flush()
      if (this.inFlight > 0) return "wait"
    } else if (this.isAboveMark) {
      return "wait"
    }
    // The transport may have noticed while it wrote that it is closed.
    return this.isOpen ? undefined : "closed"
  }

  /** A payload was appended: it is written with what follows in this run of JavaScript, or at once. */
  private sent(payload: Message): Outcome {
    if (!this.isUncopied(payload)) {
      this.scheduleFlush()
      return "accepted"
    }
    this.flush()
    return this.inFlight > 0 ? "inFlight" : "accepted"
  }

  private isUncopied(payload: Message): payload is Uint8Array {
    return typeof payload !== "string" && this.protocol.outbound.isUncopied(bytesOf(payload).length)
  }

  override settle(outcome: "inFlight" | Thrown): Effect.Effect<void, SendError> {
    if (outcome instanceof Thrown) return Effect.die(outcome.defect)
    // The transport reads from the caller's buffer, which belongs to the connection until then.
    return Effect.callback((resume) => {
      if (this.inFlight === 0) {
        resume(this.broken !== undefined || this.gone ? this.lost : Effect.void)
        return
      }
      const taking = this.taking ??= new Set()
      taking.add(resume)
      return Effect.sync(() => taking.delete(resume))
    })
  }

  override resumeHolder(writer: Turns): void {
    const { holder } = this
    const outcome = holder?.attempt() ?? "wait"
    if (outcome === "wait") return
    this.holder = undefined
    holder!.resume(writer.settle(outcome))
  }

  /** What was accepted did not arrive. */
  private get lost(): Effect.Effect<never, SendError> {
    return Effect.fail(this.broken ?? new ConnectionClosed({ info: this.closeInfo }))
  }

  /** The transport has taken the last write. */
  protected taken(effect: Effect.Effect<void, SendError>): void {
    const { taking } = this
    if (taking === undefined) return
    this.taking = undefined
    for (const resume of taking) resume(effect)
  }

  override owned(message: Sendable): Sendable {
    // Not `slice`: on a Node Buffer it makes a view.
    return !(message instanceof Prepared) && this.isUncopied(message) ? Uint8Array.from(message) : message
  }

  offer(message: Sendable): boolean {
    const given = this.plain(message)
    if (this.isAboveMark || !this.isOpen || this.isSliced(given)) return false
    // Most of a fan-out: nothing of it can throw, or has to be copied or waited for.
    if (given instanceof Prepared && this.transform === undefined) {
      this.protocol.send(given)
      this.scheduleFlush()
      return true
    }
    const outcome = this.attempt(this.owned(given))
    if (outcome instanceof Thrown) throw outcome.defect
    return outcome === "accepted" || outcome === "inFlight"
  }

  sendRun(messages: ReadonlyArray<Sendable>, from: number): number {
    return this.protocol.outbound.sendRun(messages, from, this.limits.outboundHighWaterMark - this.inFlight)
  }

  override get returnsMemory(): boolean {
    // An extension may keep what it encodes.
    return this.transform === undefined
  }

  override isSliced(message: Sendable): message is Message {
    return !(message instanceof Prepared) && this.protocol.outbound.isSliced(message)
  }

  override sendSliced(writer: Turns, message: Message, accepted: (() => void) | undefined) {
    return sendSliced(this, writer, message, accepted)
  }

  sendStream<E, R>(writer: Turns, kind: Kind, fragments: Stream.Stream<Message, E, R>) {
    return sendStream(this, writer, kind, fragments)
  }

  override stop(): void {
    this.inFlight = 0
    if (this.taking !== undefined) this.taken(this.lost)
    super.stop()
  }
}
