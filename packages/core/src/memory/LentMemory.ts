/**
 * Memory that is lent to large messages and used again: those that a relay passes on, and those that a client masks. Without it
 * each takes new memory, and V8 marks its whole heap for each 64 MiB of that (measured: two fifths of an echo of 16 KiB, two
 * thirds of one of 1 MiB).
 *
 * A block is lent to one array at a time, and that array is what gives it back: an array whose loan has ended is nothing to
 * this module any more, however often it is passed here. Giving back is optional, since nothing refers to a block that is
 * lent but its array. Whoever gives back says that nothing reads or writes the array any more. A program never gets such an
 * array: its memory shows what it held before.
 */
import type { Primitives } from "../Primitives.ts"
import { Block, maxSpare, put, take } from "./SpareMemory.ts"

/** What messages get their memory from. */
export type Memory = Pick<Primitives, "allocate">

// Smaller ones get memory of their own, as do those of which few could be kept.
const leastLent = 2048
const mostLent = maxSpare / 2
// A message that turned out shorter than the memory that it was given still gives that back.
const leastGiven = leastLent / 2

/** Bytes in front of an array, where the header of its frame goes (14 at most); a multiple of a word, so that words are masked. */
const headroom = 16

// Weak, so that a block that is never given back is collected with its array.
const blocks = new WeakMap<ArrayBufferLike, Block>()

/** The size of the block for so many bytes: one of four in each doubling, and the room in front. */
const blockSize = (size: number): number => {
  const step = 1 << (29 - Math.clz32(size - 1))
  return ((size + step - 1) & -step) + headroom
}

class LentMemory implements Memory {
  private readonly primitives: Primitives

  constructor(primitives: Primitives) {
    this.primitives = primitives
  }

  allocate(size: number): Uint8Array<ArrayBuffer> {
    if (size < leastLent || size > mostLent) return this.primitives.allocate(size)
    const whole = blockSize(size)
    const block = take(whole)
    if (block !== undefined) {
      const array = new Uint8Array(block.memory, headroom, size)
      block.borrower = array
      return array
    }
    const made = this.primitives.allocate(whole)
    const { buffer } = made
    // A part of larger memory is not this module's alone.
    if (buffer.byteLength !== whole) return made.subarray(0, size)
    const array = new Uint8Array(buffer, headroom, size)
    blocks.set(buffer, new Block(buffer, array))
    return array
  }
}

const known = new WeakMap<Primitives, Memory>()

/** Memory that is used again, for arrays that are given back by {@link giveBack} or {@link endLoan}. */
export const lentMemoryOf = (primitives: Primitives): Memory => {
  let memory = known.get(primitives)
  if (memory === undefined) known.set(primitives, memory = new LentMemory(primitives))
  return memory
}

const blockUnder = (array: Uint8Array): Block | undefined =>
  array.length < leastGiven ? undefined : blocks.get(array.buffer)

const blockOf = (array: Uint8Array): Block | undefined => {
  const block = blockUnder(array)
  return block !== undefined && block.borrower === array ? block : undefined
}

/** Ends the loan to an array that may still be read. Put the block to the spare memory once it is not. */
export const endLoan = (array: Uint8Array): Block | undefined => {
  const block = blockOf(array)
  if (block !== undefined) block.borrower = undefined
  return block
}

/** An array whose loan has ended, with so many bytes in front of it. */
export const withHeader = (block: Block, array: Uint8Array, size: number): Uint8Array =>
  new Uint8Array(block.memory, headroom - size, size + array.length)

/** Nothing reads or writes the array any more. Does nothing for one that no memory is lent to. */
export const giveBack = (array: Uint8Array): void => {
  const block = endLoan(array)
  if (block !== undefined) put(block)
}

/** The first `size` bytes of an array, which take over its loan; `undefined`: no memory is lent to it. */
export const shortened = (array: Uint8Array, size: number): Uint8Array | undefined => {
  const block = blockOf(array)
  return block === undefined ? undefined : block.borrower = new Uint8Array(block.memory, headroom, size)
}

/**
 * An array for a program to keep: the same, or a copy (of the first `size` bytes) where memory is lent to it. The loan goes on,
 * since somebody may be about to send the array. `undefined`: the loan has ended, so it was sent, and its memory is another's.
 */
export const ownOf = (array: Uint8Array, memory: Memory, size = array.length): Uint8Array | undefined => {
  const block = blockUnder(array)
  if (block === undefined) return array
  if (block.borrower !== array) return undefined
  const own = memory.allocate(array.length)
  own.set(array.subarray(0, size))
  return own
}
