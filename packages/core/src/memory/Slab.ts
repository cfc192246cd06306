/**
 * Memory for the small messages of one chunk: the chunk is copied once, and each message
 * is a view of the copy. An ArrayBuffer for each would cost several times the copy. A slab
 * belongs to one chunk of one connection, so that a message never shows another's bytes,
 * and an idle connection has none.
 */
import { maskInPlace } from "../codec/Mask.ts"
import type { Primitives } from "../Primitives.ts"

// V8 keeps typed arrays up to this size in its own heap.
const onHeap = 64

// A kept message keeps its slab alive: at most this much, and this many times its own size.
const slabSize = 8 * 1024
const slabShare = 32
// Below, a slab saves nothing.
const leastSlab = 256

/** Messages of at least this size get memory of their own. */
export const largeMessage = 2048

export class Slab {
  // Will be a copy of the chunk from `base` on.
  private slab: Uint8Array<ArrayBuffer> | undefined
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

  /** Whether a message should lie in a slab; `rest` is the size of the rest of the chunk, the message included. */
  static suits(size: number, rest: number): boolean {
    return size < largeMessage && slabShare * size >= leastSlab && rest >= leastSlab && rest > 2 * size
  }

  /** Whether it can lie in this slab. */
  suits(size: number): boolean {
    return this.slab === undefined || this.slab.length <= slabShare * size
  }

  /** A message of `bytes[start, end)`. Its contents are valid after {@link fill} only. */
  cut(bytes: Uint8Array, start: number, end: number, chunkEnd: number, maskKey: number): Uint8Array {
    let slab = this.slab
    if (slab === undefined || end - this.base > slab.length) {
      this.fill(bytes)
      slab = this.slab = this.primitives.allocate(Math.min(chunkEnd - start, slabSize, slabShare * (end - start)))
      this.base = start
      if (!this.inPlace) slab.set(bytes.subarray(start, start + slab.length))
    }
    const at = start - this.base
    if (this.inPlace) {
      if (maskKey !== 0) maskInPlace(bytes, start, end, maskKey, 0)
      this.end = end
    } else if (maskKey !== 0) {
      maskInPlace(slab, at, end - this.base, maskKey, 0)
    }
    return new Uint8Array(slab.buffer, slab.byteOffset + at, end - start)
  }

  /** Copies the contents of the messages that were cut from `bytes`. */
  fill(bytes: Uint8Array): void {
    if (this.end === 0) return
    this.slab!.set(bytes.subarray(this.base, this.end))
    this.end = 0
  }
}

/** A copy of `bytes[start, end)`. */
export const copyOf = (bytes: Uint8Array, start: number, end: number, primitives: Primitives): Uint8Array => {
  const size = end - start
  if (size > onHeap) {
    const copy = primitives.allocate(size)
    copy.set(bytes.subarray(start, end))
    return copy
  }
  const copy = new Uint8Array(size)
  for (let i = 0; i < size; i++) copy[i] = bytes[start + i]!
  return copy
}

/** A copy of both, joined. */
export const joined = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}
