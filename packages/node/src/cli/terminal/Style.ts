/**
 * Colours for a terminal; plain text elsewhere.
 */
import { WriteStream } from "node:tty"

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly blue: (text: string) => string
  readonly magenta: (text: string) => string
  readonly cyan: (text: string) => string
}

const code = (start: number, end: number) => (text: string) => `\u001B[${start}m${text}\u001B[${end}m`
const same = (text: string) => text

const coloured: Style = {
  bold: code(1, 22),
  dim: code(2, 22),
  red: code(31, 39),
  green: code(32, 39),
  yellow: code(33, 39),
  blue: code(34, 39),
  magenta: code(35, 39),
  cyan: code(36, 39)
}

export const plain: Style = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  blue: same,
  magenta: same,
  cyan: same
}

type Environment = Readonly<Record<string, string | undefined>>

const isSet = (value: string | undefined): boolean => value !== undefined && value !== ""

/** Whether a stream gets colours: not with `NO_COLOR` or `TERM=dumb`, always with `FORCE_COLOR`, else in a terminal. */
export const hasColours = (isTerminal: boolean, env: Environment = process.env): boolean => {
  if (isSet(env["NO_COLOR"]) || env["TERM"] === "dumb") return false
  const force = env["FORCE_COLOR"]
  return isTerminal || (isSet(force) && force !== "0" && force !== "false")
}

/** The colours for a stream. */
export const of = (stream: NodeJS.WritableStream): Style =>
  hasColours(stream instanceof WriteStream && stream.isTTY) ? coloured : plain

const isControl = (code: number): boolean => code < 0x20 || code === 0x7f || (code >= 0x80 && code <= 0x9f)

/**
 * Text of a peer without control characters, which could move the cursor, change the window's title or hide what was
 * shown before. Line ends and tabs stay.
 */
export const visible = (text: string): string => {
  let shown = ""
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (!isControl(code) || code === 0x0a || code === 0x09) continue
    shown += `${text.slice(from, at)}\\x${code.toString(16).padStart(2, "0")}`
    from = at + 1
  }
  return from === 0 ? text : shown + text.slice(from)
}

/** The same on one line. */
export const oneLine = (text: string): string => visible(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t")
