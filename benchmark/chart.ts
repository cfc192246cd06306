/** The results as an SVG: a group of bars for each workload, longer is better. */
import { ours, portable } from "./peers.ts"
import { advantage, type Results, type Row } from "./results.ts"

const width = 800
const labels = 150
const room = 500
const bar = 14
const gap = 14
const top = 78

// It brings its own background: where it is shown as an image, the page's may be dark while the system's setting is light.
const style = `
  .back { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .small { font-size: 11px; fill: #57606a }
  .line { stroke: #8c959f; stroke-dasharray: 3 3 }
  .ours { fill: #0969da }
  .portable { fill: #54aeff }
  .base { fill: #6e7781 }
  .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .line { stroke: #6e7681 }
    .ours { fill: #4493f8 }
    .portable { fill: #1f6feb }
    .base { fill: #9198a1 }
    .other { fill: #565e68 }
  }`

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

const classOf = ({ base, peer }: Row): string =>
  peer === ours ? "ours" : peer === portable ? "portable" : peer === base ? "base" : "other"

// Each doubling is as long: a factor of 20 leaves room for one of 1.2.
const lengthOf = (value: number, least: number, most: number): number =>
  room * (Math.log2(value) - Math.log2(least)) / (Math.log2(most) - Math.log2(least))

/** Powers of two around all values. */
const bounds = (values: ReadonlyArray<number>): readonly [least: number, most: number] => [
  2 ** Math.min(-1, Math.floor(Math.log2(Math.min(...values)) - 0.01)),
  2 ** Math.max(1, Math.ceil(Math.log2(Math.max(...values))))
]

/** Each bar says how many times the work of the first one of its group is done for the same CPU time, or memory. */
export const chart = ({ machine, node, rows, versions }: Results): string => {
  const valued = rows.flatMap((row) => {
    const value = advantage(rows, row)
    return value === undefined ? [] : [{ row, value }]
  })
  const [least, most] = bounds(valued.length === 0 ? [1] : valued.map(({ value }) => value))
  const parts: Array<string> = []
  let y = top
  for (const [workload, group] of Map.groupBy(valued, ({ row }) => row.workload)) {
    parts.push(`<text x="${labels - 10}" y="${y + bar - 4}" text-anchor="end">${escape(workload)}</text>`)
    for (const { row, value } of group) {
      const length = Math.max(1, lengthOf(value, least, most))
      const label = `${row.peer} ${value.toFixed(value < 10 ? 2 : 1)}`
      parts.push(
        `<rect class="${classOf(row)}" x="${labels}" y="${y}" width="${length.toFixed(1)}" height="${bar - 2}" rx="2"/>` +
          `<text class="small" x="${(labels + length + 6).toFixed(1)}" y="${y + bar - 4}">${escape(label)}</text>`
      )
      y += bar
    }
    y += gap
  }
  const one = (labels + lengthOf(1, least, most)).toFixed(1)
  const versionText = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
  const height = y + 24
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    "<title>Work done for the same CPU time</title>",
    `<style>${style}</style>`,
    `<rect class="back" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    `<text class="title" x="14" y="26">Work done for the same CPU time (idle-memory: for the same memory)</text>`,
    `<text class="small" x="14" y="44">The first of each group is 1; each doubling is as long. ${escape(portable)}: documented interfaces of Node only.</text>`,
    `<line class="line" x1="${one}" x2="${one}" y1="${top - 8}" y2="${y - gap + 4}"/>`,
    `<text class="small" x="${one}" y="${top - 14}" text-anchor="middle">1</text>`,
    ...parts,
    `<text class="small" x="14" y="${height - 12}">${escape(`${versionText}, Node ${node}, ${machine}`)}</text>`,
    "</svg>",
    ""
  ].join("\n")
}
