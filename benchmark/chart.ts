/** The results as an SVG: a group of bars for each workload, longer is better. */
import { advantage, type Results, type Row } from "./results.ts"
import { base, ours } from "./workloads.ts"

const width = 760
const labels = 150
const room = 490
const bar = 14
const gap = 14
const top = 46

// Readable on white and on black: the page's background shows through.
const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #57606a }
  .ours { fill: #0969da }
  .base { fill: #8c959f }
  .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .base { fill: #7d8590 }
    .other { fill: #484f58 }
  }`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const classOf = (peer: string): string => peer === ours ? "ours" : peer === base ? "base" : "other"

const barOf = (row: Row, value: number, length: number, y: number): string => {
  const label = `${row.peer} ${value.toFixed(value < 10 ? 2 : 1)}x`
  const size = `width="${length.toFixed(1)}" height="${bar - 2}"`
  return `<rect class="${classOf(row.peer)}" x="${labels}" y="${y}" ${size} rx="2"/>` +
    `<text class="small" x="${(labels + length + 6).toFixed(1)}" y="${y + bar - 4}">${escape(label)}</text>`
}

/** Each bar says how many times the work of `base` is done for the same CPU time, or memory. */
export const chart = ({ machine, node, rows, versions }: Results): string => {
  const valued = rows.flatMap((row) => {
    const value = advantage(rows, row)
    return value === undefined ? [] : [{ row, value }]
  })
  const scale = room / Math.max(1, ...valued.map(({ value }) => value))
  const parts: Array<string> = []
  let y = top
  for (const [workload, group] of Map.groupBy(valued, ({ row }) => row.workload)) {
    parts.push(`<text x="${labels - 10}" y="${y + bar - 4}" text-anchor="end">${escape(workload)}</text>`)
    for (const { row, value } of group) {
      parts.push(barOf(row, value, value * scale, y))
      y += bar
    }
    y += gap
  }
  const versionText = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
  const height = y + 20
  const size = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`,
    `<title>Work done for the same CPU time, ${base} = 1</title>`,
    `<style>${style}</style>`,
    `<text class="title" x="10" y="22">Work done for the same CPU time (memory, for idle-memory), ${base} = 1</text>`,
    ...parts,
    `<text class="small" x="10" y="${y + 8}">${escape(`${versionText}, Node ${node}, ${machine}`)}</text>`,
    "</svg>",
    ""
  ].join("\n")
}
