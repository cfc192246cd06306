/**
 * Moves payload from a chunk to a message: it is unmasked, and copied where it must outlive the
 * chunk. The owner of the chunk decides where the unmasking happens.
 *
 * A mask key of 0 changes nothing. `phase` is how many bytes of the frame's payload precede,
 * modulo 4.
 */
import { maskInPlace, maskInto, maskTextInPlace, rotate } from "../codec/Mask.ts"
import { lentMemoryOf, type Memory } from "../memory/LentMemory.ts"
import type { Primitives } from "../Primitives.ts"
import { decodeText, type IncomingText } from "./IncomingText.ts"

// V8 keeps typed arrays up to this size in its own heap.
const onHeap = 64

/** A copy of `bytes[start, end)`. */
const copyOf = (bytes: Uint8Array, start: number, end: number, memory: Memory): Uint8Array => {
  const size = end - start
  if (size > onHeap) {
    const copy = memory.allocate(size)
    copy.set(bytes.subarray(start, end))
    return copy
  }
  const copy = new Uint8Array(size)
  for (let i = 0; i < size; i++) copy[i] = bytes[start + i]!
  return copy
}

/** Who owns the bytes that `receive` is given; see `Transport.chunks`. */
export type Chunks = "borrowed" | "scratch" | "owned"

// Texts of borrowed chunks are unmasked into this buffer before they are decoded. It is shared,
// because it is used within one call only.
let scratch = new Uint8Array(0)

const unmaskToScratch = (bytes: Uint8Array, start: number, end: number, maskKey: number, phase: number): void => {
  const size = end - start
  if (scratch.length < size) scratch = new Uint8Array(Math.max(size, 64 * 1024))
  maskInto(bytes, start, end, scratch, 0, maskKey, phase)
}

/** It has no state: one serves all connections with such chunks, see {@link payloadReaderOf}. */
export class PayloadReader {
  readonly primitives: Primitives
  readonly chunks: Chunks
  /** What messages get their memory from that a relay passes on. */
  readonly lent: Memory

  constructor(chunks: Chunks, primitives: Primitives) {
    this.chunks = chunks
    this.primitives = primitives
    this.lent = lentMemoryOf(primitives)
  }

  /** A text that lies in one chunk; `undefined`: it is not UTF-8. */
  text(bytes: Uint8Array, start: number, end: number, maskKey: number): string | undefined {
    if (this.chunks !== "borrowed") {
      return decodeText(this.primitives, bytes, start, end, maskTextInPlace(bytes, start, end, maskKey))
    }
    if (maskKey === 0) return decodeText(this.primitives, bytes, start, end, false)
    unmaskToScratch(bytes, start, end, maskKey, 0)
    return decodeText(this.primitives, scratch, 0, end - start, false)
  }

  /** Adds a part of a text. `false`: the text is not UTF-8. */
  textPart(text: IncomingText, bytes: Uint8Array, start: number, end: number, maskKey: number, phase: number): boolean {
    if (this.chunks !== "borrowed") {
      return text.push(bytes, start, end, maskTextInPlace(bytes, start, end, rotate(maskKey, phase)))
    }
    if (maskKey === 0) return text.push(bytes, start, end, false)
    unmaskToScratch(bytes, start, end, maskKey, phase)
    return text.push(scratch, 0, end - start, false)
  }

  /** Bytes that may be kept: a view of an owned chunk if there are at least `least`, otherwise a copy in `memory`. */
  part(
    bytes: Uint8Array,
    start: number,
    end: number,
    maskKey: number,
    phase: number,
    least: number,
    memory: Memory = this.primitives
  ): Uint8Array {
    const size = end - start
    if (this.chunks === "borrowed" && maskKey !== 0) {
      const part = memory.allocate(size)
      maskInto(bytes, start, end, part, 0, maskKey, phase)
      return part
    }
    // In place first: the chunk's word views are at hand, those of a copy are not.
    if (maskKey !== 0) maskInPlace(bytes, start, end, maskKey, phase)
    // Not `subarray`: of a Node Buffer it would be another Buffer.
    return this.chunks === "owned" && size >= least
      ? new Uint8Array(bytes.buffer, bytes.byteOffset + start, size)
      : copyOf(bytes, start, end, memory)
  }

  /** Writes payload to `target` at `at`. */
  into(
    bytes: Uint8Array,
    start: number,
    end: number,
    target: Uint8Array,
    at: number,
    maskKey: number,
    phase: number
  ): void {
    if (this.chunks === "borrowed" && maskKey !== 0) return maskInto(bytes, start, end, target, at, maskKey, phase)
    if (maskKey !== 0) maskInPlace(bytes, start, end, maskKey, phase)
    target.set(bytes.subarray(start, end), at)
  }
}

const shared = new WeakMap<Primitives, { readonly [C in Chunks]: PayloadReader }>()

export const payloadReaderOf = (chunks: Chunks, primitives: Primitives): PayloadReader => {
  let all = shared.get(primitives)
  if (all === undefined) {
    all = {
      borrowed: new PayloadReader("borrowed", primitives),
      scratch: new PayloadReader("scratch", primitives),
      owned: new PayloadReader("owned", primitives)
    }
    shared.set(primitives, all)
  }
  return all[chunks]
}
