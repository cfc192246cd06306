/**
 * Runs the microbenchmarks named on the command line, or all of them, and prints
 * one table each: `node benchmark/codec/run.ts [mask] [utf8]`.
 */

export interface Case {
  readonly name: string
  readonly bytes: number
  readonly run: () => unknown
}

// A result that is kept cannot be optimised away.
let kept: unknown

const nanoseconds = ({ bytes, run }: Case): number => {
  const budget = 20_000_000
  const count = Math.max(20, Math.floor(budget / (40 + bytes * 0.3)))
  let best = Infinity
  // The best of several runs is the least disturbed one.
  for (let round = 0; round < 6; round++) {
    const start = performance.now()
    for (let i = 0; i < count; i++) kept = run()
    best = Math.min(best, ((performance.now() - start) * 1e6) / count)
  }
  return best
}

export const table = (title: string, sizes: ReadonlyArray<number>, cases: (bytes: number) => ReadonlyArray<Case>) => {
  console.log(`\n${title} (ns per call, GB/s, times the first)`)
  for (const bytes of sizes) {
    const rows = cases(bytes)
    const times = rows.map(nanoseconds)
    const cells = rows.map(({ name }, i) => {
      const time = times[i]!
      return `${name} ${time.toFixed(1)} ns ${(bytes / time).toFixed(2)} GB/s x${(times[0]! / time).toFixed(1)}`
    })
    console.log(`${String(bytes).padStart(8)} B  ${cells.join(" | ")}`)
  }
  return kept
}

const main = async (names: ReadonlyArray<string>): Promise<void> => {
  for (const name of names) {
    const { benchmark } = await import(new URL(`./${name}.ts`, import.meta.url).href)
    benchmark()
  }
}

// Not awaited here: the benchmarks import this module and would wait for it.
if (import.meta.main) {
  const wanted = process.argv.slice(2)
  void main(wanted.length > 0 ? wanted : ["mask", "utf8"])
}
