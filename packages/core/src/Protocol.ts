/**
 * One connection after its handshake as a state machine without I/O: bytes and calls in,
 * messages and bytes out (RFC 6455 §5-§8). It knows no time, sockets or fibers; its driver moves
 * bytes and keeps deadlines. `WebSocket` is the driver for Effect, and the machine can be used
 * alone.
 *
 * **Example** (Two machines that exchange arrays of bytes)
 *
 * ```ts
 * import { Protocol } from "@effect-ws/core"
 *
 * const client = Protocol.make({ role: "client" })
 * const server = Protocol.make({ role: "server" })
 *
 * client.send("hello")
 * client.close(1000, "bye")
 * for (const chunk of client.takeOutput()) server.receive(chunk)
 *
 * console.log(server.takeMessages()) // ["hello"]
 * console.log(server.ending) // { _tag: "Close", code: 1000, reason: "bye" }
 *
 * server.settle() // answers the Close
 * for (const chunk of server.takeOutput()) client.receive(chunk)
 * console.log(client.closeInfo.clean) // true
 * ```
 *
 * @since 0.1.0
 */
import type { CloseInfo } from "./CloseCode.ts"
import * as Limits from "./Limits.ts"
import type { Message, Sendable } from "./Message.ts"
import type { Transform } from "./MessageExtension.ts"
import * as Opcode from "./Opcode.ts"
import { portable, type Primitives } from "./Primitives.ts"
import { closeInfoOf } from "./protocol/CloseInfo.ts"
import { Closing, patient } from "./protocol/Closing.ts"
import { ControlBudget } from "./protocol/ControlBudget.ts"
import type { Stop } from "./protocol/ExtensionDecoding.ts"
import type { Ending } from "./protocol/Ending.ts"
import type { Fragments } from "./protocol/Fragments.ts"
import { type ControlObserver, Inbound } from "./protocol/Inbound.ts"
import { Outbound } from "./protocol/Outbound.ts"
import type { Chunks } from "./protocol/PayloadReader.ts"
import type { ProtocolRule } from "./WebSocketError.ts"

export type {
  /**
   * What ends a peer's input: its Close frame, or the rule that it broke. Nothing after it is
   * read.
   *
   * @category models
   * @since 0.1.0
   */
  Ending
} from "./protocol/Ending.ts"

/**
 * Options of a machine.
 *
 * **Details**
 *
 * - `chunks` says who owns the bytes given to `receive`, as `Transport.chunks` does.
 *   Default `"borrowed"`.
 * - `transform`: the extension that the handshake negotiated.
 * - `clock`: returns milliseconds that only grow, for the limit on control frames
 *   (`Limits.Options.controlFrames`). Without it they are not limited.
 * - `onPing` and `onPong` are called with control frames as they are read. A Ping is answered
 *   before `onPing` is called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly role: "client" | "server"
  readonly limits?: Limits.Options | undefined
  readonly primitives?: Primitives | undefined
  readonly chunks?: Chunks | undefined
  readonly transform?: Transform | undefined
  readonly clock?: { readonly now: () => number } | undefined
  readonly onPing?: ((payload: Uint8Array) => void) | undefined
  readonly onPong?: ((payload: Uint8Array) => void) | undefined
}

/**
 * The state machine of one connection. Made by {@link make}.
 *
 * **Details**
 *
 * Its two halves, `inbound` and `outbound`, tell a driver more: what waits and what it takes up in
 * memory, what was counted, and how large messages are sent in turns. Drive the machine by its own
 * methods, which keep the halves together.
 *
 * @category models
 * @since 0.1.0
 */
export class Protocol implements ControlObserver {
  /** Which end of the connection this is; a client masks (RFC 6455 §5.1). */
  readonly role: "client" | "server"
  /** What the peer sends. */
  readonly inbound: Inbound
  /** What this side sends. */
  readonly outbound: Outbound
  /** The control frames of this connection, counted. */
  readonly controls: ControlBudget
  private readonly observer: ControlObserver | undefined
  private receivedFirst = false
  private closing: Closing | undefined

  /**
   * For the driver's use; see {@link make}.
   */
  constructor(options: Options, limits: Limits.Limits, observer: ControlObserver | undefined) {
    const { role, primitives = portable, transform } = options
    this.role = role
    this.observer = observer
    this.controls = new ControlBudget(limits, role, options.clock)
    this.inbound = new Inbound(role, limits, primitives, options.chunks ?? "borrowed", this, transform)
    this.outbound = new Outbound(role, primitives, transform)
  }

  /**
   * For the receiving half.
   *
   * @internal
   */
  onPing(payload: Uint8Array): void {
    if (!this.controls.admitsPing(payload.length)) {
      this.inbound.fail("TooManyControlFrames")
      return
    }
    this.outbound.answer(payload)
    this.observer?.onPing(payload)
  }

  /**
   * For the receiving half.
   *
   * @internal
   */
  onPong(payload: Uint8Array): void {
    if (this.controls.admitsPong(payload.length)) this.observer?.onPong(payload)
    else this.inbound.fail("TooManyControlFrames")
  }

  // ---------------------------------------------------------------------------
  // in
  // ---------------------------------------------------------------------------

  /**
   * Reads bytes and returns the offset after what was read: the chunk's length, unless it
   * {@link stopped}. Bytes after the {@link ending} are dropped.
   */
  receive(chunk: Uint8Array, offset = 0): number {
    const next = this.inbound.receive(chunk, offset)
    if (this.inbound.ending !== undefined && this.outbound.sentClose === undefined) this.receivedFirst = true
    return next
  }

  /** The peer's Close frame, or the rule that it broke. It follows all messages. */
  get ending(): Ending | undefined {
    return this.inbound.ending
  }

  /** Whole messages that wait to be taken. */
  get messages(): ReadonlyArray<Message> {
    return this.inbound.messages
  }

  /** Takes all messages that wait. */
  takeMessages(): Array<Message> {
    return this.inbound.takeMessages()
  }

  /** Takes the first message that waits; there must be one. */
  takeMessage(): Message {
    return this.inbound.takeMessage()
  }

  /** Whether the input so far stops inside a frame or a message. */
  get isPartial(): boolean {
    return this.inbound.isPartial
  }

  /** The peer broke a rule about time, which only the driver can check. */
  fail(rule: ProtocolRule): void {
    if (this.inbound.ending !== undefined) return
    if (this.outbound.sentClose === undefined) this.receivedFirst = true
    this.inbound.fail(rule)
  }

  /**
   * Why the last `receive` stopped before the end of its chunk. Pass the rest again once that
   * has changed. `"undecided"`: a message is larger than the limit of whole messages, and there
   * is no {@link demand} that decides about it. `"full"`: waiting messages must be taken first, or
   * {@link demand} must ask for an encoded message that is larger than the inbound mark. `"turn"`:
   * an extension has worked long enough in this turn of the event loop.
   */
  get stopped(): Stop | undefined {
    return this.inbound.stopped
  }

  /**
   * Says what the reader waits for. A message above the limit of whole messages breaks that limit
   * for `"message"`, and is delivered in pieces for `"fragments"`.
   */
  demand(demand: "none" | "message" | "fragments"): void {
    this.inbound.demand = demand
    if (demand === "fragments" && this.inbound.messages.length === 0) this.inbound.stream()
  }

  /** The message that is being received, or was last received, piece by piece. */
  get fragments(): Fragments | undefined {
    return this.inbound.fragments
  }

  /** Forgets a streamed message whose end was reached. */
  endFragments(): void {
    this.inbound.fragments = undefined
  }

  // ---------------------------------------------------------------------------
  // out
  // ---------------------------------------------------------------------------

  /** Whether data can be sent: no Close frame was sent. */
  get isOpen(): boolean {
    return this.outbound.sentClose === undefined
  }

  /** The code and reason of the Close frame that this side sent. */
  get sentClose(): { readonly code: number; readonly reason: string } | undefined {
    return this.outbound.sentClose
  }

  /** Bytes that wait to be taken out. */
  get outputBytes(): number {
    return this.outbound.queuedBytes
  }

  /**
   * Appends a message in one frame: text for a string, binary for bytes (RFC 6455
   * §5.6). Nothing is sent after a Close (§5.5.1): see {@link isOpen}.
   */
  send(message: Sendable): void {
    this.outbound.send(message)
  }

  /**
   * Appends one fragment of a message (RFC 6455 §5.4): the first, with the opcode of its
   * type, begins it, the others continue it, and `last` ends it.
   */
  sendFragment(type: "text" | "binary", payload: Message, last: boolean): void {
    this.outbound.sendFragment(type, payload, last)
  }

  /** Appends a Ping; its payload is at most 125 bytes (RFC 6455 §5.5.2). */
  ping(payload: Uint8Array): void {
    if (!this.isOpen) return
    this.outbound.control(Opcode.Ping, payload)
    this.controls.pinged()
  }

  /** Appends an unsolicited Pong; its payload is at most 125 bytes (RFC 6455 §5.5.3). */
  pong(payload: Uint8Array): void {
    this.outbound.control(Opcode.Pong, payload)
  }

  /**
   * Appends a Close frame after everything that waits (RFC 6455 §5.5.1); only the first counts.
   * Without a code the frame is empty. From here on everything that arrives is read and
   * dropped.
   */
  close(code = 1005, reason = ""): void {
    if (!this.isOpen) return
    this.outbound.close(code, reason)
    if (this.inbound.ending === undefined) this.inbound.drop()
  }

  /**
   * The reader has reached the {@link ending}: answers a Close with the same code
   * (RFC 6455 §5.5.1), and a broken rule with its code (§7.1.7).
   */
  settle(): void {
    const { ending } = this.inbound
    if (ending === undefined) return
    if (ending._tag === "Close") this.close(ending.code)
    else this.close(ending.error.code, ending.error.rule)
  }

  /** Everything that waits to be written, in order. It belongs to the writer until {@link outputTaken}. */
  takeOutput(): Array<Uint8Array> {
    return this.outbound.take()
  }

  /** What was taken out has been written: its buffers may be used again. */
  outputTaken(): void {
    this.outbound.taken()
  }

  // ---------------------------------------------------------------------------
  // closing
  // ---------------------------------------------------------------------------

  /** The peer's stream has ended: nothing more can be received. */
  receiveEnd(): void {
    this.machine.peerEnded()
  }

  /**
   * What a driver must do with its transport now, after it has written all output (RFC 6455
   * §7.1.1): send the end of the stream (`"end"`, returned once), drop the transport
   * (`"destroy"`), or wait for more.
   *
   * **Details**
   *
   * A server ends its stream once both sides have closed, and a client waits for that. Where the
   * peer broke a rule, either side ends its stream at once. The driver decides how long to wait,
   * because the machine knows no time.
   */
  nextStep(): "nothing" | "end" | "destroy" {
    const { machine } = this
    const { ending } = this.inbound
    if (ending !== undefined) machine.receivedEnding(ending._tag)
    if (this.isOpen) return machine.hasPeerEnded && ending === undefined ? "destroy" : "nothing"
    machine.sent(0)
    if (this.outputBytes === 0) machine.written()
    const step = machine.next(0)
    return step === "end" || step === "destroy" ? step : "nothing"
  }

  // For a driver without deadlines; `WebSocket` has a machine of its own, which knows the time.
  private get machine(): Closing {
    return this.closing ??= new Closing(this.role, patient)
  }

  /** How the connection closed, as far as it is known; 1006 where it ended without a Close. */
  get closeInfo(): CloseInfo {
    return closeInfoOf(this.inbound.ending, this.outbound.sentClose, this.receivedFirst)
  }
}

/**
 * Makes the state machine of one connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Protocol => {
  const { limits, onPing, onPong } = options
  return new Protocol(options, Limits.make(limits), {
    onPing: (payload) => onPing?.(payload),
    onPong: (payload) => onPong?.(payload)
  })
}
