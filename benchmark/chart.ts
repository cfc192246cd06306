/** The results as an SVG: a group of bars for each workload, longer is better. */
import { ours, portable, tuned } from "./peers.ts"
import { advantage, type Results, type Row } from "./results.ts"

const width = 800
const labels = 150
const room = 500
const bar = 13
const gap = 9
const top = 72

// It brings its own background: where it is shown as an image, the page's may be dark while the system's setting is light.
const style = `
  .back { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #57606a }
  .line { stroke: #8c959f; stroke-dasharray: 3 3 }
  .ours { fill: #0969da }
  .portable { fill: #54aeff }
  .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .line { stroke: #6e7681 }
    .ours { fill: #4493f8 }
    .portable { fill: #1f6feb }
    .other { fill: #565e68 }
  }`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const classOf = ({ peer }: Row): string =>
  peer === ours || peer === tuned ? "ours" : peer === portable ? "portable" : "other"

/** Where a value lies: each doubling is as long, so that a factor of 20 leaves room for one of 1.2. */
const placeOf = (least: number, most: number) => (value: number): number =>
  labels + room * (Math.log2(value) - Math.log2(least)) / (Math.log2(most) - Math.log2(least))

/** Powers of two around all values. */
const bounds = (values: ReadonlyArray<number>): readonly [least: number, most: number] => [
  2 ** Math.min(-1, Math.floor(Math.log2(Math.min(...values)))),
  2 ** Math.max(1, Math.ceil(Math.log2(Math.max(...values))))
]

/**
 * Each bar says how many times the work of another is done for the same CPU time, or memory: to the right of the line
 * that stands for the other, or to the left where it is less.
 */
export const chart = ({ machine, node, rows, versions }: Results): string => {
  const valued = rows.flatMap((row) => {
    const value = row.peer === row.base ? undefined : advantage(rows, row)
    return value === undefined ? [] : [{ row, value }]
  })
  const place = placeOf(...bounds(valued.length === 0 ? [1] : valued.map(({ value }) => value)))
  const one = place(1)
  const parts: Array<string> = []
  let y = top
  for (const [workload, group] of Map.groupBy(valued, ({ row }) => row.workload)) {
    parts.push(`<text x="${labels - 10}" y="${y + bar - 3}" text-anchor="end">${escape(workload)}</text>`)
    for (const { row, value } of group) {
      const at = place(value)
      const box = `x="${Math.min(one, at).toFixed(1)}" y="${y}" width="${Math.max(1, Math.abs(at - one)).toFixed(1)}" height="${bar - 2}"`
      const label = `${row.peer} ${value.toFixed(value < 10 ? 2 : 1)}${row.base === "ws" ? "" : ` (1 is ${row.base})`}`
      parts.push(
        `<rect class="${classOf(row)}" ${box} rx="2"/>` +
          `<text class="small" x="${(Math.max(one, at) + 6).toFixed(1)}" y="${y + bar - 3}">${escape(label)}</text>`
      )
      y += bar
    }
    y += gap
  }
  const versionText = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
  const height = y + 24
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    "<title>Work done for the same CPU time</title>",
    `<style>${style}</style>`,
    `<rect class="back" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    `<text class="title" x="14" y="24">Work done for the same CPU time (idle-memory: connections in the same memory)</text>`,
    `<text class="small" x="14" y="42">ws is 1; each doubling is as long. ${escape(portable)}: documented interfaces of Node only.</text>`,
    `<line class="line" x1="${one.toFixed(1)}" x2="${one.toFixed(1)}" y1="${top - 6}" y2="${y - gap + 4}"/>`,
    `<text class="small" x="${one.toFixed(1)}" y="${top - 10}" text-anchor="middle">1</text>`,
    ...parts,
    `<text class="small" x="14" y="${height - 12}">${escape(`${versionText}, Node ${node}, ${machine}`)}</text>`,
    "</svg>",
    ""
  ].join("\n")
}
