/** What was measured, how it is kept in a file, and what became slower since. */
import { readFileSync, writeFileSync } from "node:fs"
import { arch, cpus, platform, release } from "node:os"
import { ours } from "./peers.ts"

/** Percentiles in microseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly most: number
}

export interface Row {
  readonly workload: string
  readonly peer: string
  /** Whose cost this one is compared with. */
  readonly base: string
  readonly unit: string
  /** The lower quartile of the rounds, what counts; the median and the upper quartile tell how they differ. */
  readonly cost: number
  readonly median: number
  readonly upper: number
  readonly costs: ReadonlyArray<number>
  readonly perSecond: number | undefined
  /** Share of a CPU that the measured process had, and that the load generator had. */
  readonly busy: number | undefined
  readonly loadBusy: number | undefined
  /** Where messages are sent at a fixed rate. */
  readonly latency?: Latency | undefined
  /** Memory of the measured process, where buffers are what is asked about. */
  readonly residentBytes?: number | undefined
}

export interface Results {
  readonly date: string
  readonly command: string
  readonly machine: string
  readonly node: string
  readonly versions: Readonly<Record<string, string>>
  readonly rows: ReadonlyArray<Row>
}

/** The value below which a share of all lies, between two of them where it falls there. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const low = sorted[Math.floor(place)]!
  const high = sorted[Math.ceil(place)]!
  return low + (high - low) * (place - Math.floor(place))
}

const json = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"))

const versions = (): Readonly<Record<string, string>> => {
  const { devDependencies } = json("../package.json") as { readonly devDependencies: Readonly<Record<string, string>> }
  const { optionalDependencies } = json("./package.json") as { readonly optionalDependencies: Readonly<Record<string, string>> }
  const { version } = json("../packages/node/package.json") as { readonly version: string }
  const { "socket.io": socketIo, undici, ws } = devDependencies
  return { [ours]: version, ws: ws!, undici: undici!, Bun: Object.values(optionalDependencies)[0]!, "socket.io": socketIo! }
}

export const makeResults = (rows: ReadonlyArray<Row>, args: ReadonlyArray<string>): Results => ({
  date: new Date().toISOString(),
  command: ["npm run bench", ...args.length > 0 ? ["--", ...args] : []].join(" "),
  machine: `${cpus()[0]?.model.trim() ?? "unknown CPU"} (${cpus().length}), ${platform()} ${release()} ${arch()}`,
  node: process.version,
  versions: versions(),
  rows
})

export const save = (file: string, results: Results): void => {
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
}

export const load = (file: string): Results => {
  const found = JSON.parse(readFileSync(file, "utf8")) as Partial<Results>
  if (!Array.isArray(found.rows)) throw new Error(`${file} holds no results of \`npm run bench -- --json\``)
  return found as Results
}

export const find = (rows: ReadonlyArray<Row>, workload: string, peer: string): Row | undefined =>
  rows.find((row) => row.workload === workload && row.peer === peer)

/** How many times the one that it is compared with costs what this does: 2 is twice as good. */
export const advantage = (rows: ReadonlyArray<Row>, row: Row): number | undefined => {
  const other = find(rows, row.workload, row.base)
  // With few connections a process may hold less memory after they were opened than before.
  return other === undefined || other.cost <= 0 || row.cost <= 0 ? undefined : other.cost / row.cost
}

export interface Change {
  readonly workload: string
  readonly base: string
  readonly before: number
  readonly now: number
  /** Above 1: slower. */
  readonly factor: number
}

/** How our ratios changed. Ratios, since the machine may be another, or busier. */
export const changes = (before: Results, now: Results): ReadonlyArray<Change> =>
  now.rows.filter(({ peer }) => peer === ours).flatMap((row) => {
    const old = find(before.rows, row.workload, ours)
    const then = old && advantage(before.rows, old)
    const today = advantage(now.rows, row)
    return then === undefined || today === undefined
      ? []
      : [{ workload: row.workload, base: row.base, before: then, now: today, factor: then / today }]
  })
