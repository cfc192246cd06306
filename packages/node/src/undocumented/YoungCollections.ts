/**
 * Forces collections of V8's young generation when messages have taken so much memory that V8 would soon mark its
 * whole heap, and when a server gains connections. They affect the whole process and set a flag of V8, so they are
 * off until a program asks for them: `NodeTuning.layerYoungCollections`.
 *
 * The memory of a message lies outside of V8's heap. V8 counts it, and above 64 MiB marks everything that the
 * program has loaded. When V8 collects young objects depends only on the size of its own young heap, where a message
 * has two small objects, so that happens too late. Nearly all messages are young and dead by then. Measured with the
 * echo server, whose heap is 23 MB: marking it takes 35 ms of the main thread and as much of others, collecting the
 * young generation 0.4 ms. An allocation of 16 KiB with its share of that cost 11.5 µs and costs 2.9, one of 1 MiB
 * cost 320 and costs 107.
 *
 * It uses V8's function `gc`, which exists once a flag is set. The function is tried when it is first needed. If it
 * does not exist or does not collect, V8 works as usual.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { isPortable } from "./Switch.ts"

type Collect = (options: { readonly type: "minor" }) => unknown

// Well below V8's 64 MiB, and below what is left of them after V8 has made its heap small in a quiet time: with 16 MiB,
// 1 MiB each way then cost four times as much. The memory of a message that has just died is still in the processor's
// caches when it is used again.
const collectEvery = 4 * 1024 * 1024

const find = (): Collect | undefined => {
  // Another engine's `gc` means something else.
  if (process.versions["bun"] !== undefined || process.versions["deno"] !== undefined) return undefined
  try {
    const exposed: unknown = Reflect.get(globalThis, "gc")
    if (typeof exposed === "function") return exposed as Collect
    // Only a context that is made while the flag is set has the function.
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

/** Whether it collects young garbage. V8 may have done so by itself just before, so it is tried again. */
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

/** Turns collections on, until the returned function was called as often as this one. */
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

/** Whether collections are on, and the function works. */
export const isEnabled = (): boolean => collect !== undefined

/** Counts bytes that were allocated outside of V8's heap, most likely for a short time. */
export const onAllocated = (bytes: number): void => {
  if (collect === undefined) return
  allocated += bytes
  if (allocated < collectEvery) return
  allocated = 0
  collect({ type: "minor" })
}

// This many connections and their handshakes take 700 KB of the young generation, which is collected in half a
// millisecond.
const growth = 32

// After this time without new connections a server grows again, as after an outage that cut all connections.
const quietMillis = 1000

/**
 * Observes the growth of a server. The objects of a connection are made among three times as much garbage of its
 * handshake. In the meantime V8 lets the young generation grow to tens of MiB, copies it in one pause and keeps the
 * memory. So it is collected whenever there are more connections than ever, by {@link growth}, or than after a quiet
 * time, but not where connections come and go. Measured with 5000 idle connections: 7.0 instead of 9.6 KiB each, and
 * pauses of 1 instead of 50 ms.
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
