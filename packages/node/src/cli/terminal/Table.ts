/**
 * Columns of text, as wide as their widest cell.
 */
import { displayWidth } from "effect/cli/CliOutput"
import type { Style } from "./Style.ts"

const pad = (cell: string, width: number, isLeft: boolean): string => {
  const space = " ".repeat(Math.max(0, width - displayWidth(cell)))
  return isLeft ? cell + space : space + cell
}

/** Rows below their titles. The first column and those in `left` are aligned to the left, the others to the right. */
export const render = (
  titles: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  style: Style,
  left: ReadonlyArray<number> = [0]
): string => {
  const all = [titles, ...rows]
  const widths = titles.map((_, column) => Math.max(...all.map((row) => displayWidth(row[column] ?? ""))))
  const line = (row: ReadonlyArray<string>): string =>
    row.map((cell, column) => pad(cell, widths[column]!, left.includes(column))).join("  ").trimEnd()
  return [style.dim(line(titles)), ...rows.map(line)].join("\n")
}
