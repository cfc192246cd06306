/**
 * `npm run bench`: the microbenchmarks of the codec, then whole servers and clients beside those of npm.
 *
 * What counts is the CPU time that the measured process needs for a message: on a machine with other work it says more
 * than messages per second. The peers take turns in each round. See `--help`.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { chart } from "./chart.ts"
import { measure, roundsOf } from "./measure.ts"
import { comparison, legend, makeProgress, table } from "./report.ts"
import { changes, load, makeResults, type Row, save } from "./results.ts"
import { peersOf, type Workload, workloads } from "./workloads.ts"

const help = `npm run bench -- [options]

  --list               the workloads and their peers
  --workloads a,b      only these; a part of a name is enough where only one has it
  --rounds N           measured runs of each peer (5)
  --seconds N          length of a run (1)
  --micro              only the microbenchmarks; --no-micro: all but these
  --json FILE          keeps the results
  --svg FILE           draws them
  --compare FILE       tells what became slower than in FILE, of an earlier --json; then the exit status is 1
  --tolerance N        by how many percent at least (10)`

/** Told to the user without a stack. */
class UsageError extends Error {}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (!(value > 0 && value < Infinity)) throw new UsageError(`--${name} takes a number above 0, not "${text}"`)
  return value
}

const options = () => {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      help: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      workloads: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "1" },
      micro: { type: "boolean" },
      json: { type: "string" },
      svg: { type: "string" },
      compare: { type: "string" },
      tolerance: { type: "string", default: "10" }
    }
  })
  return {
    ...values,
    workloads: values.workloads === undefined ? workloads : values.workloads.split(",").map(workloadOf),
    rounds: Math.ceil(positive("rounds", values.rounds)),
    seconds: positive("seconds", values.seconds),
    tolerance: positive("tolerance", values.tolerance) / 100
  }
}

const workloadOf = (name: string): Workload => {
  const exact = workloads.find((workload) => workload.name === name)
  if (exact !== undefined) return exact
  const near = workloads.filter((workload) => workload.name.includes(name))
  if (near.length === 1) return near[0]!
  throw new UsageError(`there is ${near.length === 0 ? "no" : "more than one"} workload "${name}"; see --list`)
}

const list = (): string => {
  const longest = Math.max(...workloads.map(({ name }) => name.length))
  return workloads.map((workload) => {
    const peers = peersOf(workload).map(({ name }) => name).join(", ")
    return `${workload.name.padEnd(longest)}  ${workload.about}\n${"".padEnd(longest)}  ${peers}`
  }).join("\n")
}

const runMicro = async (): Promise<void> => {
  const file = fileURLToPath(new URL("./codec/run.ts", import.meta.url))
  const child = spawn(process.execPath, [file], { stdio: "inherit" })
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error("the microbenchmarks failed")
}

const main = async (): Promise<void> => {
  const { compare, help: asksHelp, json, list: asksList, micro, rounds, seconds, svg, tolerance, ...chosen } = options()
  if (asksHelp) return console.log(help)
  if (asksList) return console.log(list())
  // What is wrong with the file had better be known at once.
  const before = compare === undefined ? undefined : load(compare)
  if (micro !== false) await runMicro()
  if (micro === true) return

  const steps = chosen.workloads.reduce(
    (sum, workload) => sum + peersOf(workload).length * (1 + roundsOf(workload, rounds)),
    0
  )
  const progress = makeProgress(steps)
  const rows: Array<Row> = []
  console.log(`\n${legend}\n`)
  for (const workload of chosen.workloads) {
    try {
      const measured = await measure(workload, { rounds, seconds, progress: progress.step }).finally(progress.clear)
      rows.push(...measured)
      console.log(table(workload, measured))
    } catch (error) {
      // The others are worth knowing all the same.
      console.error(`${workload.name}: not measured: ${String(error)}\n`)
      process.exitCode = 1
    }
  }
  const results = makeResults(rows, process.argv.slice(2))
  if (json !== undefined) save(json, results)
  if (svg !== undefined) writeFileSync(svg, chart(results))
  if (before === undefined) return
  const found = changes(before, results)
  console.log(comparison(found, compare!, tolerance))
  if (found.some(({ factor }) => factor > 1 + tolerance)) process.exitCode = 1
}

const isUsageError = (error: unknown): error is Error =>
  error instanceof UsageError ||
  (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))

try {
  await main()
} catch (error) {
  if (!isUsageError(error)) throw error
  console.error(`${error.message}\n\n${help}`)
  process.exitCode = 2
}
