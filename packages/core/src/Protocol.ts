/**
 * One connection after its handshake as a state machine without I/O: bytes and
 * calls in, messages and bytes out (RFC 6455 §5-§8). It knows no time, no sockets
 * and no fibers; whoever drives it moves bytes and keeps deadlines. `WebSocket` is
 * its driver for Effect, and it serves alone as well.
 *
 * **Example** (Two machines talking through an array)
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
import * as Result from "effect/Result"
import type { CloseInfo } from "./CloseCode.ts"
import * as CloseCode from "./CloseCode.ts"
import { headerLength, writeHeader } from "./codec/FrameHeader.ts"
import { bytesOf } from "./codec/Bytes.ts"
import { MaskKeys } from "./codec/Mask.ts"
import * as Limits from "./Limits.ts"
import { byteLength, type Message, Prepared, type Sendable } from "./Message.ts"
import type { Transform } from "./MessageExtension.ts"
import * as Opcode from "./Opcode.ts"
import { portable, type Primitives } from "./Primitives.ts"
import { ControlBudget } from "./protocol/ControlBudget.ts"
import { Encoding } from "./protocol/Encoding.ts"
import type { Fragments } from "./protocol/Fragments.ts"
import type { Ending } from "./protocol/Ending.ts"
import { Inbound, type InboundHooks, type Stop } from "./protocol/Inbound.ts"
import { type Outbox, Outboxes } from "./protocol/Outbox.ts"
import type { Chunks } from "./protocol/Payloads.ts"
import type { ProtocolRule } from "./WebSocketError.ts"
import { InvalidArgument } from "./WebSocketError.ts"

export type {
  /**
   * What stands at the end of what a peer sends: its Close frame, or the rule that it
   * broke.
   *
   * @category models
   * @since 0.1.0
   */
  Ending
} from "./protocol/Ending.ts"

/**
 * How a machine is made.
 *
 * **Details**
 *
 * - `chunks` says who owns the bytes given to `receive`, as `Transport.chunks` does.
 *   Default `"borrowed"`.
 * - `transform`: the extension that the handshake negotiated.
 * - `clock`: tells milliseconds that only grow, for the budget of control frames
 *   (`Limits.Options.controlFrames`). Without it they are not counted.
 * - `onPing` and `onPong` see control frames as they are read. A Ping was answered
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

/** Who sees the control frames of a connection. */
export interface ControlObserver {
  onPing(payload: Uint8Array): void
  onPong(payload: Uint8Array): void
}

const fin = 0x80
const noBytes = new Uint8Array(0)
const encoder = new TextEncoder()
// Shared: an extension has read a text's bytes when its `push` returns.
const scratch = new Uint8Array(64 * 1024)

/**
 * The state machine of one connection. Made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class Protocol implements InboundHooks {
  /** Which end of the connection this is; a client masks (RFC 6455 §5.1). */
  readonly role: "client" | "server"
  /** The code and reason of the Close frame that this side sent. */
  sentClose: { readonly code: number; readonly reason: string } | undefined
  /**
   * Set it while what was taken out could not be written: then only the latest Ping
   * is answered (RFC 6455 §5.5.3), so that Pongs cannot pile up.
   */
  outputBlocked = false
  /** Messages that were appended whole. */
  sentMessages = 0

  /** The control frames of this connection, counted. */
  readonly controls: ControlBudget
  private readonly inbound: Inbound
  private readonly outboxes: Outboxes
  // While something waits to be sent, or is being written.
  private outbox: Outbox | undefined
  private readonly encoding: Encoding | undefined
  private readonly observer: ControlObserver | undefined
  private receivedFirst = false
  // The message that is being sent in fragments: what its next frame begins with.
  private nextFragment: number | undefined

  /**
   * For the driver's use; see {@link make}.
   */
  constructor(options: Options, limits: Limits.Limits, observer: ControlObserver | undefined) {
    const primitives = options.primitives ?? portable
    this.role = options.role
    this.encoding = options.transform === undefined ? undefined : new Encoding(options.transform.encoder)
    this.observer = observer
    this.outboxes = outboxesOf(primitives, options.role)
    this.controls = new ControlBudget(limits, options.role, options.clock)
    this.inbound = new Inbound(options.role, limits, primitives, options.chunks ?? "borrowed", this, options.transform)
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
    // §5.5.2: answered, unless a Close was sent or received.
    if (this.sentClose === undefined) this.answer(payload)
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
   * Reads bytes and returns the offset behind what was read: the chunk's length,
   * unless it {@link stopped}. What is read after the {@link ending} is dropped.
   */
  receive(chunk: Uint8Array, offset = 0): number {
    const next = this.inbound.receive(chunk, offset)
    if (this.inbound.ending !== undefined && this.sentClose === undefined) this.receivedFirst = true
    return next
  }

  /** The peer's Close frame, or the rule that it broke. It stands behind all messages. */
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

  /** Messages that were received to their end, handed out or not. */
  get receivedMessages(): number {
    return this.inbound.receivedMessages
  }

  /** Bytes that were given to an extension's decoder, and that came out of it. */
  get decoderInput(): number {
    return this.inbound.decoding?.inputBytes ?? 0
  }

  get decoderOutput(): number {
    return this.inbound.decoding?.outputBytes ?? 0
  }

  /** Bytes that were received and not taken, those of an incomplete message included. */
  get queuedBytes(): number {
    return this.inbound.queuedBytes
  }

  /** The same in memory: an incomplete message takes up what it declared. */
  get heldBytes(): number {
    return this.inbound.heldBytes
  }

  /** Whether the input so far stops inside a frame or a message. */
  get isPartial(): boolean {
    return this.inbound.isPartial
  }

  /** Whether the input so far stops inside a data message. */
  get isInsideMessage(): boolean {
    return this.inbound.opcode !== 0
  }

  /** How many messages were received to their end. */
  get messagesEnded(): number {
    return this.inbound.receivedMessages
  }

  /** The peer broke a rule that only the driver can judge: one about time. */
  fail(rule: ProtocolRule): void {
    if (this.inbound.ending !== undefined) return
    if (this.sentClose === undefined) this.receivedFirst = true
    this.inbound.fail(rule)
  }

  /** Whether the input so far stops inside a frame, so that the peer cannot send a Pong now. */
  get isInsideFrame(): boolean {
    return this.inbound.isInsideFrame
  }

  /**
   * Why the last `receive` stopped before the end of its chunk; give the rest again
   * once that has changed. `"undecided"`: a message is larger than the limit of whole
   * messages, and nobody said what to {@link demand}. `"full"`: what waits is to be
   * taken first, or an encoded message to be {@link demand}ed that is larger than the
   * inbound mark. `"turn"`: an extension worked long enough for this turn of the event
   * loop.
   */
  get stopped(): Stop | undefined {
    return this.inbound.stopped
  }

  /** Whether it {@link stopped} as undecided. */
  get isUndecided(): boolean {
    return this.inbound.stopped === "undecided"
  }

  /**
   * What the reader waits for: a message above the limit of whole messages breaks the
   * limit for a reader of `"message"`, and is streamed to a reader of `"fragments"`.
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

  /** Bytes that were given to an extension's encoder, and that came out of it. */
  get encoderInput(): number {
    return this.encoding?.inputBytes ?? 0
  }

  get encoderOutput(): number {
    return this.encoding?.outputBytes ?? 0
  }

  /** Whether data can be sent: no Close frame was sent. */
  get isOpen(): boolean {
    return this.sentClose === undefined
  }

  /** Bytes that wait to be taken out. */
  get outputBytes(): number {
    return this.outbox === undefined ? 0 : this.outbox.queuedBytes
  }

  private get out(): Outbox {
    return this.outbox ??= this.outboxes.lend()
  }

  /**
   * Whether a payload of this size goes out without a copy, so that it must not be
   * changed before the transport has taken it.
   */
  isUncopied(size: number): boolean {
    return this.outboxes.isUncopied(size)
  }

  /**
   * Whether a message is so large that a negotiated extension wants it in slices of
   * {@link sliceSize}, as fragments, with a turn of the event loop in between.
   */
  isSliced(message: Message): boolean {
    return this.encoding !== undefined && exceeds(message, this.encoding.sliceSize)
  }

  /** The most bytes to send at once; see {@link isSliced}. */
  get sliceSize(): number {
    return this.encoding === undefined ? Infinity : this.encoding.sliceSize
  }

  /**
   * Whether an extension was given {@link sliceSize} to encode since the last
   * {@link tookTurn}, so that it is time for a turn of the event loop.
   */
  get isTurnOver(): boolean {
    return this.encoding !== undefined && this.encoding.isTurnOver
  }

  /** A turn of the event loop is taken. */
  tookTurn(): void {
    this.encoding?.beginTurn()
  }

  /**
   * Appends a message in one frame: text for a string, binary for bytes (RFC 6455
   * §5.6). Behind a Close nothing is sent any more (§5.5.1): see {@link isOpen}.
   */
  send(message: Sendable): void {
    if (this.sentClose !== undefined) return
    if (message instanceof Prepared) return this.sendPrepared(message)
    if (typeof message !== "string") bytesOf(message)
    this.sentMessages++
    const rsv = this.encoding === undefined ? 0 : this.encoding.begin(message)
    const text = typeof message === "string"
    const firstByte = fin | (rsv << 4) | (text ? Opcode.Text : Opcode.Binary)
    // An extension may close the connection: so it has encoded before an outbox is asked for.
    const encoded = rsv === 0 ? undefined : this.encode(message, true)
    if (this.sentClose !== undefined) return
    if (encoded !== undefined) this.out.frame(firstByte, encoded)
    else if (text) this.out.text(firstByte, message)
    else this.out.frame(firstByte, message)
  }

  /**
   * The common case of {@link send}, many at a time: appends messages from the index `from` on
   * while {@link outputBytes} is below `mark`. Returns the index of the first that was not
   * appended: there is no more room, or it is prepared, or large enough to go out uncopied.
   * With an extension, and behind a Close, none is.
   */
  sendRun(messages: ReadonlyArray<Sendable>, from: number, mark: number): number {
    if (this.encoding !== undefined || this.sentClose !== undefined || from === messages.length) return from
    const { out: outbox, outboxes } = this
    let at = from
    for (; at < messages.length && outbox.queuedBytes < mark; at++) {
      const message = messages[at]!
      if (typeof message === "string") outbox.text(fin | Opcode.Text, message)
      else if (message instanceof Uint8Array && !outboxes.isUncopied(message.length)) outbox.frame(fin | Opcode.Binary, message)
      else break
    }
    this.sentMessages += at - from
    return at
  }

  /**
   * Whether a prepared message is encoded here as it is for others; otherwise send its
   * `message`, as {@link send} does.
   */
  shares(prepared: Prepared): boolean {
    if (this.role === "client") return false
    return this.encoding === undefined ||
      (this.encoding.shareKey !== undefined && !this.isSliced(prepared.message))
  }

  private sendPrepared(prepared: Prepared): void {
    if (!this.shares(prepared)) return this.send(prepared.message)
    this.sentMessages++
    const frame = prepared.encoding(this.encoding === undefined ? "plain" : `by ${this.encoding.shareKey}`, (message) => {
      const rsv = this.encoding === undefined ? 0 : this.encoding.begin(message)
      const bytes = rsv !== 0
        ? this.encode(message, true)
        : typeof message === "string"
        ? this.utf8(message)
        : message
      return wholeFrame(fin | (rsv << 4) | (typeof message === "string" ? Opcode.Text : Opcode.Binary), bytes)
    })
    this.out.encoded(frame)
  }

  /**
   * Begins a message that {@link sendFragment} sends; `message` is the whole of it where
   * it is known. Returns whether an extension transforms it.
   */
  beginFragments(type: "text" | "binary", message?: Message): boolean {
    const rsv = this.encoding === undefined ? 0 : this.encoding.begin(message)
    if (this.encoding !== undefined) this.encoding.isFragmented = rsv !== 0
    this.nextFragment = (rsv << 4) | (type === "text" ? Opcode.Text : Opcode.Binary)
    return rsv !== 0
  }

  /**
   * Appends one fragment of a message (RFC 6455 §5.4): the first, with the opcode of its
   * type, begins it if {@link beginFragments} did not, the others continue it, and `last`
   * ends it.
   */
  sendFragment(type: "text" | "binary", payload: Message, last: boolean): void {
    if (this.sentClose !== undefined) return
    if (typeof payload !== "string") bytesOf(payload)
    if (this.nextFragment === undefined) this.beginFragments(type)
    const firstByte = last ? fin | this.nextFragment! : this.nextFragment!
    if (this.encoding?.isFragmented === true) {
      const encoded = this.encode(payload, last)
      // An extension may keep back what it was given until there is more.
      if (encoded.length === 0 && !last) return
      this.out.frame(firstByte, encoded)
    } else if (typeof payload === "string") {
      this.out.text(firstByte, payload)
    } else {
      this.out.frame(firstByte, payload)
    }
    if (last) this.sentMessages++
    this.nextFragment = last ? undefined : Opcode.Continuation
  }

  private encode(payload: Message, last: boolean): Uint8Array {
    return this.encoding!.push(typeof payload === "string" ? this.utf8(payload) : payload, last)
  }

  private utf8(text: string): Uint8Array {
    if (text.length * 3 <= scratch.length) {
      return scratch.subarray(0, this.outboxes.primitives.encodeUtf8Into(text, scratch, 0))
    }
    const bytes = this.outboxes.primitives.allocate(this.outboxes.primitives.utf8Length(text))
    this.outboxes.primitives.encodeUtf8Into(text, bytes, 0)
    return bytes
  }

  /** Appends a Ping; its payload is at most 125 bytes (RFC 6455 §5.5.2). */
  ping(payload: Uint8Array): void {
    if (this.sentClose !== undefined) return
    const { out } = this
    const before = out.queuedBytes
    out.frame(fin | Opcode.Ping, bytesOf(payload))
    this.controls.pinged(out.queuedBytes - before)
  }

  /** Appends an unsolicited Pong; its payload is at most 125 bytes (RFC 6455 §5.5.3). */
  pong(payload: Uint8Array): void {
    if (this.sentClose !== undefined) return
    const { out } = this
    const before = out.queuedBytes
    out.frame(fin | Opcode.Pong, bytesOf(payload))
    this.controls.sent += out.queuedBytes - before
  }

  /** Answers a Ping, in front of the data that waits (RFC 6455 §5.5.3). */
  private answer(payload: Uint8Array): void {
    const { out } = this
    const before = out.queuedBytes
    out.urgentFrame(fin | Opcode.Pong, payload, this.outputBlocked)
    // It may have taken the place of another.
    this.controls.sent += out.queuedBytes - before
  }

  /**
   * Appends a Close frame behind everything that waits (RFC 6455 §5.5.1); only the
   * first counts. Without a code the frame is empty. From here on what arrives is
   * read and dropped.
   */
  close(code = 1005, reason = ""): void {
    if (this.sentClose !== undefined) return
    this.sentClose = { code, reason }
    if (this.inbound.ending === undefined) this.inbound.drop()
    if (code === 1005) {
      this.out.frame(fin | Opcode.Close, noBytes)
      return
    }
    const text = reason === "" ? noBytes : encoder.encode(reason)
    const body = new Uint8Array(2 + text.length)
    body[0] = code >>> 8
    body[1] = code
    body.set(text, 2)
    this.out.frame(fin | Opcode.Close, body)
  }

  /**
   * The reader has reached the {@link ending}: answers a Close with the same code
   * (RFC 6455 §5.5.1), and a broken rule with its code (§7.1.7).
   */
  settle(): void {
    const ending = this.inbound.ending
    if (ending === undefined || this.sentClose !== undefined) return
    if (ending._tag === "Close") this.close(ending.code)
    else this.close(ending.error.code, ending.error.rule)
  }

  /** Everything that waits to be written, in order. It is the writer's until {@link outputTaken}. */
  takeOutput(): Array<Uint8Array> {
    return this.outbox === undefined ? [] : this.outbox.take()
  }

  /** What was taken out has been written: its buffers may be used again. */
  outputTaken(): void {
    const { outbox } = this
    if (outbox === undefined) return
    outbox.taken()
    if (!outbox.isBlank) return
    this.outbox = undefined
    this.outboxes.giveBack(outbox)
  }

  /** Forgets what waits to be written: the connection is gone. */
  clearOutput(): void {
    this.outbox?.clear()
  }

  // ---------------------------------------------------------------------------
  // closing
  // ---------------------------------------------------------------------------

  /** What is known of how the connection closed; 1006 where it ended without a Close. */
  get closeInfo(): CloseInfo {
    const ending = this.inbound.ending
    const received = ending?._tag === "Close" ? { code: ending.code, reason: ending.reason } : undefined
    const sent = this.sentClose
    const first = (this.receivedFirst ? received ?? sent : sent ?? received) ?? { code: 1006, reason: "" }
    return {
      code: first.code,
      reason: first.reason,
      initiator: this.receivedFirst && received !== undefined ? "remote" : sent === undefined ? "remote" : "local",
      clean: sent !== undefined && received !== undefined,
      ...(sent === undefined ? undefined : { sent }),
      ...(received === undefined ? undefined : { received })
    }
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

/**
 * Checks the arguments of a Close that this side sends (RFC 6455 §5.5.1, §7.4):
 * a code that may stand on the wire, 1010 from clients only, and a reason of at
 * most 123 bytes.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkClose = (
  role: "client" | "server",
  code: number | undefined,
  reason: string
): Result.Result<void, InvalidArgument> => {
  if (code === undefined) {
    return reason === ""
      ? Result.void
      : Result.fail(new InvalidArgument({ argument: "reason", detail: "a reason needs a code" }))
  }
  if (!Number.isInteger(code) || !CloseCode.isWireValid(code)) {
    return Result.fail(
      new InvalidArgument({
        argument: "code",
        detail: `${code} may not be sent; 1000-1003, 1007-1014 and 3000-4999 may (RFC 6455 §7.4)`
      })
    )
  }
  if (code === 1010 && role === "server") {
    return Result.fail(
      new InvalidArgument({ argument: "code", detail: "1010 is sent by clients only (RFC 6455 §7.4.1)" })
    )
  }
  const size = encoder.encode(reason).length
  return size <= 123
    ? Result.void
    : Result.fail(
      new InvalidArgument({ argument: "reason", detail: `${size} bytes; at most 123 fit (RFC 6455 §5.5)` })
    )
}

/** A frame of a server, in memory of its own. */
const wholeFrame = (firstByte: number, payload: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(headerLength(payload.length, false) + payload.length)
  frame.set(payload, writeHeader(frame, 0, firstByte, payload.length, false, 0))
  return frame
}

/** Whether a message has more than `size` bytes; most texts are judged without counting. */
const exceeds = (message: Message, size: number): boolean =>
  message.length > size || (typeof message === "string" && message.length * 3 > size && byteLength(message) > size)

// Listeners for all connections: a pool of 8 KiB of mask keys of its own would outweigh an idle one.
const outboxes = { client: new WeakMap<Primitives, Outboxes>(), server: new WeakMap<Primitives, Outboxes>() }
const outboxesOf = (primitives: Primitives, role: "client" | "server"): Outboxes => {
  const known = outboxes[role].get(primitives)
  if (known !== undefined) return known
  const made = new Outboxes(primitives, role === "client" ? new MaskKeys(primitives.randomFill) : undefined)
  outboxes[role].set(primitives, made)
  return made
}
