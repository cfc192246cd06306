/** The results as a table of a document. */
import { readFileSync, writeFileSync } from "node:fs"
import { ours, portable, tuned } from "./peers.ts"
import { advantage, find, type Results, type Row } from "./results.ts"
import { workloads } from "./workloads.ts"

const begin = "<!-- benchmark -->"
const end = "<!-- /benchmark -->"

const figure = (value: number): string =>
  value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 })

const cost = (row: Row | undefined): string => {
  if (row === undefined) return ""
  return `${figure(row.cost)} ${row.unit.split("/", 1)[0]!.replace("us", "µs")}`
}

const times = (rows: ReadonlyArray<Row>, row: Row | undefined): string => {
  const value = row && advantage(rows, row)
  return value === undefined ? "" : value.toFixed(value < 10 ? 1 : 0)
}

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

/** Both columns of ours, what they are compared with, and the others. */
const costs = ({ rows }: Results): ReadonlyArray<string> => {
  const measured = workloads.filter(({ name }) => find(rows, name, ours) !== undefined)
  return [
    line(["workload", "compared with", "effect-ws", "times less", "documented only", "times less", "Bun", "Node's limit or client"]),
    line(["---", "---", "---", "---", "---", "---", "---", "---"]),
    ...measured.map(({ about, name }) => {
      const mine = find(rows, name, ours)
      const mineOnly = find(rows, name, portable)
      const base = find(rows, name, mine!.base)
      const other = find(rows, name, "node:net") ?? find(rows, name, "undici")
      return line([
        `\`${name}\`: ${about}`,
        `${mine!.base} ${cost(base)}`,
        cost(mine),
        times(rows, mine),
        cost(mineOnly),
        times(rows, mineOnly),
        cost(find(rows, name, "Bun")),
        other === undefined ? "" : `${other.peer} ${cost(other)}`
      ])
    })
  ]
}

const latencies = ({ rows }: Results): ReadonlyArray<string> => {
  const timed = rows.filter(({ latency }) => latency !== undefined)
  if (timed.length === 0) return []
  return [
    "",
    line(["at a fixed rate", "", "p50", "p99", "p99.9", "its CPU", "memory"]),
    line(["---", "---", "---", "---", "---", "---", "---"]),
    ...timed.map(({ busy, latency, peer, residentBytes, workload }) =>
      line([
        `\`${workload}\``,
        peer,
        ...[latency!.p50, latency!.p99, latency!.p999].map((value) => `${figure(value)} µs`),
        busy === undefined ? "" : `${Math.round(100 * busy)} %`,
        residentBytes === undefined ? "" : `${figure(residentBytes / 2 ** 20)} MiB`
      ])
    )
  ]
}

const large = ({ rows }: Results): ReadonlyArray<string> => {
  const measured = rows.filter(({ peer }) => peer === tuned)
  if (measured.length === 0) return []
  return [
    "",
    line(["large messages", "as installed", "with `NodeTuning.layerYoungCollections`", "times less than ws"]),
    line(["---", "---", "---", "---"]),
    ...measured.map((row) => line([`\`${row.workload}\``, cost(find(rows, row.workload, ours)), cost(row), times(rows, row)]))
  ]
}

const ways = ({ rows }: Results): ReadonlyArray<string> => {
  const measured = rows.filter(({ workload }) => workload === "ways-64")
  if (measured.length === 0) return []
  return [
    "",
    line(["`ways-64`", "a message", "times less than ws"]),
    line(["---", "---", "---"]),
    ...measured.map((row) => line([row.peer === row.base ? row.peer : `\`${row.peer}\``, cost(row), times(rows, row)]))
  ]
}

const markdown = (results: Results): string =>
  [
    begin,
    `\`${results.command}\`, ${results.date.slice(0, 10)}, ${results.machine}, Node ${results.node}, ` +
    `${Object.entries(results.versions).map(([name, version]) => `${name} ${version}`).join(", ")}.`,
    "",
    ...costs(results),
    ...latencies(results),
    ...large(results),
    ...ways(results),
    end
  ].join("\n")

/** Replaces what a document has between its marks. */
export const putTable = (file: string, results: Results): void => {
  const text = readFileSync(file, "utf8")
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table: the lines ${begin} and ${end}`)
  writeFileSync(file, text.slice(0, from) + markdown(results) + text.slice(to + end.length))
}
