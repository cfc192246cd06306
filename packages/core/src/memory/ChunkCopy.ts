/**
 * Memory for the small messages of one chunk: the chunk is copied once, and each message
 * is a view of the copy. An ArrayBuffer for each would cost several times the copy. It
 * belongs to one chunk of one connection, so that a message never shows another's bytes,
 * and an idle connection has none.
 */
import { maskInPlace } from "../codec/Mask.ts"
import type { Primitives } from "../Primitives.ts"

// A kept message keeps the copy alive: at most this much, and this many times its own size.
const maxSize = 8 * 1024
const maxShare = 32
// Below, it saves nothing.
const leastSize = 256

/** Messages of at least this size get memory of their own. */
export const largeMessage = 2048

export class ChunkCopy {
  // Will be a copy of the chunk from `base` on.
  private copy: Uint8Array<ArrayBuffer> | undefined
  private base = 0
  // Where the last message ends; 0 once the messages are filled.
  private end = 0
  private readonly primitives: Primitives
  private readonly inPlace: boolean

  /** `inPlace`: a chunk may be written to, so it is unmasked where that is fastest and copied afterwards. */
  constructor(primitives: Primitives, inPlace: boolean) {
    this.primitives = primitives
    this.inPlace = inPlace
  }

  /** Whether a message should lie in a copy of its chunk; `rest` is the size of the rest of the chunk, the message included. */
  static suits(size: number, rest: number): boolean {
    return size < largeMessage && maxShare * size >= leastSize && rest >= leastSize && rest > 2 * size
  }

  /** Whether it can lie in this copy. */
  suits(size: number): boolean {
    return this.copy === undefined || this.copy.length <= maxShare * size
  }

  /** A message of `bytes[start, end)`. Its contents are valid after {@link fill} only. */
  cut(bytes: Uint8Array, start: number, end: number, chunkEnd: number, maskKey: number): Uint8Array {
    let copy = this.copy
    if (copy === undefined || end - this.base > copy.length) {
      this.fill(bytes)
      copy = this.copy = this.primitives.allocate(Math.min(chunkEnd - start, maxSize, maxShare * (end - start)))
      this.base = start
      if (!this.inPlace) copy.set(bytes.subarray(start, start + copy.length))
    }
    const at = start - this.base
    if (this.inPlace) {
      if (maskKey !== 0) maskInPlace(bytes, start, end, maskKey, 0)
      this.end = end
    } else if (maskKey !== 0) {
      maskInPlace(copy, at, end - this.base, maskKey, 0)
    }
    return new Uint8Array(copy.buffer, copy.byteOffset + at, end - start)
  }

  /** Copies the contents of the messages that were cut from `bytes`. */
  fill(bytes: Uint8Array): void {
    if (this.end === 0) return
    this.copy!.set(bytes.subarray(this.base, this.end))
    this.end = 0
  }
}
