/**
 * The messages to send: from a pipe, or typed line by line.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { CloseCode, type Message } from "@effect-ws/core"
import { readFileSync } from "node:fs"
import * as Hex from "../terminal/Hex.ts"

export type Input =
  | { readonly _tag: "Send"; readonly message: Message.Message }
  | { readonly _tag: "Ping"; readonly payload: Uint8Array | undefined }
  | { readonly _tag: "Close"; readonly code: number | undefined; readonly reason: string }
  | { readonly _tag: "Say"; readonly text: string }

/** The commands of the prompt, each with what it does. */
export const commands: ReadonlyArray<readonly [usage: string, about: string]> = [
  ["/ping [TEXT]", "send a ping and show how long its pong takes"],
  ["/hex DIGITS", "send a binary message, such as /hex 00 ff 10"],
  ["/file PATH", "send a file as a text message if it is UTF-8, otherwise as a binary one"],
  ["/close [CODE] [REASON]", "close the connection, by default with 1000"],
  ["/help", "list the commands"],
  ["//…", "send a message that begins with /"]
]

const help = commands.map(([usage, about]) => `${usage.padEnd(24)}${about}`).join("\n  ")

const send = (message: Message.Message): Input => ({ _tag: "Send", message })
const say = (text: string): Input => ({ _tag: "Say", text })

const close = (rest: string): Input => {
  const space = rest.indexOf(" ")
  const digits = space < 0 ? rest : rest.slice(0, space)
  const reason = space < 0 ? "" : rest.slice(space + 1).trim()
  if (digits === "") return { _tag: "Close", code: 1000, reason: "" }
  const code = Number(digits)
  if (Buffer.byteLength(reason) > 123) return say("the reason is too long: a Close frame has room for 123 bytes")
  return CloseCode.isWireValid(code)
    ? { _tag: "Close", code, reason }
    : say(`${digits} cannot be sent: codes are 1000-1003, 1007-1014 and 3000-4999`)
}

const file = (path: string): Input => {
  try {
    const bytes = readFileSync(path)
    const text = Result.try(() => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes))
    return send(Result.isSuccess(text) ? text.success : Uint8Array.from(bytes))
  } catch (error) {
    return say(error instanceof Error ? error.message : String(error))
  }
}

/** Parses a line of the prompt: a message, or a command after a slash. */
export const fromLine = (line: string): Input => {
  if (!line.startsWith("/")) return send(line)
  if (line.startsWith("//")) return send(line.slice(1))
  const space = line.indexOf(" ")
  const command = space < 0 ? line : line.slice(0, space)
  const rest = space < 0 ? "" : line.slice(space + 1).trim()
  switch (command) {
    case "/ping": {
      const payload = rest === "" ? undefined : new TextEncoder().encode(rest)
      return { _tag: "Ping", payload }
    }
    case "/hex": {
      const bytes = Hex.parse(rest)
      return bytes === undefined ? say("write pairs of hexadecimal digits, such as /hex 00 ff 10") : send(bytes)
    }
    case "/file":
      return file(rest)
    case "/close":
    case "/quit":
    case "/exit":
      return close(rest)
    case "/help":
      return say(help)
    default:
      return say(`there is no ${command}; /help lists the commands, // sends a message that begins with /`)
  }
}

/** The lines of stdin as text messages, or each chunk of bytes read from it as a binary message. */
export const fromPipe = (binary: boolean): Stream.Stream<Input, never, Stdio.Stdio> =>
  Stream.unwrap(Effect.map(Stdio.Stdio, ({ stdin }) => {
    const bytes = Stream.orDie(stdin)
    return binary
      ? Stream.map(bytes, (chunk) => send(Uint8Array.from(chunk)))
      : bytes.pipe(Stream.decodeText(), Stream.splitLines, Stream.map(send))
  }))

/** Completes the name of a command, for readline. */
export const complete = (line: string): [Array<string>, string] => {
  const names = commands.map(([usage]) => Option.getOrElse(Option.fromUndefinedOr(usage.split(" ")[0]), () => usage))
    .filter((name) => name !== "//…")
  return [line.startsWith("/") ? names.filter((name) => name.startsWith(line)).map((name) => `${name} `) : [], line]
}
