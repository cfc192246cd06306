/** How long something took, told apart from how busy the machine was meanwhile. */
import { assert } from "@effect/vitest"

/**
 * Begins to measure. The result asserts that this process worked for less than a second
 * since, and that no deadline was waited for, the shortest of which is 5 seconds. On Node only.
 */
export const measure = (): () => void => {
  const began = performance.now()
  const before = process.cpuUsage()
  return () => {
    // How fast other runtimes are is not what these tests are about.
    if ("Bun" in globalThis || "Deno" in globalThis) return
    const { system, user } = process.cpuUsage(before)
    assert.isBelow((system + user) / 1000, 1000, "milliseconds of work")
    assert.isBelow(performance.now() - began, 4000, "milliseconds in all")
  }
}
