/**
 * A text that arrives in parts. Each part is checked and decoded as it arrives, so that a text
 * fails at the first byte that proves it invalid (RFC 6455 §8.1), and no buffer of the size of the
 * whole is needed. A character that two parts share is decoded with the second of them.
 */
import { endOfWhole, isUtf8, Utf8Validator } from "../codec/Utf8.ts"
import type { Primitives } from "../Primitives.ts"
import { GrowingBuffer } from "./GrowingBuffer.ts"

// Smaller parts are joined as bytes first: a string for each would outweigh them.
const leastDirect = 64
// So many joined bytes are decoded at once.
const joinedSize = 1024

/** Decodes `bytes[start, end)`; `undefined`: they are not UTF-8. `isAscii`: they are known to be ASCII. */
export const decodeText = (
  primitives: Primitives,
  bytes: Uint8Array,
  start: number,
  end: number,
  isAscii: boolean
): string | undefined => {
  if (isAscii && primitives.decodeAscii !== undefined) return primitives.decodeAscii(bytes, start, end)
  const text = primitives.decodeUtf8(bytes, start, end)
  // Decoding replaces what is invalid by U+FFFD, so without one all was valid.
  if (!text.includes("\uFFFD")) return text
  return (primitives.isUtf8 ?? isUtf8)(bytes, start, end) ? text : undefined
}

export class IncomingText {
  private readonly primitives: Primitives
  private parts: Array<string> = []
  // Bytes of the parts.
  private decoded = 0
  // What is not decoded yet: small parts, and the beginning of a character. All of it was validated.
  private joined: GrowingBuffer | undefined
  private validator: Utf8Validator | undefined

  constructor(primitives: Primitives) {
    this.primitives = primitives
  }

  /** Bytes that arrived and were not taken. */
  get length(): number {
    return this.decoded + (this.joined === undefined ? 0 : this.joined.length)
  }

  /** Whether the text ends at the end of a character. */
  get isComplete(): boolean {
    return this.validator === undefined || this.validator.isComplete()
  }

  /** Adds `bytes[start, end)`, which are only read. `false`: the text is not UTF-8. */
  push(bytes: Uint8Array, start: number, end: number, isAscii: boolean): boolean {
    if (end - start < leastDirect) return this.join(bytes, start, end)
    let at = start
    if (this.joined !== undefined && this.joined.length > 0) {
      // The end of the character that the last part began.
      at += this.validator!.missing
      if (!this.join(bytes, start, at)) return false
      this.decode()
    }
    const whole = isAscii ? end : endOfWhole(bytes, at, end)
    const text = decodeText(this.primitives, bytes, at, whole, isAscii)
    if (text === undefined) return false
    this.parts.push(text)
    this.decoded += whole - at
    return whole === end || this.join(bytes, whole, end)
  }

  /** Takes all whole characters that arrived. */
  take(): string {
    this.decode()
    const { parts } = this
    if (parts.length === 0) return ""
    this.parts = []
    this.decoded = 0
    return parts.length === 1 ? parts[0]! : parts.join("")
  }

  private join(bytes: Uint8Array, start: number, end: number): boolean {
    this.validator ??= new Utf8Validator()
    if (!this.validator.push(bytes, start, end)) return false
    const joined = this.joined ??= new GrowingBuffer(this.primitives)
    const at = joined.length
    joined.reserve(end - start, false)
    for (let i = start; i < end; i++) joined.buffer[at + i - start] = bytes[i]!
    joined.length = at + end - start
    if (joined.length >= joinedSize) this.decode()
    return true
  }

  /** Decodes the whole characters of what was joined. */
  private decode(): void {
    const { joined } = this
    if (joined === undefined) return
    const { buffer, length } = joined
    const whole = endOfWhole(buffer, 0, length)
    if (whole === 0) return
    this.parts.push(this.primitives.decodeUtf8(buffer, 0, whole))
    this.decoded += whole
    buffer.copyWithin(0, whole, length)
    joined.length = length - whole
  }
}
