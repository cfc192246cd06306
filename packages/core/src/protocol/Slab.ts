/**
 * Memory for the small messages of one chunk. The smallest live in the heap of their
 * own; the other small ones share a slab, since an ArrayBuffer for each costs several
 * times the copy.
 */
import type { Primitives } from "../Primitives.ts"

// V8 keeps typed arrays up to this size in its own heap.
const onHeap = 64

// A kept message keeps its slab alive.
const slabSize = 8 * 1024

/** Messages of at least this size get memory of their own. */
export const largeMessage = 2048

export class Slab {
  private slab: Uint8Array | undefined
  private used = 0
  private readonly primitives: Primitives

  constructor(primitives: Primitives) {
    this.primitives = primitives
  }

  /** Room for `size` bytes; `rest` is what the chunk still holds. */
  take(size: number, rest: number): Uint8Array {
    if (size <= onHeap) return new Uint8Array(size)
    if (size >= largeMessage) return this.primitives.allocate(size)
    if (this.slab === undefined || this.used + size > this.slab.length) {
      this.slab = this.primitives.allocate(Math.min(Math.max(size, rest), slabSize))
      this.used = 0
    }
    const at = this.used
    this.used += size
    return new Uint8Array(this.slab.buffer, this.slab.byteOffset + at, size)
  }

  /** The next chunk's messages get a slab of their own, and an idle connection has none. */
  leave(): void {
    this.slab = undefined
  }
}

/** Copies into room that was taken. */
export const copyInto = (source: Uint8Array, start: number, end: number, target: Uint8Array): void => {
  if (end - start > onHeap) target.set(source.subarray(start, end))
  else for (let i = start; i < end; i++) target[i - start] = source[i]
}
