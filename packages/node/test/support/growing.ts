/** Lets a server grow and shrink, and prints after each step how often V8 has collected its young generation. */
import { constants, PerformanceObserver } from "node:perf_hooks"
import { setImmediate as turn } from "node:timers/promises"
import { enable, Growth } from "../../src/undocumented/YoungCollections.ts"

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

enable()
// What loading took is no part of it.
await settled()
minor = 0
const growth = new Growth()
const seen: Array<number> = []
const steps: ReadonlyArray<readonly [count: number, at: number]> = [
  [1, 5000],
  [31, 5010],
  [32, 5020],
  [33, 5030],
  [63, 5040],
  [64, 5050],
  [65, 5060],
  [1, 5070],
  [40, 6000],
  [97, 7000],
  // Behind a quiet time fewer than ever are a growth as well.
  [2, 8001],
  [33, 8010],
  [34, 8020],
  [65, 9000],
  [66, 9010]
]
for (const [count, at] of steps) {
  growth.reached(count, at)
  await settled()
  seen.push(minor)
}
process.stdout.write(JSON.stringify(seen))
