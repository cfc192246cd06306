/**
 * A recorded inspection: one JSON object on each line. docs/cli.md describes the format; a change to it raises `version`.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Side } from "./Observation.ts"

export const version = 1

const Millis = Schema.Finite
const Connection = Schema.Int
const From = Schema.Literals(["client", "server"])

/** The first line. */
const Start = Schema.Struct({
  event: Schema.Literal("start"),
  /** Of this format. */
  version: Schema.Literal(version),
  /** When it began. */
  date: Schema.String,
  target: Schema.String,
  /** Whether credentials in heads were replaced. */
  masked: Schema.Boolean
})

/** The head of a request or of a response. */
const Head = Schema.Struct({
  event: Schema.Literal("head"),
  at: Millis,
  connection: Connection,
  from: From,
  start: Schema.String,
  headers: Schema.Array(Schema.Tuple([Schema.String, Schema.String]))
})

/** Bytes after a head, as they arrived in one read; masked frames stay masked. */
const Bytes = Schema.Struct({
  event: Schema.Literal("bytes"),
  at: Millis,
  connection: Connection,
  from: From,
  base64: Schema.String
})

/** One direction has ended. */
const End = Schema.Struct({
  event: Schema.Literal("end"),
  at: Millis,
  connection: Connection,
  from: From,
  how: Schema.String
})

const Line = Schema.Union([Start, Head, Bytes, End])

export type Start = typeof Start.Type
export type Event = typeof Head.Type | typeof Bytes.Type | typeof End.Type
export type Line = Start | Event

/** Rounds to microseconds, so that a recording that is read and encoded again has the same text. */
export const rounded = (millis: number): number => Math.round(millis * 1000) / 1000

export const encode = (line: Line): string => `${JSON.stringify(line)}\n`

export const bytesEvent = (at: number, connection: number, from: Side, bytes: Uint8Array): Event => ({
  event: "bytes",
  at,
  connection,
  from,
  base64: Buffer.from(bytes).toString("base64")
})

export interface Recording {
  readonly start: Start
  readonly events: ReadonlyArray<Event>
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Line))

/** Reads a recording. A failure names the line and what is wrong with it. An incomplete last line is ignored. */
export const parse = (text: string): Result.Result<Recording, string> => {
  const lines = text.split("\n")
  const last = lines.pop()
  if (last !== undefined && last !== "" && Result.isSuccess(decode(last))) lines.push(last)
  let start = Option.none<Start>()
  const events: Array<Event> = []
  for (const [index, line] of lines.entries()) {
    const decoded = decode(line)
    if (Result.isFailure(decoded)) {
      return Result.fail(
        index === 0
          ? `it is no recording of version ${version}`
          : `line ${index + 1}: ${decoded.failure.message.split("\n")[0]}`
      )
    }
    if (decoded.success.event !== "start") events.push(decoded.success)
    else if (index === 0) start = Option.some(decoded.success)
  }
  return Option.match(start, {
    onNone: () => Result.fail(`it is no recording of version ${version}`),
    onSome: (start) => Result.succeed({ start, events })
  })
}
