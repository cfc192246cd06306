/**
 * How a conversation is shown: to a person, to a program that reads lines, or to one that reads JSON.
 */
import type { CloseCode, Message, WebSocket } from "@effect-ws/core"
import * as Hex from "../terminal/Hex.ts"
import * as Json from "../terminal/Json.ts"
import { oneLine, type Style, visible } from "../terminal/Style.ts"
import * as Closing from "../text/Closing.ts"
import { plural, showMillis } from "../text/Quantities.ts"

type Text = Message.Message

export interface View {
  readonly opened: (ws: WebSocket.WebSocket, url: string, millis: number) => void
  readonly received: (message: Text) => void
  /** The server sent a ping, which was answered. */
  readonly pinged: (payload: Uint8Array) => void
  /** A ping of this side was answered. */
  readonly answered: (millis: number) => void
  readonly closed: (info: CloseCode.CloseInfo) => void
  /** A remark about the session. */
  readonly note: (text: string) => void
}

type Write = (text: string | Uint8Array) => void

const agreedOn = (ws: WebSocket.WebSocket): string =>
  [
    ...(ws.subprotocol === undefined ? [] : [`subprotocol ${ws.subprotocol}`]),
    ...(ws.extension === undefined ? [] : [ws.extension])
  ].map((part) => `, ${part}`).join("")

const opening = (ws: WebSocket.WebSocket, url: string, millis: number, style: Style): string =>
  `${style.green("Connected")} to ${url}${agreedOn(ws)} ${style.dim(`in ${showMillis(millis)}`)}`

const indented = (text: string, first: string): string => first + text.replaceAll("\n", "\n  ")

/** For a person: JSON in colours, other text as it is, bytes in hexadecimal. */
export const forPerson = (options: {
  readonly write: (line: string) => void
  readonly style: Style
  readonly columns: () => number
  readonly showControls: boolean
  readonly help: string | undefined
}): View => {
  const { style, write } = options
  const arrow = style.magenta("< ")
  let { help } = options
  return {
    opened: (ws, url, millis) => {
      write(opening(ws, url, millis, style))
      // Shown for the first connection only.
      if (help !== undefined) write(style.dim(help))
      help = undefined
    },
    received: (message) => {
      if (typeof message === "string") {
        const shown = Json.isJson(message) ? Json.pretty(message, style, options.columns() - 4) : visible(message)
        write(indented(shown, arrow))
      } else {
        write(`${arrow}${style.yellow(`binary, ${plural(message.length, "byte")}`)}`)
        if (message.length > 0) write(indented(Hex.dump(message, style), "  "))
      }
    },
    pinged: (payload) => {
      if (!options.showControls) return
      write(style.dim(`  the server pinged${payload.length === 0 ? "" : ` ${Hex.brief(payload)}`}; answered`))
    },
    answered: (millis) => write(style.dim(`  pong after ${showMillis(millis)}`)),
    closed: (info) => write(Closing.describe(info, style)),
    note: (text) => write(style.dim(`  ${text}`))
  }
}

/**
 * For a program: only messages on stdout, everything else on stderr. A text message is a line; a binary one is a line
 * of hexadecimal digits, or, with `raw`, its bytes alone.
 */
export const forLines = (options: {
  readonly out: Write
  readonly err: (line: string) => void
  readonly style: Style
  readonly raw: boolean
  readonly isVerbose: boolean
}): View => {
  const { err, out, style } = options
  const tell = (text: () => string) => {
    if (options.isVerbose) err(text())
  }
  return {
    opened: (ws, url, millis) => tell(() => opening(ws, url, millis, style)),
    received: (message) => {
      if (options.raw) out(message)
      else out(`${typeof message === "string" ? message : Buffer.from(message).toString("hex")}\n`)
    },
    pinged: (payload) => tell(() => `the server pinged ${Hex.brief(payload)}`.trimEnd()),
    answered: (millis) => err(`pong after ${showMillis(millis)}`),
    closed: (info) => {
      if (options.isVerbose || !Closing.isFine(info)) err(Closing.describe(info, style))
    },
    note: (text) => err(oneLine(text))
  }
}

/** For a program that reads JSON: each event is a line. */
export const forJson = (out: Write, now: () => number = Date.now): View => {
  const event = (event: string, fields: object) =>
    out(`${JSON.stringify({ time: new Date(now()).toISOString(), event, ...fields })}\n`)
  return {
    opened: (ws, url, millis) =>
      event("open", {
        url,
        milliseconds: Number(millis.toFixed(3)),
        subprotocol: ws.subprotocol ?? null,
        extension: ws.extension ?? null
      }),
    received: (message) =>
      typeof message === "string"
        ? event("message", { type: "text", data: message })
        : event("message", { type: "binary", base64: Buffer.from(message).toString("base64") }),
    pinged: (payload) => event("ping", { base64: Buffer.from(payload).toString("base64") }),
    answered: (millis) => event("roundtrip", { milliseconds: Number(millis.toFixed(3)) }),
    closed: ({ clean, code, initiator, reason }) =>
      event("close", { code, reason, by: initiator === "local" ? "client" : "server", clean }),
    note: (text) => event("note", { text })
  }
}
