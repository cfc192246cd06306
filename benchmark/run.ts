/**
 * `npm run bench`: the microbenchmarks of the codec, then whole servers and clients beside those of others.
 *
 * What counts is the CPU time that the measured process needs for a message: on a machine with other work it says more
 * than messages per second. The peers take turns in each round. See `--help` and README.md.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { chart } from "./chart.ts"
import { chosenPeers, measure, roundsOf, type Settings } from "./measure.ts"
import { measureInside, smallBuffers } from "./network.ts"
import { help, type Options, parse, UsageError } from "./options.ts"
import { bunBinary, peersOf } from "./peers.ts"
import { profileInto } from "./processes.ts"
import { comparison, legend, makeProgress, table } from "./report.ts"
import { changes, load, makeResults, type Results, type Row, save } from "./results.ts"
import { putTable } from "./tables.ts"
import { type Workload, workloads } from "./workloads.ts"

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

/** A feed is measured where buffers are small, if it can be. */
const rowsOf = (workload: Workload, options: Options, settings: Settings): Promise<ReadonlyArray<Row>> => {
  if (workload.kind !== "feed") return measure(workload, settings)
  const where = smallBuffers()
  if (typeof where === "object") {
    console.log(`${workload.name}: the kernel's buffers take what slow clients do not read (${where.missing})`)
  }
  if (where !== "inside") return measure(workload, settings)
  settings.progress(workload.name, "with small socket buffers")
  const { peers, rounds, scale, seconds } = options
  return measureInside(
    `--no-micro --workloads ${workload.name} --rate ${workload.rate} --rounds ${rounds} --seconds ${seconds} --scale ${scale}`
      .split(" ")
      .concat(peers === undefined ? [] : ["--peers", peers.join(",")])
  )
}

const measureAll = async (options: Options): Promise<Results> => {
  const { peers, rounds, seconds } = options
  const steps = options.workloads.reduce(
    (sum, workload) => sum + chosenPeers(workload, peers).length * (1 + roundsOf(workload, rounds)),
    0
  )
  const progress = makeProgress(steps)
  const rows: Array<Row> = []
  console.log(`\n${legend}\n`)
  if (bunBinary === undefined) console.log("Bun is left out: no binary of it is installed for this platform.\n")
  for (const workload of options.workloads) {
    try {
      const settings = { rounds, seconds, peers, progress: progress.step }
      const measured = await rowsOf(workload, options, settings).finally(progress.clear)
      rows.push(...measured)
      console.log(table(workload, measured))
    } catch (error) {
      // The others are worth knowing all the same.
      console.error(`${workload.name}: not measured: ${String(error)}\n`)
      process.exitCode = 1
    }
  }
  return makeResults(rows, process.argv.slice(2))
}

const main = async (): Promise<void> => {
  const options = parse(process.argv.slice(2))
  if (options.help) return console.log(help)
  if (options.list) return console.log(list())
  // An unreadable file is reported before anything is measured.
  const before = options.compare === undefined ? undefined : load(options.compare)
  const kept = options.from === undefined ? undefined : load(options.from)
  if (options.micro !== false && kept === undefined) await runMicro()
  if (options.micro === true) return
  if (options.profile !== undefined) profileInto(options.profile)
  const results = kept ?? await measureAll(options)
  if (options.json !== undefined) save(options.json, results)
  if (options.svg !== undefined) writeFileSync(options.svg, chart(results))
  if (options.table !== undefined) putTable(options.table, results)
  if (before === undefined) return
  const found = changes(before, results)
  console.log(comparison(found, options.compare!, options.tolerance))
  if (found.some(({ factor }) => factor > 1 + options.tolerance)) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\n\n${help}`)
  process.exitCode = 2
}
