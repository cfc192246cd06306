/**
 * How much work some code does, counted and not timed: how often each piece of the packages' code runs, by V8's precise
 * coverage, and how many bytes are moved, made and decoded by what is native.
 */
import { portable, type Primitives } from "../../src/Primitives.ts"
import * as Profiler from "./Profiler.ts"

let bytes = 0

/** The portable ones, which count what they are given. */
export const countingPrimitives: Primitives = {
  ...portable,
  decodeUtf8: (source, start, end) => {
    bytes += end - start
    return portable.decodeUtf8(source, start, end)
  },
  allocate: (size) => {
    bytes += size
    return portable.allocate(size)
  }
}

const { set, slice } = Uint8Array.prototype

/** Counts what is copied while `run` runs. */
const countingCopies = (run: () => void): void => {
  const counting: Pick<Uint8Array, "set" | "slice"> & ThisType<Uint8Array> = {
    set(source, offset) {
      bytes += source.length
      set.call(this, source, offset)
    },
    slice(start, end) {
      const copy = slice.call(this, start, end)
      bytes += copy.length
      return copy
    }
  }
  Object.assign(Uint8Array.prototype, counting)
  try {
    run()
  } finally {
    Object.assign(Uint8Array.prototype, { set, slice })
  }
}

export interface Work {
  /** How often pieces of code ran. */
  readonly steps: number
  /** What was copied, allocated and decoded. */
  readonly bytes: number
}

export interface Counter {
  /** The work of `run`, which is run twice; the code under `packages/core/src` counts. */
  readonly workOf: (run: () => void) => Work
  readonly stop: () => void
}

/**
 * Begins to count. One counter for all that is to be compared: what V8 compiles while nobody counts does not count
 * later.
 */
export const startCounting = (): Counter => {
  const { stop, take } = Profiler.start()
  return {
    workOf: (run) => {
      // A function's first few calls are not counted.
      run()
      take()
      bytes = 0
      countingCopies(run)
      const moved = bytes
      let steps = 0
      for (const { functions, url } of take()) {
        if (!url.includes("/packages/core/src/")) continue
        for (const { ranges } of functions) for (const { count } of ranges) steps += count
      }
      return { steps, bytes: moved }
    },
    stop
  }
}
