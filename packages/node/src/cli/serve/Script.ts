/**
 * Answers from the files of a directory: one JSON file for each path, `index.json` for the root, `default.json` for all others.
 */
import { CloseCode } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { type Failure, usage } from "../Failure.ts"

const Code = Schema.Int.check(Schema.makeFilter((code) => CloseCode.isWireValid(code), {
  expected: "a close code that can be sent: 1000-1003, 1007-1014 or 3000-4999"
}))

/** A reason that fits into a Close frame. */
const Reason = Schema.String.check(Schema.makeFilter((reason) => Buffer.byteLength(reason) <= 123, {
  expected: "a reason of at most 123 bytes"
}))

/** An action. Several in one object are done in the order of this list. */
const Action = Schema.Struct({
  /** Milliseconds to wait first. */
  wait: Schema.optional(Schema.Finite),
  /** A text message: a string unchanged, any other value as JSON. */
  send: Schema.optional(Schema.Json),
  /** A binary message, in hexadecimal. */
  sendHex: Schema.optional(Schema.String.check(Schema.isPattern(/^(?:[0-9a-fA-F]{2} ?)*$/))),
  /** Sends the received message back. */
  echo: Schema.optional(Schema.Literal(true)),
  /** Sends a ping and waits for its pong. */
  ping: Schema.optional(Schema.Literal(true)),
  /** Closes the connection with this code. */
  close: Schema.optional(Code),
  reason: Schema.optional(Reason),
  /** Cuts the connection without a Close frame. */
  cut: Schema.optional(Schema.Literal(true))
})

const Answer = Schema.Struct({
  /** Fits a message that equals this text, or that contains this JSON object or array. Without it every message fits. */
  to: Schema.optional(Schema.Json),
  /** A regular expression that the text of the message matches. */
  matching: Schema.optional(Schema.String),
  /** How often this answer is given on one connection; no limit if left out. */
  times: Schema.optional(Schema.Int),
  do: Schema.Array(Action)
})

const Script = Schema.Struct({
  /** The subprotocols that this path speaks, the preferred first. */
  subprotocols: Schema.optional(Schema.Array(Schema.String)),
  /** Refuses the handshake. */
  refuse: Schema.optional(Schema.Struct({
    status: Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 })),
    headers: Schema.optional(Schema.Record(Schema.String, Schema.String)),
    body: Schema.optional(Schema.String)
  })),
  /** The actions for a client that has just connected. */
  open: Schema.optional(Schema.Array(Action)),
  /** The first answer that fits a message is given. */
  answers: Schema.optional(Schema.Array(Answer))
})

export type Action = typeof Action.Type
export type Answer = typeof Answer.Type
export type Script = typeof Script.Type

/** The scripts of a directory, by path. */
export type Scripts = ReadonlyMap<string, Script>

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Script), { onExcessProperty: "error" })

const pathOf = (file: string): string => {
  const name = file.slice(0, -".json".length)
  if (name === "default") return "*"
  return name === "index" ? "/" : `/${name.endsWith("/index") ? name.slice(0, -"/index".length) : name}`
}

/** Reads a directory. A mistake in one of its files is a usage error. */
export const read = (directory: string): Effect.Effect<Scripts, Failure> =>
  Effect.suspend(() => {
    const scripts = new Map<string, Script>()
    const files = Result.try({
      try: () => readdirSync(directory, { recursive: true, withFileTypes: true }),
      catch: (error) => usage(String(error))
    })
    if (Result.isFailure(files)) return Effect.fail(files.failure)
    for (const entry of files.success) {
      if (!entry.isFile() || !entry.name.endsWith(".json")) continue
      const full = join(entry.parentPath, entry.name)
      const text = Result.try({
        try: () => readFileSync(full, "utf8"),
        catch: (error) => usage(`${full}: ${error instanceof Error ? error.message : String(error)}`)
      })
      if (Result.isFailure(text)) return Effect.fail(text.failure)
      const script = decode(text.success)
      if (Result.isFailure(script)) return Effect.fail(usage(`${full}: ${script.failure.message}`))
      const wrong = (script.success.answers ?? []).find(({ matching }) => matching !== undefined && !isPattern(matching))
      if (wrong !== undefined) return Effect.fail(usage(`${full}: ${wrong.matching} is not a regular expression`))
      scripts.set(pathOf(relative(directory, full).split(sep).join("/")), script.success)
    }
    return scripts.size === 0
      ? Effect.fail(usage(`${directory} holds no *.json file; docs/cli.md describes them`))
      : Effect.succeed(scripts)
  })

const isPattern = (source: string): boolean => {
  try {
    return new RegExp(source, "u") instanceof RegExp
  } catch {
    return false
  }
}

/** The script for a path. */
export const find = (scripts: Scripts, path: string): Script | undefined => scripts.get(path) ?? scripts.get("*")

/** Whether `part` is contained in `whole`: objects by their named members, arrays element by element. */
const includes = (whole: unknown, part: unknown): boolean => {
  if (typeof part !== "object" || part === null) return whole === part
  if (typeof whole !== "object" || whole === null) return false
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length && part.every((item, index) => includes(whole[index], item))
  }
  return Object.entries(part).every(([name, value]) => Object.hasOwn(whole, name) && includes(Reflect.get(whole, name), value))
}

/** Whether an answer fits a message. */
export const fits = (answer: Answer, message: string | Uint8Array): boolean => {
  if (answer.to === undefined && answer.matching === undefined) return true
  if (typeof message !== "string") return false
  if (answer.matching !== undefined && !new RegExp(answer.matching, "u").test(message)) return false
  if (answer.to === undefined || message === answer.to) return true
  if (typeof answer.to !== "object") return message === JSON.stringify(answer.to)
  const parsed = Result.try((): unknown => JSON.parse(message))
  return Result.isSuccess(parsed) && includes(parsed.success, answer.to)
}
