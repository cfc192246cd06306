/**
 * One variable of a configuration: its value is text that is checked and parsed. A failure names the variable by its path and says
 * what was expected. A variable that is not set is `undefined`.
 */
import * as ByteSize from "effect/ByteSize"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/** Reads a variable; one that is not set is `undefined`. */
export const variable = <A>(
  name: string,
  expected: string,
  parse: (text: string) => A | undefined
): Config.Config<A | undefined> => {
  const judged = Schema.String.check(Schema.makeFilter((text) => parse(text) !== undefined, { expected }))
  return Config.schema(judged, name).pipe(
    Config.map((text) => parse(text)),
    // Only a missing variable has the default; a wrong value fails.
    Config.withDefault(undefined)
  )
}

/** A whole number without a sign, as it is written. */
export const digits = (text: string): number | undefined => {
  if (text.length === 0 || text.length > 16) return undefined
  for (const char of text) if (char < "0" || char > "9") return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

const bytes = (text: string): number | undefined => {
  const plain = digits(text)
  if (plain !== undefined) return plain
  const size = ByteSize.fromString(text)
  const value = size._tag === "Some" ? Number(size.value) : NaN
  return Number.isSafeInteger(value) ? value : undefined
}

const atLeast = (least: number, value: number | undefined): number | undefined =>
  value !== undefined && value >= least ? value : undefined

/** `65536`, `64 KiB`, `1.5 MB`. */
export const size = (name: string, least: 0 | 1 = 1) =>
  variable(
    name,
    `a number of bytes from ${least} on, such as 65536 or 64 KiB`,
    (text) => atLeast(least, bytes(text.trim()))
  )

/** A number without a unit. */
export const integer = (name: string, least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  variable(name, `an integer from ${least}${most === Number.MAX_SAFE_INTEGER ? " on" : ` to ${most}`}`, (text) => {
    const value = atLeast(least, digits(text.trim()))
    return value !== undefined && value <= most ? value : undefined
  })

/** `500 millis`, `10 seconds`, `infinity`. */
export const duration = (name: string) =>
  variable(name, "a duration above 0, such as 10 seconds or 500 millis", (text) => parseDuration(text.trim()))

/** The text of a duration above 0. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  if (text.toLowerCase() === "infinity") return Duration.infinity
  // The grammar of a duration's text is Duration's to judge.
  const parsed = Duration.fromInput(text as Duration.Input)
  return parsed._tag === "Some" && Duration.toMillis(parsed.value) > 0 ? parsed.value : undefined
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["0", false]
])

/** `true`, `yes`, `on`, `1` or their opposites. */
export const boolean = (name: string) =>
  variable(name, "true or false (yes, on, 1; no, off, 0)", (text) => booleans.get(text.trim().toLowerCase()))

/** One of these words. */
export const oneOf = <const Word extends string>(name: string, words: ReadonlyArray<Word>) =>
  variable(name, `one of ${words.join(", ")}`, (text) => words.find((word) => word === text.trim()))

/** Words separated by commas. */
export const list = (name: string) =>
  variable(name, "a list separated by commas", (text) => {
    const words = text.split(",").map((word) => word.trim())
    return words.every((word) => word !== "") ? words : undefined
  })
