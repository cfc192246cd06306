/**
 * The receiving half of the protocol machine: bytes in, messages, control events
 * and one ending out. It holds every rule of RFC 6455 about what a peer may send.
 *
 * Messages are assembled whole, or, where the reader asks for it, handed on piece
 * by piece. What ends the connection for the reader (`ending`) always stands behind
 * all messages, because nothing after a Close frame or a broken rule is read.
 */
import { FrameHeader } from "../codec/FrameHeader.ts"
import { Utf8Validator } from "../codec/Utf8.ts"
import type { Limits } from "../Limits.ts"
import type { Message } from "../Message.ts"
import type { Transform } from "../MessageExtension.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import type { Rule } from "../rules/Violation.ts"
import { Assembly } from "./Assembly.ts"
import { ControlPayload } from "./ControlPayload.ts"
import { Decoding, type Pause } from "./Decoding.ts"
import { type Ending, readClose, violation } from "./Ending.ts"
import { Fragments } from "./Fragments.ts"
import { type Chunks, Payloads } from "./Payloads.ts"
import { largeMessage } from "./Slab.ts"

/**
 * Why `receive` stopped before the end of its chunk: the reader must decide what to do
 * with a message above the limit; it must take what waits first; or an extension has
 * worked long enough, and goes on in the next turn of the event loop.
 */
export type Stop = Pause

// The longest string of V8, and well under its largest buffer: above, no limit that a
// caller sets can make a message of what is declared, and asking for the memory throws.
const largestMessage = 0x1fffffe8

// The first byte of a message in one frame that no extension touched: FIN and the opcode.
const finalText = 0x80 | Opcode.Text
const finalBinary = 0x80 | Opcode.Binary

// A message costs an entry in an array besides its payload.
const messageCharge = 64

/** How much of the inbound mark a waiting message takes up. */
const weigh = (message: Message): number => message.length + messageCharge

export interface InboundHooks {
  onPing(payload: Uint8Array): void
  onPong(payload: Uint8Array): void
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
  /** Why the last `receive` stopped early. */
  stopped: Stop | undefined
  /** Messages whose end was received, so that one is told from the next. */
  ended = 0
  /** Messages that were received to their end. */
  receivedMessages = 0
  readonly decoding: Decoding | undefined
  private readonly header: FrameHeader
  // The second byte's mask bit as the peer must send it (§5.1).
  private readonly maskBit: number
  private readonly limits: Limits
  private readonly primitives: Primitives
  private readonly hooks: InboundHooks
  private readonly assembly: Assembly
  private pieceValidator: Utf8Validator | undefined
  private readonly payloads: Payloads
  // The message that is being received is being decoded; so much came out.
  private transformed = false
  private produced = 0

  // Our Close was sent.
  private dropping = false
  private queuedMessageBytes = 0
  // The frame that is being received: begun means that its header was judged.
  private begun = false
  private remaining = 0
  private received = 0
  /** The message that is being received: 0, or the opcode that began it. */
  opcode = 0
  private frames = 0
  private charged = 0
  private controlPayload: ControlPayload | undefined

  constructor(
    role: "client" | "server",
    limits: Limits,
    primitives: Primitives,
    chunks: Chunks,
    hooks: InboundHooks,
    transform: Transform | undefined
  ) {
    this.header = new FrameHeader(role === "server" ? "required" : "forbidden")
    this.maskBit = role === "server" ? 0x80 : 0
    this.header.allowedRsv = transform === undefined ? 0 : transform.rsv
    this.limits = limits.maxMessageSize > largestMessage ? { ...limits, maxMessageSize: largestMessage } : limits
    this.primitives = primitives
    this.hooks = hooks
    this.assembly = new Assembly(primitives)
    this.payloads = new Payloads(chunks, primitives)
    this.decoding = transform === undefined ? undefined : new Decoding(transform.decoder, {
      // A reader of whole messages waits for this one, however large it becomes.
      isFull: () => this.isFull && (this.demand !== "message" || this.isStreaming),
      put: (bytes) => this.put(bytes),
      onFailure: (detail) => this.fail("ExtensionData", detail),
      isOver: () => this.ending !== undefined
    })
  }

  // Made where they are first needed: most connections never see a text in pieces, nor a
  // control frame while they are idle.
  private get validator(): Utf8Validator {
    return this.pieceValidator ??= new Utf8Validator()
  }

  private get control(): ControlPayload {
    return this.controlPayload ??= new ControlPayload()
  }

  /** Bytes that were received and not pulled, those of an incomplete message included. */
  get queuedBytes(): number {
    return this.queuedMessageBytes + this.assembly.length + (this.fragments?.queuedBytes ?? 0)
  }

  /** The same in memory: an incomplete message takes up what it declared. */
  get heldBytes(): number {
    return this.queuedMessageBytes + this.assembly.buffer.length + (this.fragments?.queuedBytes ?? 0)
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
   * whole length, unless it `stopped`. The rest is to be given again.
   */
  receive(bytes: Uint8Array, offset: number): number {
    const next = this.read(bytes, offset)
    this.payloads.leave()
    return next
  }

  private read(bytes: Uint8Array, offset: number): number {
    const end = bytes.length
    const header = this.header
    const stopped = this.stopped
    this.stopped = undefined
    if (this.decoding !== undefined && stopped !== undefined && !this.goOn(this.decoding, stopped)) return offset
    for (;;) {
      if (this.ending !== undefined) return end
      if (!this.begun) {
        if (!header.complete) {
          if (!header.isPartial()) {
            offset = this.whole(bytes, offset, end)
            if (this.ending !== undefined) return end
          }
          if (offset === end) return end
          offset = header.parse(bytes, offset, end)
          if (header.violation !== undefined) {
            this.fail(header.violation)
            return end
          }
          if (!header.complete) return end
        }
        if (!this.begin()) return this.ending === undefined ? offset : end
      }
      const size = Math.min(this.remaining, end - offset)
      if (size > 0 || this.remaining === 0) {
        this.payload(bytes, offset, offset + size)
        offset += size
        if (this.stopped !== undefined) return offset
      }
      if (this.begun) return end
    }
  }

  /**
   * The common case, many at a time: messages of one frame that lie in the chunk whole.
   * Returns the offset of the first frame that is anything else, a broken rule included:
   * what it means is judged where all rules stand, in `begin`.
   */
  private whole(bytes: Uint8Array, offset: number, end: number): number {
    if (
      this.opcode !== 0 || this.dropping || this.decoding !== undefined || this.fragments !== undefined ||
      this.demand === "fragments"
    ) return offset
    const { maskBit } = this
    const limit = this.limits.maxMessageSize
    for (;;) {
      if (end - offset < 2) return offset
      const first = bytes[offset]!
      if (first !== finalText && first !== finalBinary) return offset
      let size = bytes[offset + 1]! ^ maskBit
      let at = offset + 2
      // Another mask bit, or a length of 64 bits.
      if (size >= 127) return offset
      if (size === 126) {
        if (end - offset < 4) return offset
        size = (bytes[at]! << 8) | bytes[at + 1]!
        if (size < 126) return offset
        at += 2
      }
      let key = 0
      if (maskBit !== 0) {
        if (end - at < 4) return offset
        key = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
        at += 4
      }
      if (size > end - at || size > limit) return offset
      offset = at + size
      this.ended++
      if (first === finalText) {
        if (!this.text(bytes, at, offset, key)) return end
      } else {
        this.deliver(this.payloads.binary(bytes, at, offset, end, key))
      }
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
    const { fin, length, opcode, rsv } = this.header
    // RFC 7692 §6: an extension's bit stands on the first frame of a data message only.
    if (rsv !== 0 && (opcode >= Opcode.Close || opcode === Opcode.Continuation)) return this.fail("ReservedBit")
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
    // A flood of small fragments is charged; those that carry a large message, as browsers
    // send it, cost their payload only.
    const cost = fin ? length : Math.max(length, this.limits.fragmentCharge)
    if (this.frames >= this.limits.maxFragments) return this.fail("TooManyFragments")
    // A little on the wire can become much, so what waits is taken before more is read.
    if (first && this.decoding !== undefined && this.isFull) return this.stop("full")
    const starts = this.fragments === undefined && this.demand === "fragments" && this.messages.length === 0
    const streamed = starts || this.isStreaming
    const transformed = first ? rsv !== 0 : this.transformed
    let limit = streamed ? this.limits.maxStreamedMessageSize : this.limits.maxMessageSize
    // The limit counts what a transform puts out; what goes in may be a little more.
    if (transformed) limit += Math.floor(limit / 256) + 1024
    // Compared before anything is added or allocated (§10.4); a length may be Infinity.
    if (cost > limit - this.charged) {
      // A reader that gets an earlier message may ask for this one in pieces.
      if (streamed || (this.demand === "message" && this.messages.length === 0)) return this.fail("MessageTooBig")
      return this.stop("undecided")
    }
    if (first) {
      this.opcode = opcode
      this.transformed = transformed
      if (transformed) {
        this.decoding!.begin(rsv)
        if (this.ending !== undefined) return false
      }
    }
    // Not for a first frame that is refused: its reader is told at once.
    if (starts) this.stream()
    this.charged += cost
    this.frames++
    return this.beginFrame()
  }

  /** That of the current frame, 0 where it is not masked. */
  private get maskKey(): number {
    return this.header.masked ? this.header.maskKey : 0
  }

  /** Whether the message that is being received is handed on in pieces. */
  private get isStreaming(): boolean {
    return this.fragments !== undefined && !this.fragments.done
  }

  private get isFull(): boolean {
    // Where nothing waits nobody could take it, however low the mark is.
    return this.queuedBytes >= Math.max(this.limits.inboundHighWaterMark, 1)
  }

  private stop(stop: Stop): false {
    this.stopped = stop
    return false
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
    const { fin, opcode } = this.header
    if (opcode >= Opcode.Close) {
      this.control.add(bytes, start, end, this.received, this.header)
    } else if (this.dropping) {
      // Read for its Close only.
    } else if (this.transformed) {
      this.decode(bytes, start, end, fin && this.remaining === 0)
    } else if (this.fragments !== undefined && !this.fragments.done) {
      this.piece(bytes, start, end)
    } else if (whole && fin && opcode !== Opcode.Continuation) {
      if (opcode === Opcode.Text) this.text(bytes, start, end, this.maskKey)
      else this.deliver(this.payloads.binary(bytes, start, end, bytes.length, this.maskKey))
    } else {
      this.assemble(bytes, start, end)
    }
    this.received += end - start
    if (this.remaining === 0 && this.ending === undefined && this.stopped === undefined) this.endFrame()
  }

  /** A text that lies in one chunk; `false`: it is not UTF-8. */
  private text(bytes: Uint8Array, start: number, end: number, maskKey: number): boolean {
    const text = this.payloads.text(bytes, start, end, maskKey)
    if (text === undefined) return this.fail("InvalidUtf8")
    this.deliver(text)
    return true
  }

  /** Gives payload to the decoder; what it puts out is bounded by the turn and the reader. */
  private decode(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (end === start && !last) return
    // The decoder may need it longer than the chunk lives.
    const source = this.payloads.part(bytes, start, end, this.maskKey, this.received & 3, 0)
    this.stopped = this.decoding!.push(source, last)
  }

  /** `false`: what was given to the decoder is still not worked off. */
  private goOn(decoding: Decoding, stopped: Stop): boolean {
    if (stopped === "turn") decoding.beginTurn()
    if (!decoding.isBusy) return true
    if (this.dropping) decoding.drop()
    else this.stopped = decoding.goOn()
    if (this.stopped !== undefined) return false
    if (this.remaining === 0 && this.ending === undefined) this.endFrame()
    return true
  }

  /** Takes what the decoder put out. `false`: the reader must decide first. */
  private put(piece: Uint8Array): boolean {
    let streamed = this.isStreaming
    if (!streamed && this.demand === "fragments" && this.messages.length === 0 && this.fragments === undefined) {
      this.stream()
      streamed = true
    }
    const limit = streamed ? this.limits.maxStreamedMessageSize : this.limits.maxMessageSize
    if (piece.length > limit - this.produced) {
      if (!streamed && (this.demand !== "message" || this.messages.length > 0)) return false
      this.fail("MessageTooBig")
      return true
    }
    this.produced += piece.length
    if (this.opcode === Opcode.Text && !this.validator.push(piece, 0, piece.length)) this.fail("InvalidUtf8")
    else if (streamed) this.fragments!.push(piece)
    else this.assembly.append(piece)
    return true
  }

  private assemble(bytes: Uint8Array, start: number, end: number): void {
    const assembly = this.assembly
    if (this.received === 0) assembly.reserve(this.header.length, this.header.fin)
    const at = assembly.length
    this.payloads.into(bytes, start, end, assembly.buffer, at, this.maskKey, this.received & 3)
    assembly.length = at + end - start
    // §8.1: text fails at the first byte that proves it invalid, not at its end.
    if (this.opcode === Opcode.Text && !this.validator.push(assembly.buffer, at, assembly.length)) {
      this.fail("InvalidUtf8")
    }
  }

  private piece(bytes: Uint8Array, start: number, end: number): void {
    const fragments = this.fragments!
    if (fragments.discarded && fragments.type === "binary") return
    const piece = this.payloads.part(bytes, start, end, this.maskKey, this.received & 3, largeMessage)
    if (fragments.type === "text" && !this.validator.push(piece, 0, piece.length)) this.fail("InvalidUtf8")
    else fragments.push(piece)
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
      this.ending = readClose(this.control.bytes, length, this.primitives)
      // What is not whole never will be.
      if (this.ending._tag === "Violation") this.assembly.clear()
      return
    }
    const payload = this.control.bytes.slice(0, length)
    if (opcode === Opcode.Ping) this.hooks.onPing(payload)
    else this.hooks.onPong(payload)
  }

  private endMessage(): void {
    const text = this.opcode === Opcode.Text
    const fragments = this.fragments
    if (this.dropping) {
      this.resetMessage()
    } else if (fragments !== undefined && !fragments.done) {
      fragments.done = !text || this.validator.isComplete()
      if (fragments.done) this.receivedMessages++
      else this.fail("InvalidUtf8")
      if (fragments.discarded) this.fragments = undefined
      this.resetMessage()
    } else if (this.frames === 1 && this.assembly.buffer.length === 0 && !this.transformed) {
      // Delivered by `text` or `binary`.
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
    if (this.frames !== 1 || this.assembly.length > 0 || this.fragments !== undefined || this.transformed) {
      this.assembly.clear()
      this.pieceValidator?.reset()
    }
    this.opcode = 0
    this.ended++
    this.frames = 0
    this.charged = 0
    this.transformed = false
    this.produced = 0
  }

  private deliver(message: Message): void {
    this.receivedMessages++
    this.messages.push(message)
    this.queuedMessageBytes += weigh(message)
  }

  /** The peer broke a rule: behind what was received until now, nothing more is read. */
  fail(rule: Rule, detail?: string): false {
    this.ending = violation(rule, detail)
    this.assembly.clear()
    return false
  }
}
