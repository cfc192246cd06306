/**
 * A message that is received piece by piece: what has arrived and was not taken
 * yet. Pieces follow the network's chunks, not the peer's frames, so memory stays
 * bounded even where one frame holds a gigabyte. A text's pieces end at code point
 * boundaries.
 */
import type { Primitives } from "../Primitives.ts"

const noBytes = new Uint8Array(0)

// A piece costs an object besides its bytes, so a flood of tiny ones reaches the mark early.
const pieceCharge = 64

export class Fragments {
  readonly type: "text" | "binary"
  /** How much of the inbound mark the waiting pieces take up. */
  queuedBytes = 0
  /** The message is complete: no piece follows. */
  done = false
  /** Nobody wants the rest: it is checked and dropped. */
  discarded = false

  private pieces: Array<string | Uint8Array> = []
  // The start of a code point whose end has not arrived.
  private carry: Uint8Array = noBytes
  private readonly primitives: Primitives

  constructor(type: "text" | "binary", primitives: Primitives) {
    this.type = type
    this.primitives = primitives
  }

  get hasPieces(): boolean {
    return this.pieces.length > 0
  }

  /** Adds bytes that the message may keep. A text's bytes were validated before. */
  push(bytes: Uint8Array): void {
    if (this.discarded || bytes.length === 0) return
    if (this.type === "binary") {
      this.pieces.push(bytes)
      this.queuedBytes += bytes.length + pieceCharge
      return
    }
    let whole = bytes
    if (this.carry.length > 0) {
      whole = new Uint8Array(this.carry.length + bytes.length)
      whole.set(this.carry)
      whole.set(bytes, this.carry.length)
      this.carry = noBytes
    }
    const boundary = lastBoundary(whole)
    if (boundary < whole.length) this.carry = Uint8Array.from(whole.subarray(boundary))
    if (boundary > 0) {
      this.pieces.push(this.primitives.decodeUtf8(whole, 0, boundary))
      this.queuedBytes += boundary + pieceCharge
    }
  }

  take(): Array<string | Uint8Array> {
    const pieces = this.pieces
    this.pieces = []
    this.queuedBytes = 0
    return pieces
  }

  discard(): void {
    this.discarded = true
    this.take()
    this.carry = noBytes
  }
}

/** Where the last incomplete sequence of valid UTF-8 begins; its length if none does. */
const lastBoundary = (bytes: Uint8Array): number => {
  const end = bytes.length
  for (let back = 1; back <= 3 && back <= end; back++) {
    const byte = bytes[end - back]
    if (byte < 0x80) return end
    if (byte >= 0xc0) {
      const size = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
      return size > back ? end - back : end
    }
  }
  return end
}
