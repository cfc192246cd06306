/**
 * Preloaded into each measured process (`node --import`), whose own code knows nothing of it: tells what the process
 * has used whenever the benchmark asks, and ends it with the benchmark.
 */
import type { Serializable } from "node:child_process"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** What a process has used so far: CPU time, user and system, of all its threads, and the memory it holds. */
export interface Usage {
  readonly cpuMicros: number
  readonly residentBytes: number
  /** What is alive in V8's heap and in buffers, where that was asked for. */
  readonly liveBytes?: number
}

/** What is left after full collections. */
const liveBytes = (): number => {
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  for (let i = 0; i < 3; i++) collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

export const usageOfThisProcess = (): Usage => {
  const { system, user } = process.cpuUsage()
  return { cpuMicros: user + system, residentBytes: process.memoryUsage.rss() }
}

// Not under a process that is only importing the types.
if (process.env["EFFECT_WS_PROBE"] === "1") {
  process.on("message", (asked: { readonly live?: boolean }) => {
    const usage: Serializable & Usage = { ...usageOfThisProcess(), ...asked.live === true && { liveBytes: liveBytes() } }
    process.send?.(usage)
  })
  process.on("disconnect", () => process.exit())
}
