/**
 * The suite's own frames: a builder that can build wrong ones and a parser that
 * notices wrong ones. It shares nothing with the library, so that the library's
 * codec is never tested with itself (RFC 6455 §5.2).
 */
import { isUtf8 } from "node:buffer"
import { randomFillSync } from "node:crypto"
import type { Inflater } from "./Inflater.ts"

export const Continuation = 0x0
export const Text = 0x1
export const Binary = 0x2
export const Close = 0x8
export const Ping = 0x9
export const Pong = 0xa

/** A frame as the suite sends it: nothing here is checked, most cases are about what is wrong with it. */
export interface FrameSpec {
  readonly opcode: number
  readonly payload: Uint8Array
  readonly fin?: boolean
  /** The three reserved bits as one number: 4 is RSV1, 2 is RSV2, 1 is RSV3. */
  readonly rsv?: number
}

/** What the other side sent, as a reader of whole messages sees it. */
export type Event =
  | { readonly _tag: "Message"; readonly binary: boolean; readonly payload: Buffer }
  | { readonly _tag: "Ping"; readonly payload: Buffer }
  | { readonly _tag: "Pong"; readonly payload: Buffer }
  | { readonly _tag: "Close"; readonly code: number | undefined; readonly reason: string }

const headerLength = (length: number): number => (length < 126 ? 2 : length < 65536 ? 4 : 10)

const writeHeader = (out: Buffer, offset: number, frame: FrameSpec, length: number, masked: boolean): number => {
  out[offset] = ((frame.fin ?? true) ? 0x80 : 0) | ((frame.rsv ?? 0) << 4) | frame.opcode
  const bit = masked ? 0x80 : 0
  if (length < 126) {
    out[offset + 1] = bit | length
  } else if (length < 65536) {
    out[offset + 1] = bit | 126
    out.writeUInt16BE(length, offset + 2)
  } else {
    out[offset + 1] = bit | 127
    out.writeBigUInt64BE(BigInt(length), offset + 2)
  }
  return offset + headerLength(length)
}

/** XOR with the key (RFC 6455 §5.3), the key turned so that `from` is the position in the payload. */
const mask = (out: Buffer, offset: number, data: Uint8Array, key: Uint8Array, from: number): void => {
  for (let i = 0; i < data.length; i++) out[offset + i] = data[i]! ^ key[(from + i) & 3]!
}

const keys = new Uint8Array(16 * 1024)
let nextKey = keys.length

/** From a supply, since some cases have tens of thousands of frames. */
export const freshKey = (): Uint8Array => {
  if (nextKey === keys.length) {
    randomFillSync(keys)
    nextKey = 0
  }
  return keys.slice(nextKey, nextKey += 4)
}

/** The frames one behind the other, as they stand on the wire. */
export const encode = (frames: ReadonlyArray<FrameSpec>, masked: boolean): Buffer => {
  let size = 0
  for (const frame of frames) {
    size += headerLength(frame.payload.length) + (masked ? 4 : 0) + frame.payload.length
  }
  const out = Buffer.allocUnsafe(size)
  let offset = 0
  for (const frame of frames) {
    offset = writeHeader(out, offset, frame, frame.payload.length, masked)
    if (masked) {
      const key = freshKey()
      out.set(key, offset)
      offset += 4
      mask(out, offset, frame.payload, key, 0)
    } else {
      out.set(frame.payload, offset)
    }
    offset += frame.payload.length
  }
  return out
}

/** A part of one frame's payload; the part at 0 brings the header, which declares the whole `length`. */
export const encodePart = (
  part: { readonly opcode: number; readonly length: number; readonly from: number; readonly data: Uint8Array },
  key: Uint8Array | undefined
): Buffer => {
  const head = part.from === 0 ? headerLength(part.length) + (key === undefined ? 0 : 4) : 0
  const out = Buffer.allocUnsafe(head + part.data.length)
  if (head > 0) {
    const end = writeHeader(out, 0, { opcode: part.opcode, payload: part.data }, part.length, key !== undefined)
    if (key !== undefined) out.set(key, end)
  }
  if (key === undefined) out.set(part.data, head)
  else mask(out, head, part.data, key, part.from)
  return out
}

export const closePayload = (code?: number, reason: string | Uint8Array = ""): Uint8Array => {
  if (code === undefined) return new Uint8Array(0)
  const text = typeof reason === "string" ? Buffer.from(reason) : reason
  const out = Buffer.alloc(2 + text.length)
  out.writeUInt16BE(code)
  out.set(text, 2)
  return out
}

/** Which codes may stand on the wire at all (RFC 6455 §7.4, and the IANA registry's 1012-1014). */
const isWireCode = (code: number): boolean =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)

interface Header {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly masked: boolean
  readonly length: number
  readonly key: Buffer
}

/**
 * Reads what the other side sends. A frame that breaks the RFC is reported to `onFault`
 * and then taken as well as can be, so that one fault does not hide the next.
 */
export class FrameReader {
  private chunks: Array<Buffer> = []
  private size = 0
  private header: Header | undefined
  private message: { readonly binary: boolean; readonly deflated: boolean; readonly parts: Array<Buffer> } | undefined
  private closed = false
  /** How many messages came compressed. */
  inflated = 0
  private readonly expectMasked: boolean
  private readonly onEvent: (event: Event) => void
  private readonly onFault: (fault: string) => void
  /** Given if permessage-deflate was agreed on. */
  private readonly inflater: Inflater | undefined

  constructor(
    expectMasked: boolean,
    onEvent: (event: Event) => void,
    onFault: (fault: string) => void,
    inflater?: Inflater
  ) {
    this.expectMasked = expectMasked
    this.onEvent = onEvent
    this.onFault = onFault
    this.inflater = inflater
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    while (true) {
      if (this.header === undefined) this.header = this.readHeader()
      if (this.header === undefined || this.size < this.header.length) return
      const header = this.header
      this.header = undefined
      const payload = this.take(header.length)
      if (header.masked) mask(payload, 0, payload, header.key, 0)
      this.frame(header, payload)
    }
  }

  /** Bytes of a frame that never became whole. */
  get isInsideFrame(): boolean {
    return this.size > 0 || this.header !== undefined
  }

  private take(length: number): Buffer {
    const out = Buffer.allocUnsafe(length)
    let offset = 0
    while (offset < length) {
      const chunk = this.chunks[0]!
      const taken = Math.min(chunk.length, length - offset)
      out.set(chunk.subarray(0, taken), offset)
      offset += taken
      if (taken === chunk.length) this.chunks.shift()
      else this.chunks[0] = chunk.subarray(taken)
    }
    this.size -= length
    return out
  }

  private readHeader(): Header | undefined {
    if (this.size < 2) return undefined
    // A header may lie across chunks; joining them only while the first is too short keeps this linear.
    while (this.chunks[0]!.length < 14 && this.chunks.length > 1) {
      this.chunks.splice(0, 2, Buffer.concat([this.chunks[0]!, this.chunks[1]!]))
    }
    const bytes = this.chunks[0]!
    const short = bytes[1]! & 0x7f
    const masked = (bytes[1]! & 0x80) !== 0
    const plain = short === 126 ? 4 : short === 127 ? 10 : 2
    const size = plain + (masked ? 4 : 0)
    if (this.size < size) return undefined
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
    if (headerLength(length) !== plain) this.onFault(`length ${length} is not in its shortest form`)
    const head = this.take(size)
    const first = head[0]!
    return {
      fin: (first & 0x80) !== 0,
      rsv: (first >> 4) & 0x7,
      opcode: first & 0xf,
      masked,
      length,
      key: head.subarray(plain)
    }
  }

  private frame(header: Header, payload: Buffer): void {
    if (this.closed) this.onFault(`a frame with opcode ${header.opcode} after Close`)
    // RSV1 says that a message is compressed, on its first frame only (RFC 7692 §6).
    const deflated = this.inflater !== undefined && header.rsv === 4 &&
      (header.opcode === Text || header.opcode === Binary)
    if (header.rsv !== 0 && !deflated) this.onFault(`reserved bits ${header.rsv} on opcode ${header.opcode}`)
    if (header.masked !== this.expectMasked) this.onFault(header.masked ? "a masked frame" : "an unmasked frame")
    if (header.opcode >= 0x8) {
      if (!header.fin) this.onFault("a fragmented control frame")
      if (header.length > 125) this.onFault("a control frame above 125 bytes")
    }
    switch (header.opcode) {
      case Text:
      case Binary:
        if (this.message !== undefined) this.onFault("a new message inside a fragmented one")
        this.message = { binary: header.opcode === Binary, deflated, parts: [payload] }
        return this.endMessage(header.fin)
      case Continuation:
        if (this.message === undefined) return this.onFault("a continuation of nothing")
        this.message.parts.push(payload)
        return this.endMessage(header.fin)
      case Close:
        this.closed = true
        return this.close(payload)
      case Ping:
        return this.onEvent({ _tag: "Ping", payload })
      case Pong:
        return this.onEvent({ _tag: "Pong", payload })
      default:
        return this.onFault(`reserved opcode ${header.opcode}`)
    }
  }

  private endMessage(fin: boolean): void {
    const message = this.message
    if (!fin || message === undefined) return
    this.message = undefined
    const joined = message.parts.length === 1 ? message.parts[0]! : Buffer.concat(message.parts)
    const payload = message.deflated ? this.inflate(joined) : joined
    if (!message.binary && !isUtf8(payload)) this.onFault("a text message that is not UTF-8")
    this.onEvent({ _tag: "Message", binary: message.binary, payload })
  }

  private inflate(payload: Buffer): Buffer {
    this.inflated++
    try {
      return this.inflater!.message(payload)
    } catch (error) {
      this.onFault(`a compressed message that breaks the agreement: ${(error as Error).message}`)
      return Buffer.alloc(0)
    }
  }

  private close(payload: Buffer): void {
    if (payload.length === 0) return this.onEvent({ _tag: "Close", code: undefined, reason: "" })
    if (payload.length === 1) {
      this.onFault("a Close frame with one byte")
      return this.onEvent({ _tag: "Close", code: undefined, reason: "" })
    }
    const code = payload.readUInt16BE(0)
    if (!isWireCode(code)) this.onFault(`a Close frame with code ${code}`)
    const reason = payload.subarray(2)
    if (!isUtf8(reason)) this.onFault("a Close reason that is not UTF-8")
    this.onEvent({ _tag: "Close", code, reason: reason.toString("utf8") })
  }
}
