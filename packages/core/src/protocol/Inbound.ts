/**
 * The receiving half of the protocol machine: bytes in, messages, control events
 * and one ending out. It holds every rule of RFC 6455 about what a peer may send.
 *
 * Messages are assembled whole, or, where the reader asks for it, handed on piece
 * by piece. What ends the connection for the reader (`ending`) always stands behind
 * all messages, because nothing after a Close frame or a broken rule is read.
 */
import { isWireValid } from "../CloseCode.ts"
import { FrameHeader } from "../codec/FrameHeader.ts"
import { maskInPlace, maskInto } from "../codec/Mask.ts"
import { isUtf8, Utf8Validator } from "../codec/Utf8.ts"
import type { Limits } from "../Limits.ts"
import type { Message } from "../Message.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import type { Rule } from "../rules/Violation.ts"
import { ProtocolError } from "../WebSocketError.ts"
import { Assembly } from "./Assembly.ts"
import { Fragments } from "./Fragments.ts"

/** What stands at the end of what a peer sends. */
export type Ending =
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }
  | { readonly _tag: "Violation"; readonly error: ProtocolError }

/** Who owns the bytes that `receive` is given; see `Transport.chunks`. */
export type Chunks = "borrowed" | "scratch" | "owned"

// A view keeps its whole chunk alive, so smaller payloads are copied out of it.
const viewThreshold = 2048

// A message costs an entry in an array besides its payload.
const messageCharge = 64

/** How much of the inbound mark a waiting message takes up. */
const weigh = (message: Message): number => message.length + messageCharge

// Texts of borrowed chunks are unmasked here before they are decoded. Shared: it is
// used within one call only.
let scratch = new Uint8Array(0)

export interface InboundHooks {
  readonly onPing: (payload: Uint8Array) => void
  readonly onPong: (payload: Uint8Array) => void
}

export class Inbound {
  /** Whole messages that wait for the reader. */
  messages: Array<Message> = []
  /** The streamed message that is being received, until its reader has reached its end. */
  fragments: Fragments | undefined
  /** The peer's Close, or the rule it broke; nothing is read after it. */
  ending: Ending | undefined
  /**
   * What the reader waits for. A message above the limit fails a reader of whole
   * messages, is streamed to a reader of fragments, and otherwise waits for either.
   */
  demand: "none" | "message" | "fragments" = "none"
  /** The next frame exceeds the limit of whole messages and nobody asked yet. */
  undecided = false
  private readonly header: FrameHeader
  private readonly limits: Limits
  private readonly primitives: Primitives
  private readonly chunks: Chunks
  private readonly hooks: InboundHooks
  private readonly assembly: Assembly
  private readonly validator = new Utf8Validator()

  // Our Close was sent.
  private dropping = false
  private queuedMessageBytes = 0
  // The frame that is being received: begun means that its header was judged.
  private begun = false
  private remaining = 0
  private received = 0
  // The message that is being received: 0, or the opcode that began it.
  private opcode = 0
  private frames = 0
  private charged = 0
  private control: Uint8Array<ArrayBuffer> | undefined

  constructor(
    role: "client" | "server",
    limits: Limits,
    primitives: Primitives,
    chunks: Chunks,
    hooks: InboundHooks
  ) {
    this.header = new FrameHeader(role === "server" ? "required" : "forbidden")
    this.limits = limits
    this.primitives = primitives
    this.chunks = chunks
    this.hooks = hooks
    this.assembly = new Assembly(primitives)
  }

  /** Bytes that were received and not pulled, those of an incomplete message included. */
  get queuedBytes(): number {
    return this.queuedMessageBytes + this.assembly.length + (this.fragments?.queuedBytes ?? 0)
  }

  /** Whether the peer is in the middle of a frame or a message. */
  get isPartial(): boolean {
    return this.header.isPartial() || this.begun || this.opcode !== 0
  }

  /** Whether the peer is in the middle of a frame, so that it cannot send a Pong now. */
  get isInsideFrame(): boolean {
    return this.header.isPartial() || this.begun
  }

  /**
   * Reads `bytes` from `offset` and returns the offset behind what was read: the
   * whole length, unless the reader must decide first what to do with a message above
   * the limit (`undecided`). The rest is to be given again after `demand` changed.
   */
  receive(bytes: Uint8Array, offset: number): number {
    const end = bytes.length
    const header = this.header
    this.undecided = false
    for (;;) {
      if (this.ending !== undefined) return end
      if (!this.begun) {
        if (offset === end && !header.complete) return end
        if (!header.complete) {
          offset = header.parse(bytes, offset, end)
          if (header.violation !== undefined) {
            this.fail(header.violation)
            return end
          }
          if (!header.complete) return end
        }
        if (!this.begin()) {
          if (this.ending !== undefined) return end
          this.undecided = true
          return offset
        }
      }
      const size = Math.min(this.remaining, end - offset)
      if (size > 0 || this.remaining === 0) {
        this.payload(bytes, offset, offset + size)
        offset += size
      }
      if (this.begun) return end
    }
  }

  takeMessages(): Array<Message> {
    const messages = this.messages
    this.messages = []
    this.queuedMessageBytes = 0
    return messages
  }

  takeMessage(): Message {
    const message = this.messages.shift()!
    this.queuedMessageBytes -= weigh(message)
    return message
  }

  /**
   * Hands the message that is being received, if there is one, to a reader of
   * fragments; one that has not begun will be once `demand` is `"fragments"`.
   */
  stream(): void {
    if (this.opcode === 0 || this.fragments !== undefined || this.dropping) return
    this.beginFragments()
    if (this.assembly.length > 0) this.fragments!.push(this.assembly.take())
    this.assembly.clear()
  }

  /** Our Close was sent: from here on what arrives is read and dropped (RFC 6455 §5.5.1). */
  drop(): void {
    this.dropping = true
    this.assembly.clear()
  }

  /** Judges the frame whose header is whole. `false`: it broke a rule, or must wait. */
  private begin(): boolean {
    const { fin, length, opcode } = this.header
    if (opcode >= Opcode.Close) return this.beginFrame()
    if (opcode === Opcode.Continuation) {
      // §5.4: a continuation frame stands inside a fragmented message only,
      if (this.opcode === 0) return this.fail("ContinuationUnexpected")
    } else if (this.opcode !== 0) {
      // and no other data frame does.
      return this.fail("ContinuationExpected")
    }
    const first = this.opcode === 0
    if (this.dropping) {
      if (first) this.opcode = opcode
      return this.beginFrame()
    }
    // A message in one frame costs its payload only.
    const charge = first && fin ? 0 : this.limits.fragmentCharge
    if (this.frames >= this.limits.maxFragments) return this.fail("TooManyFragments")
    let streamed = this.fragments !== undefined && !this.fragments.done
    if (!streamed && this.demand === "fragments" && this.messages.length === 0 && this.fragments === undefined) {
      if (first) this.opcode = opcode
      this.stream()
      streamed = true
    }
    const limit = streamed ? this.limits.maxStreamedMessageSize : this.limits.maxMessageSize
    // Compared before anything is added or allocated (§10.4); a length may be Infinity.
    if (length > limit - this.charged - charge) {
      // A reader that gets an earlier message may ask for this one in pieces.
      if (streamed || (this.demand === "message" && this.messages.length === 0)) return this.fail("MessageTooBig")
      return false
    }
    if (first) this.opcode = opcode
    this.charged += charge + length
    this.frames++
    return this.beginFrame()
  }

  private beginFrame(): boolean {
    this.begun = true
    this.remaining = this.header.length
    this.received = 0
    return true
  }

  private beginFragments(): void {
    this.fragments = new Fragments(this.opcode === Opcode.Text ? "text" : "binary", this.primitives)
  }

  private payload(bytes: Uint8Array, start: number, end: number): void {
    this.remaining -= end - start
    const whole = this.received === 0 && this.remaining === 0
    const { fin, masked, opcode } = this.header
    if (opcode >= Opcode.Close) {
      this.controlPayload(bytes, start, end)
    } else if (this.dropping) {
      // Read for its Close only.
    } else if (this.fragments !== undefined && !this.fragments.done) {
      this.piece(bytes, start, end)
    } else if (whole && fin && opcode !== Opcode.Continuation) {
      this.direct(bytes, start, end)
    } else {
      this.assemble(bytes, start, end, masked)
    }
    this.received += end - start
    if (this.remaining === 0 && this.ending === undefined) this.endFrame()
  }

  /** A message that lies in one chunk, the common case: no buffer in between. */
  private direct(bytes: Uint8Array, start: number, end: number): void {
    const { masked, maskKey } = this.header
    const size = end - start
    if (this.opcode === Opcode.Binary) {
      let message: Uint8Array
      if (this.chunks === "owned" && size >= viewThreshold) {
        if (masked) maskInPlace(bytes, start, end, maskKey, 0)
        // Not `subarray`: on a Node Buffer it would hand out another Buffer.
        message = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size)
      } else {
        message = this.primitives.allocate(size)
        if (masked) maskInto(bytes, start, end, message, 0, maskKey, 0)
        else message.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
      }
      this.deliver(message)
      return
    }
    let source = bytes
    let from = start
    if (masked) {
      if (this.chunks === "borrowed") {
        if (scratch.length < size) scratch = new Uint8Array(Math.max(size, 64 * 1024))
        maskInto(bytes, start, end, scratch, 0, maskKey, 0)
        source = scratch
        from = 0
      } else {
        maskInPlace(bytes, start, end, maskKey, 0)
      }
    }
    const text = this.primitives.decodeUtf8(source, from, from + size)
    // §8.1: decoding replaces what is invalid by U+FFFD, so without one all was valid.
    if (text.includes("\uFFFD") && !isUtf8(source, from, from + size)) {
      this.fail("InvalidUtf8")
      return
    }
    this.deliver(text)
  }

  private assemble(bytes: Uint8Array, start: number, end: number, masked: boolean): void {
    const assembly = this.assembly
    if (this.received === 0) assembly.reserve(this.header.length, this.header.fin)
    const at = assembly.length
    if (masked) {
      maskInto(bytes, start, end, assembly.buffer, at, this.header.maskKey, this.received & 3)
    } else {
      assembly.buffer.set(bytes.subarray(start, end), at)
    }
    assembly.length = at + end - start
    // §8.1: text fails at the first byte that proves it invalid, not at its end.
    if (this.opcode === Opcode.Text && !this.validator.push(assembly.buffer, at, assembly.length)) {
      this.fail("InvalidUtf8")
    }
  }

  private piece(bytes: Uint8Array, start: number, end: number): void {
    const fragments = this.fragments!
    const { masked, maskKey } = this.header
    const size = end - start
    if (fragments.discarded && fragments.type === "binary") return
    let piece: Uint8Array
    if (this.chunks === "owned" && size >= viewThreshold) {
      if (masked) maskInPlace(bytes, start, end, maskKey, this.received & 3)
      piece = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size)
    } else {
      piece = this.primitives.allocate(size)
      if (masked) maskInto(bytes, start, end, piece, 0, maskKey, this.received & 3)
      else piece.set(bytes.subarray(start, end))
    }
    if (fragments.type === "text" && !this.validator.push(piece, 0, size)) this.fail("InvalidUtf8")
    else fragments.push(piece)
  }

  private controlPayload(bytes: Uint8Array, start: number, end: number): void {
    if (end === start) return
    const control = this.control ??= new Uint8Array(125)
    if (this.header.masked) {
      maskInto(bytes, start, end, control, this.received, this.header.maskKey, this.received & 3)
    } else {
      control.set(bytes.subarray(start, end), this.received)
    }
  }

  private endFrame(): void {
    const { fin, length, opcode } = this.header
    this.begun = false
    this.header.reset()
    if (opcode >= Opcode.Close) {
      this.endControl(opcode, length)
    } else if (fin) {
      this.endMessage()
    }
  }

  private endControl(opcode: number, length: number): void {
    if (opcode === Opcode.Close) {
      this.endClose(length)
      return
    }
    const payload = this.control === undefined ? new Uint8Array(0) : this.control.slice(0, length)
    if (opcode === Opcode.Ping) this.hooks.onPing(payload)
    else this.hooks.onPong(payload)
  }

  private endClose(length: number): void {
    // §5.5.1: the body is empty, or begins with a code of two bytes.
    if (length === 0) {
      this.ending = { _tag: "Close", code: 1005, reason: "" }
      return
    }
    const control = this.control!
    if (length === 1) {
      this.fail("CloseTooShort")
      return
    }
    const code = (control[0] << 8) | control[1]
    // §7.4
    if (!isWireValid(code)) {
      this.fail("CloseCodeInvalid", `the peer closed with ${code}, which may not be sent`)
      return
    }
    // §5.5.1: the reason is UTF-8.
    if (!isUtf8(control, 2, length)) {
      this.fail("CloseReasonInvalid")
      return
    }
    this.ending = { _tag: "Close", code, reason: this.primitives.decodeUtf8(control, 2, length) }
  }

  private endMessage(): void {
    const text = this.opcode === Opcode.Text
    const fragments = this.fragments
    if (this.dropping) {
      this.resetMessage()
    } else if (fragments !== undefined && !fragments.done) {
      if (text && !this.validator.isComplete()) this.fail("InvalidUtf8")
      else fragments.done = true
      if (fragments.discarded) this.fragments = undefined
      this.resetMessage()
    } else if (this.frames === 1 && this.assembly.buffer.length === 0) {
      // Delivered by `direct`.
      this.resetMessage()
    } else if (!text) {
      const message = this.assembly.take()
      this.resetMessage()
      this.deliver(message)
    } else if (!this.validator.isComplete()) {
      // §8.1: the text ends inside a code point.
      this.fail("InvalidUtf8")
    } else {
      const { buffer, length } = this.assembly
      const message = this.primitives.decodeUtf8(buffer, 0, length)
      this.resetMessage()
      this.deliver(message)
    }
  }

  private resetMessage(): void {
    if (this.frames !== 1 || this.assembly.length > 0 || this.fragments !== undefined) {
      this.assembly.clear()
      this.validator.reset()
    }
    this.opcode = 0
    this.frames = 0
    this.charged = 0
  }

  private deliver(message: Message): void {
    this.messages.push(message)
    this.queuedMessageBytes += weigh(message)
  }

  private fail(rule: Rule, detail?: string): false {
    this.ending = { _tag: "Violation", error: ProtocolError.of(rule, detail) }
    this.assembly.clear()
    return false
  }
}
