/** Lets a server grow and shrink, and prints after each step how often V8 has collected its young generation. */
import { constants, PerformanceObserver } from "node:perf_hooks"
import { setImmediate as turn } from "node:timers/promises"
import { Growth } from "../../src/YoungCollections.ts"

let minor = 0
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail
    if (kind === constants.NODE_PERFORMANCE_GC_MINOR) minor++
  }
})
observer.observe({ entryTypes: ["gc"] })

const settled = async (): Promise<void> => {
  await turn()
  await turn()
}

// What loading took is no part of it.
await settled()
minor = 0
const growth = new Growth()
const seen: Array<number> = []
for (const count of [1, 31, 32, 33, 63, 64, 1, 40, 64, 95, 96]) {
  growth.reached(count)
  await settled()
  seen.push(minor)
}
process.stdout.write(JSON.stringify(seen))
