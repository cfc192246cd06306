/** What tests do with memory that is used again. */
import { portable, type Primitives } from "../../src/Primitives.ts"
import { type Block, freeUnused, put, take } from "../../src/memory/SpareMemory.ts"

/** Frees all spare memory. */
export const freeSpare = (): void => {
  freeUnused()
  freeUnused()
}

const headroom = 16

/** The size of the block that is lent to so many bytes, where that is one of few sizes. */
export const block = (size: number): number => size + headroom

const sizes = Array.from({ length: 60 }, (_, i) => ((4 + (i & 3)) << (9 + (i >> 2))) + headroom)

/** Overwrites all spare memory, as its next borrowers would. */
export const scribble = (): void => {
  for (const size of sizes) {
    const all: Array<Block> = []
    for (let block = take(size); block !== undefined; block = take(size)) {
      new Uint8Array(block.memory).fill(0xee)
      all.push(block)
    }
    for (const block of all.toReversed()) put(block)
  }
}

/** Primitives that count how many bytes of large messages they have allocated. */
export const counting = (): { readonly primitives: Primitives; readonly bytes: () => number } => {
  let bytes = 0
  return {
    primitives: {
      ...portable,
      allocate: (size) => {
        if (size >= 2048) bytes += size
        return portable.allocate(size)
      }
    },
    bytes: () => bytes
  }
}
