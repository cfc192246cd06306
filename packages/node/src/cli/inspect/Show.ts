/**
 * Observations as lines of text.
 */
import { CloseCode, type Frame, Opcode } from "@effect-ws/core"
import { displayWidth } from "effect/cli/CliOutput"
import * as Hex from "../terminal/Hex.ts"
import * as Json from "../terminal/Json.ts"
import { oneLine, type Style, visible } from "../terminal/Style.ts"
import { showBytes } from "../text/Quantities.ts"
import { type Head, statusOf, valuesOf } from "./Head.ts"
import type { Completed, Observation, Side, What } from "./Observation.ts"

export interface ShowOptions {
  readonly style: Style
  readonly columns: number
  /** Whole payloads instead of their beginning, JSON laid out and bytes in hexadecimal. */
  readonly isFull: boolean
}

const opcodes: ReadonlyMap<number, string> = new Map([
  [Opcode.Continuation, "continuation"],
  [Opcode.Text, "text"],
  [Opcode.Binary, "binary"],
  [Opcode.Close, "close"],
  [Opcode.Ping, "ping"],
  [Opcode.Pong, "pong"]
])

export const nameOf = (opcode: number): string => opcodes.get(opcode) ?? `opcode ${opcode}`

const decoder = new TextDecoder()

export const flagsOf = (frame: Frame.Frame): string =>
  [
    frame.fin ? "FIN" : "",
    frame.rsv1 ? "RSV1" : "",
    frame.rsv2 ? "RSV2" : "",
    frame.rsv3 ? "RSV3" : "",
    frame.masked ? "MASK" : ""
  ].filter((flag) => flag !== "").join(" ")

/** The code and reason in the payload of a Close frame. */
export const closeText = (data: Uint8Array): string => {
  if (data.length < 2) return data.length === 0 ? "no code" : "half a code"
  const code = (data[0]! << 8) | data[1]!
  const reason = decoder.decode(data.subarray(2))
  return `${code} ${CloseCode.nameOf(code)}${reason === "" ? "" : `: ${reason}`}`
}

const sizeOf = (frame: Frame.Frame, completed: Completed | undefined): string => {
  const own = showBytes(frame.data.length)
  if (completed === undefined) return own
  if (completed.isCompressed) return `${own}, message ${showBytes(completed.bytes)} from ${showBytes(completed.wireBytes)}`
  return frame.opcode === Opcode.Continuation ? `${own}, message ${showBytes(completed.bytes)}` : own
}

/** What is shown of a frame: the message that it completes, or its own payload. */
const contentOf = (frame: Frame.Frame, completed: Completed | undefined): string | Uint8Array => {
  if (completed !== undefined) return completed.message
  if (frame.opcode === Opcode.Close) return closeText(frame.data)
  if (frame.opcode === Opcode.Text && !frame.rsv1) return decoder.decode(frame.data)
  return frame.data
}

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(1, columns - 1))}…`

const brief = (content: string | Uint8Array, columns: number): string =>
  typeof content === "string" ? cut(oneLine(content), columns) : Hex.brief(content, Math.max(4, Math.floor(columns / 3) - 1))

const whole = (content: string | Uint8Array, { columns, style }: ShowOptions): string => {
  if (typeof content !== "string") return content.length === 0 ? "" : Hex.dump(content, style, 4096)
  return Json.isJson(content) ? Json.pretty(content, style, columns - 8) : visible(content)
}

const indent = "        "

const below = (text: string): ReadonlyArray<string> => text === "" ? [] : text.split("\n").map((line) => indent + line)

const arrow = (from: Side, style: Style): string => from === "client" ? style.blue("→") : style.magenta("←")

const headLines = (head: Head, prefix: string, { style }: ShowOptions): ReadonlyArray<string> => {
  const status = statusOf(head)
  const paint = status === undefined ? style.bold : status === 101 ? style.green : style.red
  const agreed = status === 101
    ? [...valuesOf(head, "sec-websocket-protocol"), ...valuesOf(head, "sec-websocket-extensions")].join(", ")
    : ""
  return [
    `${prefix}${paint(oneLine(head.start))}${agreed === "" ? "" : style.dim(` (${oneLine(agreed)})`)}`,
    ...head.headers.map(([name, value]) => `${indent}${style.cyan(oneLine(name))}: ${oneLine(value)}`)
  ]
}

const frameLines = (
  frame: Frame.Frame,
  completed: Completed | undefined,
  prefix: string,
  options: ShowOptions
): ReadonlyArray<string> => {
  const { style } = options
  const about = `${nameOf(frame.opcode).padEnd(13)}${style.dim(flagsOf(frame).padEnd(15))} ${sizeOf(frame, completed)}`
  const content = contentOf(frame, completed)
  if (options.isFull) return [`${prefix}${style.bold(about)}`, ...below(whole(content, options))]
  const text = brief(content, Math.max(16, options.columns - displayWidth(prefix + about) - 3))
  if (text === "") return [prefix + about]
  return [`${prefix}${about}  ${typeof content === "string" ? style.green(text) : style.yellow(text)}`]
}

const byteLines = (bytes: Uint8Array, prefix: string, { isFull, style }: ShowOptions): ReadonlyArray<string> => {
  const text = visible(decoder.decode(bytes.subarray(0, 2048)))
  const isText = !text.includes("\uFFFD") && !text.includes("\\x")
  return [
    `${prefix}${showBytes(bytes.length)} that are not frames`,
    ...below(isText ? text.trimEnd() : Hex.dump(bytes, style, isFull ? 4096 : 64))
  ]
}

const whatLines = (what: What, prefix: string, options: ShowOptions): ReadonlyArray<string> => {
  switch (what._tag) {
    case "Head":
      return headLines(what.head, prefix, options)
    case "Frame":
      return frameLines(what.frame, what.completed, prefix, options)
    case "Bytes":
      return byteLines(what.bytes, prefix, options)
    case "End":
      return [prefix + options.style.dim(what.how)]
  }
}

/** The lines of one observation. */
export const lines = ({ at, broken, connection, from, what }: Observation, options: ShowOptions): ReadonlyArray<string> => {
  const { style } = options
  const prefix = style.dim(`#${connection}`.padEnd(4) + (at / 1000).toFixed(3).padStart(9)) + ` ${arrow(from, style)} `
  const faults = broken.map(({ detail, rule, section }) =>
    `${indent}${style.red(`✗ ${visible(detail)}`)} ${style.dim(`(${rule}${section === "" ? "" : `, ${section}`})`)}`
  )
  return [...whatLines(what, prefix, options), ...faults]
}
