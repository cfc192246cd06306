/**
 * The receiving half of the protocol: bytes in, messages, control frames and one ending out. It
 * holds every rule of RFC 6455 about what a peer may send.
 *
 * Messages are assembled whole or, if the reader asks for it, delivered piece by piece. The
 * ending of the connection always follows all messages, because nothing after a Close frame or
 * a broken rule is read.
 */
import type { Limits } from "../Limits.ts"
import type { Transform } from "../MessageExtension.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import type { ProtocolRule } from "../WebSocketError.ts"
import { type DecodedSink, ExtensionDecoding, type Stop } from "./ExtensionDecoding.ts"
import { readClose } from "./CloseFrame.ts"
import { type Ending, violation } from "./Ending.ts"
import { Fragments } from "./Fragments.ts"
import { IncomingFrame } from "./IncomingFrame.ts"
import { Inbox } from "./Inbox.ts"
import { IncomingMessage } from "./IncomingMessage.ts"
import { type Chunks, type PayloadReader, payloadReaderOf } from "./PayloadReader.ts"
import { ChunkCopy, largeMessage } from "../memory/ChunkCopy.ts"
import { type Memory, ownOf } from "../memory/LentMemory.ts"

// The longest string of V8, and well below its largest buffer. A longer message cannot be received
// whole whatever the limits are, and allocating its memory would throw.
const largestMessage = 0x1fffffe8

// The first byte of a message in one frame that no extension touched: FIN and the opcode.
const finalText = 0x80 | Opcode.Text
const finalBinary = 0x80 | Opcode.Binary

/** Sees the control frames of a connection as they are read. */
export interface ControlObserver {
  onPing(payload: Uint8Array): void
  onPong(payload: Uint8Array): void
}

export class Inbound extends Inbox implements DecodedSink {
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
  readonly decoding: ExtensionDecoding | undefined
  // The second byte's mask bit as the peer must send it (§5.1).
  private readonly maskBit: number
  private readonly limits: Limits
  private readonly observer: ControlObserver
  private readonly payloads: PayloadReader
  // What binary messages get their memory from.
  private memory: Memory
  // Our Close was sent.
  private dropping = false
  // State of a frame, a message or a chunk exists only as long as it is needed, so that an idle
  // connection holds none of it: about 700 bytes of 3,900.
  private frame: IncomingFrame | undefined
  private message: IncomingMessage | undefined
  private copy: ChunkCopy | undefined

  constructor(
    role: "client" | "server",
    limits: Limits,
    primitives: Primitives,
    chunks: Chunks,
    observer: ControlObserver,
    transform: Transform | undefined
  ) {
    super()
    this.maskBit = role === "server" ? 0x80 : 0
    this.limits = limits.maxMessageSize > largestMessage ? { ...limits, maxMessageSize: largestMessage } : limits
    this.observer = observer
    this.payloads = payloadReaderOf(chunks, primitives)
    this.memory = primitives
    this.decoding = transform === undefined ? undefined : new ExtensionDecoding(transform, this)
  }

  /** Bytes that were received and not taken, those of an incomplete message included. */
  get queuedBytes(): number {
    return this.messageBytes + (this.message?.length ?? 0) + (this.fragments?.queuedBytes ?? 0)
  }

  /** The same as memory: an incomplete message counts as much as it declared. */
  get heldBytes(): number {
    return this.messageBytes + (this.message?.capacity ?? 0) + (this.fragments?.queuedBytes ?? 0)
  }

  /** Whether the peer is in the middle of a frame or a message. */
  get isPartial(): boolean {
    return this.isInsideFrame || this.message !== undefined
  }

  /** Whether the peer is in the middle of a data message. */
  get isInsideMessage(): boolean {
    return this.message !== undefined
  }

  /** Whether the peer is in the middle of a frame, so that it cannot send a Pong now. */
  get isInsideFrame(): boolean {
    const { frame } = this
    return frame !== undefined && (frame.isPartial() || frame.begun)
  }

  /**
   * Reads `bytes` from `offset` and returns the offset after what was read: the whole length,
   * unless it `stopped`. The rest must be passed again.
   */
  receive(bytes: Uint8Array, offset: number): number {
    try {
      return this.read(bytes, offset)
    } finally {
      // In a `finally`, because a hook may throw: no message may show what its memory held before.
      this.leaveCopy(bytes)
      if (this.frame !== undefined && this.frame.isBlank()) this.frame = undefined
    }
  }

  private read(bytes: Uint8Array, offset: number): number {
    const end = bytes.length
    const stopped = this.stopped
    this.stopped = undefined
    if (this.decoding !== undefined && stopped !== undefined && !this.goOn(this.decoding, stopped)) return offset
    for (;;) {
      if (this.ending !== undefined) return end
      let frame = this.frame
      if (frame === undefined || !frame.begun) {
        if (frame === undefined || !frame.complete) {
          if (frame === undefined || frame.isBlank()) {
            offset = this.wholeMessages(bytes, offset, end)
            if (this.ending !== undefined) return end
          }
          if (offset === end) return end
          frame ??= this.expectFrame()
          offset = frame.parse(bytes, offset, end)
          if (frame.violation !== undefined) this.fail(frame.violation)
          if (!frame.complete || this.ending !== undefined) return end
        }
        if (!this.begin(frame)) return this.ending === undefined ? offset : end
      }
      const size = Math.min(frame.remaining, end - offset)
      if (size > 0 || frame.remaining === 0) {
        this.payload(frame, bytes, offset, offset + size)
        offset += size
        if (this.stopped !== undefined) return offset
      }
      if (frame.begun) return end
    }
  }

  /** Fills the messages that were cut from `bytes`. Later ones get memory of their own. */
  private leaveCopy(bytes: Uint8Array): void {
    if (this.copy === undefined) return
    this.copy.fill(bytes)
    this.copy = undefined
  }

  private expectFrame(): IncomingFrame {
    const frame = new IncomingFrame(this.maskBit === 0 ? "forbidden" : "required")
    if (this.decoding !== undefined) frame.allowedRsv = this.decoding.rsv
    this.frame = frame
    return frame
  }

  /**
   * The common case, many at a time: messages of one frame that lie whole in the chunk. Returns
   * the offset of the first frame that is anything else, a broken rule included: `begin` checks
   * that one against all rules.
   */
  private wholeMessages(bytes: Uint8Array, offset: number, end: number): number {
    if (
      this.message !== undefined || this.dropping || this.decoding !== undefined || this.fragments !== undefined ||
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
      if (first === finalText) {
        if (!this.text(bytes, at, offset, key)) return end
      } else {
        this.binary(bytes, at, offset, end, key)
      }
    }
  }

  /** The reader passes messages on, and gives back their memory once it has. */
  lendMemory(): void {
    this.memory = this.payloads.lent
  }

  /** The reader may be any from now on: messages that were not taken are its to keep. */
  ownMemory(): void {
    const { primitives } = this.payloads
    this.memory = primitives
    this.message?.moveTo(primitives)
    if (this.messages.length === 0) return
    const own = this.takeMessages().map((message) => typeof message === "string" ? message : ownOf(message, primitives))
    // One whose loan has ended was sent already.
    this.putBack(own.filter((message) => message !== undefined))
  }

  /**
   * Delivers the current message, if there is one, in pieces. A message that has not begun will
   * be delivered so once `demand` is `"fragments"`.
   */
  stream(): void {
    const { message } = this
    if (message === undefined || this.fragments !== undefined || this.dropping) return
    this.fragments = new Fragments(message.type)
    this.handOver(message)
  }

  /** Our Close was sent: from here on everything that arrives is read and dropped (RFC 6455 §5.5.1). */
  drop(): void {
    this.dropping = true
    this.message?.drop()
  }

  /** Checks a frame once its header is complete. `false`: it broke a rule, or must wait. */
  private begin(frame: IncomingFrame): boolean {
    const { fin, length, opcode, rsv } = frame
    // RFC 7692 §6: only the first frame of a data message has an extension's bit.
    if (rsv !== 0 && (opcode >= Opcode.Close || opcode === Opcode.Continuation)) return this.fail("ReservedBit")
    if (opcode >= Opcode.Close) {
      frame.begin()
      return true
    }
    const first = this.message === undefined
    // §5.4: a continuation frame is allowed only inside a fragmented message, and no other data frame is.
    if (opcode === Opcode.Continuation) {
      if (first) return this.fail("ContinuationUnexpected")
    } else if (!first) {
      return this.fail("ContinuationExpected")
    }
    const message = this.message ?? new IncomingMessage(opcode, this.payloads.primitives, this.memory)
    if (this.dropping) {
      this.message = message
      frame.begin()
      return true
    }
    // Small fragments are charged, so that a flood of them ends. Fragments of a large message, as browsers
    // send it, count their payload only.
    const cost = fin ? length : Math.max(length, this.limits.fragments.charge)
    if (message.frames >= this.limits.fragments.max) return this.fail("TooManyFragments")
    // A few bytes on the wire can become many, so the reader must take what waits before more is read.
    if (first && this.decoding !== undefined && this.isAtMark) {
      this.stopped = "full"
      return false
    }
    const starts = this.fragments === undefined && this.demand === "fragments" && this.messages.length === 0
    const streamed = starts || this.isStreaming
    const transformed = first ? rsv !== 0 : this.transformed
    let limit = streamed ? this.limits.maxStreamedMessageSize : this.limits.maxMessageSize
    // The limit counts the output of a transform; its input may be a little more.
    if (transformed) limit += Math.floor(limit / 256) + 1024
    // Compared before anything is added or allocated (§10.4); a length may be Infinity.
    if (cost > limit - message.charged) {
      // A reader that gets an earlier message may ask for this one in pieces.
      if (streamed || (this.demand === "message" && this.messages.length === 0)) return this.fail("MessageTooBig")
      this.stopped = "undecided"
      return false
    }
    if (first) {
      this.message = message
      if (transformed) {
        this.decoding!.begin(rsv)
        if (this.ending !== undefined) return false
      }
    }
    // Not for a first frame that is refused: its reader learns of it at once.
    if (starts) this.stream()
    message.charged += cost
    message.frames++
    frame.begin()
    return true
  }

  /** Whether the message that is being received is being decoded. */
  private get transformed(): boolean {
    return this.decoding !== undefined && this.decoding.inMessage
  }

  /** Whether the message that is being received is delivered in pieces. */
  private get isStreaming(): boolean {
    return this.fragments !== undefined && !this.fragments.done
  }

  /** Whether the inbound mark is reached: the reader must take what waits before more is decoded. */
  private get isAtMark(): boolean {
    // Where nothing waits there is nothing to take, however low the mark is.
    return this.queuedBytes >= Math.max(this.limits.inboundHighWaterMark, 1)
  }

  private payload(frame: IncomingFrame, bytes: Uint8Array, start: number, end: number): void {
    frame.remaining -= end - start
    const { fin, opcode, received, remaining } = frame
    const whole = received === 0 && remaining === 0
    if (opcode >= Opcode.Close) {
      frame.addControl(bytes, start, end)
      // An observer, or a fiber that it wakes, may take the messages before this frame.
      this.leaveCopy(bytes)
    } else if (this.dropping) {
      // Read for its Close only.
    } else if (this.transformed) {
      this.decode(frame, bytes, start, end, fin && remaining === 0)
    } else if (this.isStreaming) {
      this.piece(frame, bytes, start, end)
    } else if (whole && fin && opcode !== Opcode.Continuation) {
      if (opcode === Opcode.Text) this.text(bytes, start, end, frame.key)
      else this.binary(bytes, start, end, bytes.length, frame.key)
    } else if (!this.message!.add(frame, this.payloads, bytes, start, end)) {
      this.fail("InvalidUtf8")
    }
    frame.received = received + end - start
    if (remaining === 0 && this.ending === undefined && this.stopped === undefined) this.endFrame(frame)
  }

  /** A binary message that lies whole in a chunk that ends at `chunkEnd`: it needs no buffer of its own. */
  private binary(bytes: Uint8Array, start: number, end: number, chunkEnd: number, maskKey: number): void {
    const size = end - start
    if (!ChunkCopy.suits(size, chunkEnd - start) || (this.copy !== undefined && !this.copy.suits(size))) {
      this.deliver(this.payloads.part(bytes, start, end, maskKey, 0, largeMessage, this.memory))
      return
    }
    // An extension runs other code while a chunk is read, which must not see an unfilled message.
    this.copy ??= new ChunkCopy(this.payloads.primitives, this.payloads.chunks !== "borrowed" && this.decoding === undefined)
    this.deliver(this.copy.cut(bytes, start, end, chunkEnd, maskKey))
  }

  /** A text that lies in one chunk; `false`: it is not UTF-8. */
  private text(bytes: Uint8Array, start: number, end: number, maskKey: number): boolean {
    const text = this.payloads.text(bytes, start, end, maskKey)
    if (text === undefined) return this.fail("InvalidUtf8")
    this.deliver(text)
    return true
  }

  /** Passes payload to the decoder, whose output is bounded by the turn and the reader. */
  private decode(frame: IncomingFrame, bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (end === start && !last) return
    // The decoder may need the payload for longer than the chunk is valid.
    const source = this.payloads.part(bytes, start, end, frame.key, frame.received & 3, 0)
    this.stopped = this.decoding!.push(source, last)
  }

  /** `false`: the decoder has not processed all of its input. */
  private goOn(decoding: ExtensionDecoding, stopped: Stop): boolean {
    if (stopped === "turn") decoding.beginTurn()
    if (!decoding.isBusy) return true
    if (this.dropping) decoding.drop()
    else this.stopped = decoding.goOn()
    if (this.stopped !== undefined) return false
    const { frame } = this
    if (frame !== undefined && frame.remaining === 0 && this.ending === undefined) this.endFrame(frame)
    return true
  }

  /** For the decoder: the reader must take what waits before more is decoded. */
  isFull(): boolean {
    // A reader of whole messages waits for this one, however large it becomes.
    return this.isAtMark && (this.demand !== "message" || this.isStreaming)
  }

  /** For the decoder: takes its output. `false`: the reader must decide first. */
  put(piece: Uint8Array): boolean {
    if (this.demand === "fragments" && this.messages.length === 0) this.stream()
    const streamed = this.isStreaming
    const limit = streamed ? this.limits.maxStreamedMessageSize : this.limits.maxMessageSize
    const decoding = this.decoding!
    const message = this.message!
    if (piece.length > limit - decoding.produced) {
      if (!streamed && (this.demand !== "message" || this.messages.length > 0)) return false
      this.fail("MessageTooBig")
      return true
    }
    decoding.produced += piece.length
    if (!message.append(piece)) this.fail("InvalidUtf8")
    else if (streamed) this.handOver(message)
    return true
  }

  /** For the decoder: the peer's bytes could not be decoded. */
  onFailure(detail: string): void {
    this.fail("ExtensionData", detail)
  }

  /** For the decoder: whether nothing more is wanted. */
  isOver(): boolean {
    return this.ending !== undefined
  }

  /** A part of a message that is delivered in pieces. */
  private piece(frame: IncomingFrame, bytes: Uint8Array, start: number, end: number): void {
    const fragments = this.fragments!
    const message = this.message!
    if (message.type === "binary") {
      if (fragments.discarded) return
      fragments.push(this.payloads.part(bytes, start, end, frame.key, frame.received & 3, largeMessage), end - start)
    } else if (message.add(frame, this.payloads, bytes, start, end)) {
      this.handOver(message)
    } else {
      this.fail("InvalidUtf8")
    }
  }

  /** Delivers the payload so far as a piece. */
  private handOver(message: IncomingMessage): void {
    const { length } = message
    this.fragments!.push(message.take(), length - message.length)
  }

  private endFrame(frame: IncomingFrame): void {
    const { control, fin, opcode } = frame
    frame.reset()
    if (opcode >= Opcode.Close) this.endControl(opcode, control)
    else if (fin) this.endMessage()
  }

  private endControl(opcode: number, payload: Uint8Array): void {
    if (opcode === Opcode.Ping) {
      this.observer.onPing(payload)
    } else if (opcode === Opcode.Pong) {
      this.observer.onPong(payload)
    } else {
      this.ending = readClose(payload, this.payloads.primitives)
      // A message that is incomplete will never be complete.
      if (this.ending._tag === "Violation") this.message?.drop()
    }
  }

  private endMessage(): void {
    const message = this.message!
    const { decoding, fragments } = this
    // RFC 6455 §8.1: a text that ends inside a character is not UTF-8.
    if (this.dropping) {
      // Nobody will read it.
    } else if (fragments !== undefined && !fragments.done) {
      if (fragments.discarded) this.fragments = undefined
      if (!message.isComplete) return void this.fail("InvalidUtf8")
      fragments.done = true
      this.receivedMessages++
    } else if (message.frames > 1 || message.hasPayload || this.transformed) {
      if (!message.isComplete) return void this.fail("InvalidUtf8")
      this.deliver(message.take())
    }
    this.message = undefined
    if (decoding !== undefined) decoding.end()
  }

  /** The peer broke a rule: nothing more is read after what was received so far. */
  fail(rule: ProtocolRule, detail?: string): false {
    this.ending = violation(rule, detail)
    this.message?.drop()
    return false
  }
}
