/**
 * Collections of V8's young generation, asked for when messages have taken up so much memory
 * that V8 would soon walk through its whole heap, and when connections have become more.
 *
 * The memory of a message lies outside of V8's heap. V8 counts it, and above 64 MiB marks all
 * that the program has loaded; how much of its own heap is young decides alone when it looks at
 * the young objects, which are two for a message, and so that comes too late. Nearly all
 * messages are young and dead by then. Measured with the echo server, whose heap is 23 MB: to
 * mark it takes 35 ms of the main thread and as much of others, to collect the young generation
 * 0.4 ms. An allocation of 16 KiB with its share of that cost 11.5 µs and costs 2.9, one of
 * 1 MiB 320 and costs 107.
 *
 * What is asked for is V8's function `gc`, which stays unseen until a flag is set, so it is
 * looked for when it is first needed. Where it is not to be had V8 does as it always does.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

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

let collect: Collect | undefined
let wasSought = false
let allocated = 0

const collectNow = (): void => {
  allocated = 0
  if (!wasSought) {
    wasSought = true
    collect = find()
  }
  collect?.({ type: "minor" })
}

/**
 * So many bytes were allocated outside of V8's heap, most likely for a short time.
 *
 * @internal
 */
export const onAllocated = (bytes: number): void => {
  allocated += bytes
  if (allocated >= collectEvery) collectNow()
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
 *
 * @internal
 */
export class Growth {
  private most = 0
  private lastAt = 0

  /** There are `count` connections now, one of them new at `now`, in milliseconds. */
  reached(count: number, now: number): void {
    const isQuiet = now - this.lastAt > quietMillis
    this.lastAt = now
    if (isQuiet) {
      this.most = count
    } else if (count >= this.most + growth) {
      this.most = count
      collectNow()
    }
  }
}
