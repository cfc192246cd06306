/** What a test adds to its process, where that process is its own. */
import { assert } from "@effect/vitest"

/**
 * Begins to measure. The result asserts that resident memory grew by less than `bytes` since. On Node only: on Bun other
 * files' tests run beside this one in threads of the same process, and what they take is not told apart.
 */
export const measure = (): (bytes: number) => void => {
  const before = process.memoryUsage.rss()
  return (bytes) => {
    if ("Bun" in globalThis) return
    assert.isBelow(process.memoryUsage.rss() - before, bytes, "bytes of resident memory")
  }
}
