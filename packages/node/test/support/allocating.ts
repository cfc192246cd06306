/**
 * Allocates 256 MiB for messages of 16 KiB that die at once, and prints how often V8 collected
 * its young generation and all of its heap meanwhile. With `withoutFlags` V8's flags cannot
 * be set; with `off` they are not asked for.
 */
import { syncBuiltinESMExports } from "node:module"
import { constants, PerformanceObserver } from "node:perf_hooks"
import { setImmediate as turn } from "node:timers/promises"
import v8 from "node:v8"

if (process.argv[2] === "withoutFlags") {
  v8.setFlagsFromString = () => {
    throw new Error("not here")
  }
  syncBuiltinESMExports()
}
const NodePrimitives = await import("../../src/NodePrimitives.ts")
const YoungCollections = await import("../../src/undocumented/YoungCollections.ts")

if (process.argv[2] !== "off") YoungCollections.enable()

const counts = { minor: 0, major: 0 }
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail
    if (kind === constants.NODE_PERFORMANCE_GC_MINOR) counts.minor++
    if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) counts.major++
  }
})
observer.observe({ entryTypes: ["gc"] })

let last = new Uint8Array(0)
for (let i = 0; i < 16 * 1024; i++) {
  last = NodePrimitives.primitives.allocate(16 * 1024)
  last[0] = i
  if (i % 8 === 0) await turn()
}
await turn()
const exposed = typeof Reflect.get(globalThis, "gc")
process.stdout.write(`${JSON.stringify({ ...counts, size: last.length, exposed })}\n`)
