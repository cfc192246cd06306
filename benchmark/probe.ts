/**
 * Preloaded into each measured process (`node --import`), whose own code knows nothing of it: tells what the process
 * has used whenever the benchmark asks, and ends it with the benchmark.
 */
import type { Serializable } from "node:child_process"

/** What a process has used so far: CPU time, user and system, of all its threads, and the memory it holds. */
export interface Usage {
  readonly cpuMicros: number
  readonly residentBytes: number
}

export const usageOfThisProcess = (): Usage => {
  const { system, user } = process.cpuUsage()
  return { cpuMicros: user + system, residentBytes: process.memoryUsage.rss() }
}

// Not under a process that is only importing the types.
if (process.env["EFFECT_WS_PROBE"] === "1") {
  process.on("message", () => process.send?.(usageOfThisProcess() satisfies Serializable & Usage))
  process.on("disconnect", () => process.exit())
}
