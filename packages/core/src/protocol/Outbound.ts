/**
 * The sending half of the protocol, the twin of `Inbound`: messages and control frames in, bytes
 * out. It masks for a client, lets an extension encode, and sends nothing after a Close (RFC
 * 6455 §5.5.1).
 */
import { bytesOf } from "../codec/Bytes.ts"
import { headerLength, writeHeader } from "../codec/FrameHeader.ts"
import { byteLength, type Message, Prepared, type Sendable } from "../Message.ts"
import type { Transform } from "../MessageExtension.ts"
import * as Opcode from "../Opcode.ts"
import type { Primitives } from "../Primitives.ts"
import { closeBody } from "./CloseFrame.ts"
import { ExtensionEncoding } from "./ExtensionEncoding.ts"
import { type Outbox, type Outboxes, outboxesOf } from "./Outbox.ts"

const fin = 0x80
// Shared: an extension has read a text's bytes when its `push` returns.
const scratch = new Uint8Array(64 * 1024)

/** A frame of a server in a buffer of its own. */
const wholeFrame = (firstByte: number, payload: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(headerLength(payload.length, false) + payload.length)
  frame.set(payload, writeHeader(frame, 0, firstByte, payload.length, false, 0))
  return frame
}

const opcodeOf = (message: Message): number => typeof message === "string" ? Opcode.Text : Opcode.Binary

/** Whether a message has more than `size` bytes. Most texts are decided without counting. */
const exceeds = (message: Message, size: number): boolean =>
  message.length > size || (typeof message === "string" && message.length * 3 > size && byteLength(message) > size)

export class Outbound {
  /** The code and reason of the Close frame that was sent. Nothing is appended after it. */
  sentClose: { readonly code: number; readonly reason: string } | undefined
  /**
   * Set it while the transport accepts no output: then only the latest Ping is answered (RFC
   * 6455 §5.5.3), so that Pongs cannot pile up.
   */
  blocked = false
  /** Messages that were appended whole. */
  sentMessages = 0
  /** Bytes of Pings and Pongs that were appended. */
  controlBytes = 0
  readonly encoding: ExtensionEncoding | undefined
  private readonly outboxes: Outboxes
  // Lent while something waits to be sent, or is being written.
  private outbox: Outbox | undefined
  // The message that is being sent in fragments: the first byte of its next frame.
  private nextFragment: number | undefined

  constructor(role: "client" | "server", primitives: Primitives, transform: Transform | undefined) {
    this.outboxes = outboxesOf(primitives, role)
    this.encoding = transform === undefined ? undefined : new ExtensionEncoding(transform.encoder)
  }

  /** Bytes that wait to be taken. */
  get queuedBytes(): number {
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
   * §5.6). Nothing is appended after a Close (§5.5.1), see {@link sentClose}.
   */
  send(message: Sendable): void {
    if (this.sentClose !== undefined) return
    if (message instanceof Prepared) return this.sendPrepared(message)
    if (typeof message !== "string") bytesOf(message)
    this.sentMessages++
    const rsv = this.encoding === undefined ? 0 : this.encoding.begin(message)
    const text = typeof message === "string"
    const firstByte = fin | (rsv << 4) | (text ? Opcode.Text : Opcode.Binary)
    // An extension may close the connection, so it encodes before an outbox is taken.
    const encoded = rsv === 0 ? undefined : this.encode(message, true)
    if (this.sentClose !== undefined) return
    if (encoded !== undefined) this.out.frame(firstByte, encoded)
    else if (text) this.out.text(firstByte, message)
    else this.out.frame(firstByte, message)
  }

  /**
   * The common case of {@link send}, many at a time: appends messages from the index `from` on
   * while {@link queuedBytes} is below `mark`. Returns the index of the first message that was
   * not appended: there is no more room, or the message is large enough to be sent uncopied, or
   * prepared and to be masked. With an extension, and after a Close, none is appended.
   */
  sendRun(messages: ReadonlyArray<Sendable>, from: number, mark: number): number {
    if (this.encoding !== undefined || this.sentClose !== undefined || from === messages.length) return from
    const { out: outbox, outboxes } = this
    let at = from
    for (; at < messages.length && outbox.queuedBytes < mark; at++) {
      const message = messages[at]!
      if (typeof message === "string") outbox.text(fin | Opcode.Text, message)
      else if (message instanceof Uint8Array && !outboxes.isUncopied(message.length)) outbox.frame(fin | Opcode.Binary, message)
      else if (message instanceof Prepared && !outboxes.isMasking) outbox.encoded(this.plainFrame(message))
      else break
    }
    this.sentMessages += at - from
    return at
  }

  /**
   * Whether a prepared message is encoded here as it is for other connections. Otherwise send
   * its `message` by {@link send}.
   */
  shares(prepared: Prepared): boolean {
    if (this.outboxes.isMasking) return false
    return this.encoding === undefined ||
      (this.encoding.shareKey !== undefined && !this.isSliced(prepared.message))
  }

  private plainFrame(prepared: Prepared): Uint8Array {
    return prepared.encoding("plain", (message) => this.wholeFrame(message))
  }

  private wholeFrame(message: Message): Uint8Array {
    return wholeFrame(fin | opcodeOf(message), typeof message === "string" ? this.utf8(message) : message)
  }

  private sendPrepared(prepared: Prepared): void {
    if (!this.shares(prepared)) return this.send(prepared.message)
    this.sentMessages++
    const { encoding } = this
    const frame = encoding === undefined ? this.plainFrame(prepared) : prepared.encoding(`by ${encoding.shareKey}`, (message) => {
      const rsv = encoding.begin(message)
      return rsv === 0 ? this.wholeFrame(message) : wholeFrame(fin | (rsv << 4) | opcodeOf(message), this.encode(message, true))
    })
    if (this.sentClose !== undefined) return
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
      if (this.sentClose !== undefined) return
      // An extension may keep its input back until there is more.
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

  /** Appends a Ping or a Pong; its payload is at most 125 bytes (RFC 6455 §5.5). */
  control(opcode: number, payload: Uint8Array): void {
    if (this.sentClose !== undefined) return
    const { out } = this
    const before = out.queuedBytes
    out.frame(fin | opcode, bytesOf(payload))
    this.controlBytes += out.queuedBytes - before
  }

  /** Answers a Ping, before the data that waits (RFC 6455 §5.5.3). */
  answer(payload: Uint8Array): void {
    if (this.sentClose !== undefined) return
    const { out } = this
    const before = out.queuedBytes
    out.urgentFrame(fin | Opcode.Pong, payload, this.blocked)
    // The answer may have replaced an earlier one.
    this.controlBytes += out.queuedBytes - before
  }

  /**
   * Appends a Close frame after everything that waits (RFC 6455 §5.5.1). A `code` of 1005 makes
   * an empty frame.
   */
  close(code: number, reason: string): void {
    if (this.sentClose !== undefined) return
    this.sentClose = { code, reason }
    this.out.frame(fin | Opcode.Close, closeBody(code, reason))
  }

  /** Everything that waits to be written, in order. It belongs to the writer until {@link taken}. */
  take(): Array<Uint8Array> {
    return this.outbox === undefined ? [] : this.outbox.take()
  }

  /** What was taken has been written: its buffers may be used again. */
  taken(): void {
    const { outbox } = this
    if (outbox === undefined) return
    outbox.taken()
    if (!outbox.isBlank) return
    this.outbox = undefined
    this.outboxes.giveBack(outbox)
  }

  /** Drops what waits to be written: the connection is closed. */
  clear(): void {
    this.outbox?.clear()
  }
}
