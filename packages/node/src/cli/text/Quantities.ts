/**
 * Durations and sizes in the form that people write and read.
 */

const units: ReadonlyArray<readonly [name: string, millis: number]> = [
  ["us", 0.001],
  ["µs", 0.001],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000]
]

const split = (text: string): readonly [amount: number, unit: string] => {
  let end = 0
  while (end < text.length && "0123456789.".includes(text[end]!)) end++
  return [end === 0 ? Number.NaN : Number(text.slice(0, end)), text.slice(end).trim()]
}

/** Milliseconds of `500ms`, `5s`, `2m`, `1h` or `5` (seconds); throws for anything else. */
export const parseDuration = (text: string): number => {
  const [amount, unit] = split(text.trim())
  const found = units.find(([name]) => name === (unit === "" ? "s" : unit))
  if (!Number.isFinite(amount) || found === undefined) {
    throw new Error(`${JSON.stringify(text)} is not a duration; write 500ms, 5s, 2m or 1h`)
  }
  return amount * found[1]
}

const sizes: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["k", 1024],
  ["kb", 1000],
  ["kib", 1024],
  ["m", 1024 * 1024],
  ["mb", 1_000_000],
  ["mib", 1024 * 1024]
])

/** Bytes of `512`, `16k`, `16KiB` or `1MiB`; throws for anything else. */
export const parseSize = (text: string): number => {
  const [amount, unit] = split(text.trim())
  const factor = sizes.get(unit.toLowerCase())
  const size = amount * (factor ?? Number.NaN)
  if (!Number.isInteger(size)) throw new Error(`${JSON.stringify(text)} is not a size; write 512, 16KiB or 1MiB`)
  return size
}

/** Milliseconds with a unit and about three digits. */
export const showMillis = (millis: number): string => {
  if (millis < 1) return `${Math.round(millis * 1000)} µs`
  if (millis < 10) return `${millis.toFixed(2)} ms`
  if (millis < 100) return `${millis.toFixed(1)} ms`
  if (millis < 10_000) return `${Math.round(millis)} ms`
  if (millis < 120_000) return `${(millis / 1000).toFixed(1)} s`
  return `${Math.floor(millis / 60_000)} min ${Math.round((millis % 60_000) / 1000)} s`
}

/** Bytes with a unit and about three digits. */
export const showBytes = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`
  const [amount, unit] = bytes < 1024 * 1024
    ? [bytes / 1024, "KiB"]
    : bytes < 1024 ** 3
    ? [bytes / 1024 ** 2, "MiB"]
    : [bytes / 1024 ** 3, "GiB"]
  return `${amount < 10 ? amount.toFixed(2) : amount < 100 ? amount.toFixed(1) : Math.round(amount)} ${unit}`
}

/** A whole number with a comma between thousands. */
export const showCount = (count: number): string => Math.round(count).toLocaleString("en-US")

/** `1 message`, `2 messages`. */
export const plural = (count: number, noun: string): string => `${showCount(count)} ${noun}${count === 1 ? "" : "s"}`
