/**
 * Collections of V8's young generation, asked for when messages have taken up so much memory that V8 would
 * soon walk through its whole heap, and when connections have become more. They concern the whole process and
 * set a flag of V8, so they are off until a program asks for them: `NodeTuning.layerYoungCollections`.
 *
 * The memory of a message lies outside of V8's heap. V8 counts it, and above 64 MiB marks all that the program
 * has loaded; how much of its own heap is young decides alone when it looks at the young objects, which are two
 * for a message, and so that comes too late. Nearly all messages are young and dead by then. Measured with the
 * echo server, whose heap is 23 MB: marking it takes 35 ms of the main thread and as much of others, collecting
 * the young generation 0.4 ms. An allocation of 16 KiB with its share of that cost 11.5 µs and costs 2.9, one of
 * 1 MiB 320 and costs 107.
 *
 * What is asked for is V8's function `gc`, which exists once a flag is set. It is tried when it is first wanted;
 * where it cannot be had or does not collect, V8 does as it always does.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { isPortable } from "./Switch.ts"

type Collect = (options: { readonly type: "minor" }) => unknown

// Well under V8's 64 MiB, and under what is left of them where V8 has made its heap small in a
// quiet time: with 16 MiB, 1 MiB each way cost four times as much from then on. A message that
// has just died is still in the processor's caches when its memory is used again.
const collectEvery = 4 * 1024 * 1024

const find = (): Collect | undefined => {
  // Another engine's `gc` means something else.
  if (process.versions["bun"] !== undefined || process.versions["deno"] !== undefined) return undefined
  try {
    const exposed: unknown = Reflect.get(globalThis, "gc")
    if (typeof exposed === "function") return exposed as Collect
    // A context that is made while the flag is set has the function; nobody else sees it.
    setFlagsFromString("--expose-gc")
    try {
      const found: unknown = runInNewContext("gc")
      return typeof found === "function" ? found as Collect : undefined
    } finally {
      setFlagsFromString("--no-expose-gc")
    }
  } catch {
    return undefined
  }
}

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_used_size ?? 0

/** Whether it makes young garbage go away. V8 may have collected that by itself just before, so it is tried again. */
export const works = (collect: Collect): boolean => {
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      const garbage = Array.from({ length: 1000 }, (_, i) => [i])
      const before = youngBytes()
      garbage.length = 0
      collect({ type: "minor" })
      if (youngBytes() < before) return true
    }
  } catch {
    // It is another function.
  }
  return false
}

let found: Collect | undefined
let wasSought = false
let users = 0
let collect: Collect | undefined
let allocated = 0

/** Turns them on, until the function that is returned is called as often as this. */
export const enable = (): () => void => {
  if (!wasSought && !isPortable) {
    wasSought = true
    const sought = find()
    found = sought !== undefined && works(sought) ? sought : undefined
  }
  users++
  collect = found
  return () => {
    users--
    if (users === 0) collect = undefined
  }
}

/** Whether they are on, and V8 does as it is asked. */
export const isEnabled = (): boolean => collect !== undefined

/** So many bytes were allocated outside of V8's heap, most likely for a short time. */
export const onAllocated = (bytes: number): void => {
  if (collect === undefined) return
  allocated += bytes
  if (allocated < collectEvery) return
  allocated = 0
  collect({ type: "minor" })
}

// What so many connections and their handshakes take of the young generation, 700 KB, is
// collected in half a millisecond.
const growth = 32

// Behind such a time without new connections a server grows anew, as after an outage that all
// were cut by.
const quietMillis = 1000

/**
 * Sees a server grow. What a connection holds is made among what its handshake took and left,
 * three times as much; V8 lets the young generation grow to tens of MiB meanwhile, copies all
 * in one pause and keeps the memory. So it is collected whenever there are more connections than
 * ever, by {@link growth}, or than after a quiet time; where they come and go it is not. Measured
 * with 5000 idle connections: 7.0 instead of 9.6 KiB each, and pauses of 1 instead of 50 ms.
 */
export class Growth {
  private most = 0
  private lastAt = 0

  /** There are `count` connections now, one of them new at `now`, in milliseconds. */
  reached(count: number, now = performance.now()): void {
    if (collect === undefined) return
    const isQuiet = now - this.lastAt > quietMillis
    this.lastAt = now
    if (isQuiet) {
      this.most = count
    } else if (count >= this.most + growth) {
      this.most = count
      collect({ type: "minor" })
    }
  }
}
