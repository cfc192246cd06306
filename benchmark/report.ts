/** What is printed: the tables, the comparison, how far it is. */
import { advantage, type Change, type Row } from "./results.ts"
import type { Workload } from "./workloads.ts"

// Below this share of a CPU the measured process waited for something.
const busyEnough = 0.85

const number = (value: number | undefined, digits: number): string =>
  value === undefined
    ? "-"
    : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const percent = (share: number | undefined): string => share === undefined ? "-" : `${Math.round(share * 100)} %`

const micros = (value: number | undefined): string => number(value, value !== undefined && value < 100 ? 1 : 0)

/** The rows of one workload. */
export const table = (workload: Workload, rows: ReadonlyArray<Row>): string => {
  const { base, unit } = rows[0]!
  const hasLatency = rows.some(({ latency }) => latency !== undefined)
  const hasMemory = rows.some(({ residentBytes }) => residentBytes !== undefined)
  const header = [
    "",
    unit,
    "median",
    "75 %",
    "per second",
    "its CPU",
    "load CPU",
    `times ${base}`,
    ...hasLatency ? ["p50 us", "p99 us", "p99.9 us"] : [],
    ...hasMemory ? ["MiB"] : []
  ]
  const digits = (value: number) => value < 10 ? 2 : 1
  const cells = rows.map((row) => [
    row.peer,
    ...[row.cost, row.median, row.upper].map((value) => number(value, digits(value))),
    number(row.perSecond, 0),
    percent(row.busy),
    percent(row.loadBusy),
    number(advantage(rows, row), 2),
    ...hasLatency ? [row.latency?.p50, row.latency?.p99, row.latency?.p999].map(micros) : [],
    ...hasMemory ? [number(row.residentBytes === undefined ? undefined : row.residentBytes / 2 ** 20, 0)] : []
  ])
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `  ${row.map((cell, i) => i === 0 ? cell.padEnd(Math.max(9, widths[0]!)) : cell.padStart(widths[i]!)).join("  ")}`
  const waited = hasLatency ? [] : rows.filter(({ busy }) => busy !== undefined && busy < busyEnough).map(({ peer }) => peer)
  return [
    `${workload.name}: ${workload.about}`,
    line(header),
    ...cells.map(line),
    ...waited.length === 0
      ? []
      : [
        `  (${waited.join(", ")} did not fill a CPU:`,
        "   the load generator or the machine was the limit, look at the cost alone.)"
      ],
    ""
  ].join("\n")
}

export const legend = "Cost: CPU time, user and system, of the measured process for each message. The first figure is the lower quartile\n" +
  "of the rounds, and the ratios are made of it. \"times ws\": how often the cost of ws would pay for it, so more is better."

/** What became slower, or that nothing did. */
export const comparison = (changes: ReadonlyArray<Change>, file: string, tolerance: number): string => {
  const slower = changes.filter(({ factor }) => factor > 1 + tolerance)
  const lines = slower.map(({ base, before, factor, now, workload }) =>
    `  ${workload}: ${number((factor - 1) * 100, 0)} % more (${number(before, 2)} times ${base}, now ${number(now, 2)})`
  )
  if (changes.length === 0) return `No workload of ${file} was measured.`
  const title = `Against ${file}, ${changes.length} workloads, relative to others`
  return slower.length === 0
    ? `${title}: nothing became slower by more than ${number(tolerance * 100, 0)} %.`
    : [`${title}, these became slower:`, ...lines].join("\n")
}

/** One line that is written over on a terminal; elsewhere one line for each workload. */
export const makeProgress = (steps: number) => {
  const { stderr } = process
  const begin = performance.now()
  let done = 0
  let last = ""
  return {
    step: (workload: string, what: string): void => {
      const seconds = (((performance.now() - begin) / done) * (steps - done)) / 1000
      const left = done === 0 ? "" : `, ${Math.ceil(seconds)} s left`
      done += 1
      if (stderr.isTTY) stderr.write(`\r\x1b[K[${done}/${steps}${left}] ${workload}: ${what}`)
      else if (workload !== last) stderr.write(`[${done}/${steps}${left}] ${workload}\n`)
      last = workload
    },
    clear: (): void => {
      if (stderr.isTTY) stderr.write("\r\x1b[K")
    }
  }
}
