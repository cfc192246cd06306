/** Compares the defaults that documents and comments tell with those of the code. */
import { rowsOf } from "./markdown.ts"

/** A default, with its name from the outside in: `keepAlive`, `interval`. */
export interface Default {
  readonly path: ReadonlyArray<string>
  readonly value: number | string
}

/** The defaults of a record of limits, one for each number or word. */
export const defaultsOf = (limits: object, path: ReadonlyArray<string> = []): ReadonlyArray<Default> =>
  Object.entries(limits).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "object" && value !== null
      ? defaultsOf(value, [...path, name])
      : [{ path: [...path, name], value: value as number | string }])

const units = [
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["ms", 1],
  ["s", 1000],
  ["seconds", 1000],
  ["min", 60_000],
  ["minutes", 60_000]
] as const

/** The ways to write a default: `65,536`, `64 KiB`; `5000`, `5 s`, `5 seconds`. */
const spellings = (value: number | string): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  if (value === Infinity) return ["off", "Off"]
  return [
    String(value),
    value.toLocaleString("en"),
    ...units.filter(([, size]) => value % size === 0).map(([unit, size]) => `${value / size} ${unit}`),
    ...(value === 1000 ? ["a second"] : [])
  ]
}

// `30` is not told by `300`, nor by `30.5`.
const tells = (text: string, value: number | string): boolean =>
  spellings(value).some((spelling) => {
    for (let at = text.indexOf(spelling); at !== -1; at = text.indexOf(spelling, at + 1)) {
      const isInside = /[\p{L}\d]$|\d[.,]$/u.test(text.slice(0, at)) || /^[\p{L}\d]|^[.,]\d/u.test(text.slice(at + spelling.length))
      if (!isInside) return true
    }
    return false
  })

/** Whether a cell names an option: `presence.size`, `publish: { count, interval }`, or the name of its group. */
const names = (cell: string, [group, ...rest]: ReadonlyArray<string>): boolean =>
  [...cell.matchAll(/`([^`]+)`/g)].some(([, code]) => {
    const [outer, inner] = code!.split(/[:.]/, 2)
    if (outer!.trim() !== group) return false
    return inner === undefined || rest.length === 0 || inner.split(/[ {},]+/).includes(rest[0]!)
  })

/** The defaults that no table of a page tells, in the row of their option. */
export const untold = (text: string, defaults: ReadonlyArray<Default>): ReadonlyArray<string> => {
  const rows = rowsOf(text)
  return defaults.flatMap(({ path, value }) => {
    const found = rows.filter((cells) => cells.some((cell) => names(cell, path)))
    if (found.length === 0) return [`has no row for ${path.join(".")}`]
    const isTold = found.some((cells) => cells.some((cell) => tells(cell, value)))
    return isTold ? [] : [`the row of ${path.join(".")} does not say ${spellings(value).join(" or ")}`]
  })
}

/** The defaults that the comment above an option of a source does not tell. */
export const uncommented = (source: string, defaults: ReadonlyArray<Default>): ReadonlyArray<string> => {
  const comments = new Map<string, string>()
  for (const [, comment, name] of source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*readonly (\w+)\?/g)) {
    comments.set(name!, comment!.replaceAll(/\s*\n\s*\*\s*/g, " "))
  }
  return defaults.flatMap(({ path, value }) => {
    const comment = comments.get(path[0]!)
    if (comment === undefined) return [`${path[0]} has no comment`]
    return tells(comment, value) ? [] : [`the comment of ${path[0]} does not say ${spellings(value).join(" or ")}`]
  })
}

/** The variables of the tables of a page or of a comment, each with its default. */
export const variablesOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    rowsOf(text.replaceAll(/^ \* /gm, "")).flatMap(([name = "", , told = ""]) =>
      /^`[A-Z_]+`$/.test(name) ? [[name.slice(1, -1), told] as const] : []
    )
  )
