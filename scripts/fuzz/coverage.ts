/**
 * Which of the packages' code an input runs, by V8's own precise coverage: what guides the fuzzer to inputs that do
 * something new. No dependency, and the sources are run as they are.
 */
import * as Profiler from "../../packages/core/test/support/Profiler.ts"

/** How often, in the steps that matter: once, twice, a few times, many times. */
const bucket = (count: number): number => count < 3 ? count : count < 8 ? 3 : count < 32 ? 4 : 5

export interface Coverage {
  /** Runs something, and says whether it ran code that nothing noted before has run. */
  readonly isNew: (run: () => void) => boolean
  /** The same, but how often the code ran counts as well, and it is noted. */
  readonly note: (run: () => void) => boolean
  /** How many pieces of code, with how often they ran, were seen. */
  readonly size: () => number
  readonly stop: () => void
}

export const start = (): Coverage => {
  const { stop, take } = Profiler.start()
  const seen = new Set<string>()
  const places = function*(run: () => void): Generator<{ readonly place: string; readonly times: string }> {
    take()
    run()
    for (const { functions, url } of take()) {
      if (!url.includes("/src/") || url.includes("/node_modules/")) continue
      for (const { ranges } of functions) {
        for (const { count, startOffset } of ranges) {
          if (count === 0) continue
          // Where a range ends depends on what its neighbours did.
          const place = `${url}:${startOffset}`
          yield { place, times: `${place}:${bucket(count)}` }
        }
      }
    }
  }
  return {
    isNew: (run) => {
      let isNew = false
      for (const { place } of places(run)) isNew ||= !seen.has(place)
      return isNew
    },
    note: (run) => {
      const before = seen.size
      for (const { place, times } of places(run)) seen.add(place).add(times)
      return seen.size > before
    },
    size: () => seen.size,
    stop
  }
}
