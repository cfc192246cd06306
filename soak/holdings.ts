/** What a process holds: memory, file descriptors, sockets, timers, fibers. It is compared before and after. */
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { readdirSync, readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export interface Holdings {
  readonly residentBytes: number
  /** Of V8's heap, and what hangs on it: array buffers, and what the likes of zlib allocate. */
  readonly heapBytes: number
  readonly externalBytes: number
  /** Open file descriptors, where the system lists them. */
  readonly descriptors: number | undefined
  readonly sockets: number
  readonly timers: number
  /** Fibers of whatever {@link countFibers} was provided to. */
  readonly fibers: number
}

let fibers = 0

/** Counts the fibers that live under it, in {@link Holdings.fibers}. */
export const countFibers: Layer.Layer<never> = Layer.succeed(Metric.FiberRuntimeMetrics)({
  recordFiberStart: () => {
    fibers++
  },
  recordFiberEnd: () => {
    fibers--
  }
})

export const fibersNow = (): number => fibers

const descriptors = (): number | undefined => {
  try {
    // Less the one that lists them.
    return readdirSync("/proc/self/fd").length - 1
  } catch {
    return undefined
  }
}

/** What the process holds now, garbage included: see {@link collect}. */
export const holdings = (): Holdings => {
  const { external, heapUsed, rss } = process.memoryUsage()
  const resources = process.getActiveResourcesInfo()
  return {
    residentBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    descriptors: descriptors(),
    sockets: resources.filter((name) => name === "TCPSocketWrap" || name === "TLSWrap").length,
    timers: resources.filter((name) => name === "Timeout").length,
    fibers
  }
}

/**
 * Microseconds that the process was ready to run while others had the CPU, where the system counts them: they tell a
 * machine that has no time for it from a program that stands still.
 */
export const waitedMicros = (): number => {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1000
  } catch {
    return 0
  }
}

let gc: (() => void) | undefined

/** Collects all garbage. Finalizers run in the turns of the event loop between. */
export const collect = async (): Promise<void> => {
  if (gc === undefined) {
    setFlagsFromString("--expose-gc")
    gc = runInNewContext("gc") as () => void
  }
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
