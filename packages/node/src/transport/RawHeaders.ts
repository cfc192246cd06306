/** Header lines between the form that Node has them in and pairs, duplicates kept. */
import type { Handshake } from "@effect-ws/core"

/** Node's flat list of names and values as pairs. */
export const pairsOf = (raw: ReadonlyArray<string>): Handshake.HeaderList => {
  const list: Array<readonly [string, string]> = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i]!, raw[i + 1]!])
  return list
}

/** The same with names in lower case. */
export const lowerPairsOf = (raw: ReadonlyArray<string>): Handshake.HeaderList =>
  pairsOf(raw).map(([name, value]) => [name.toLowerCase(), value] as const)

/** Pairs in the form of Node's HTTP/2: an object, in which several lines of one name are an array. */
export const grouped = (headers: Handshake.HeaderList): Record<string, string | Array<string>> => {
  const byName: Record<string, string | Array<string>> = Object.create(null)
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    const before = byName[key]
    byName[key] = before === undefined ? value : [...typeof before === "string" ? [before] : before, value]
  }
  return byName
}
