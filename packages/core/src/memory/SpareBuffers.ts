/**
 * Memory of large texts on their way in and of large frames on their way out, of which nobody
 * else has a view, so that the next one gets it. Fresh memory costs a page fault for each
 * 4 KiB, and what V8 has to collect of it brings the next walk through its whole heap nearer
 * (measured: an echo of 1 MiB of text in 0.6 of the time).
 */
import type { Primitives } from "../Primitives.ts"

// The bounds of what is kept.
const least = 8 * 1024
const most = 2 * 1024 * 1024

// One that a text was put together in, and one that it is sent from.
const maxSpare = 2

const spare: Array<Uint8Array> = []

/** Memory of that size, or up to a quarter more, that may hold what was in it before. */
export const take = (size: number, primitives: Primitives): Uint8Array => {
  for (let i = spare.length - 1; i >= 0; i--) {
    const memory = spare[i]!
    if (memory.length < size || memory.length > size + (size >> 2)) continue
    spare.splice(i, 1)
    return memory
  }
  return primitives.allocate(size)
}

/** Nobody uses it any more. */
export const giveBack = (memory: Uint8Array): void => {
  if (memory.length < least || memory.length > most) return
  if (spare.length === maxSpare) spare.shift()
  spare.push(memory)
}
