/**
 * The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1), as plain data. Which names and
 * parameters are valid is for each extension to decide.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { HandshakeError } from "./WebSocketError.ts"
import { refusal } from "./http/Refusal.ts"
import { isListTooLong, isToken, isTokenCode, maxListEntries, show, skipSpace } from "./http/Tokens.ts"

/**
 * One parameter of an extension.
 *
 * **Details**
 *
 * `value` is absent for a parameter without one. `quoted` is true for a value that was
 * written in quotes; `value` itself is always the unquoted token.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExtensionParam {
  readonly name: string
  readonly value?: string
  readonly quoted?: boolean
}

/**
 * An extension with its parameters, as offered or answered: in order, with duplicates.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExtensionHeader {
  readonly name: string
  readonly params: ReadonlyArray<ExtensionParam>
}

const Comma = 0x2c
const Semicolon = 0x3b
const Equals = 0x3d
const Quote = 0x22
const Backslash = 0x5c

/**
 * Parses the lines of `Sec-WebSocket-Extensions`, taken as one list.
 *
 * **Details**
 *
 * Without a line the list is empty; a line without an extension is malformed. A list has
 * at most 8 KiB, 64 extensions and 64 parameters. The work is linear in the length of the
 * lines.
 *
 * **Example** (Parsing a header)
 *
 * ```ts
 * import { Extension } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const parsed = Extension.parse(["permessage-deflate; server_max_window_bits=\"10\", x-test"])
 * console.log(Result.map(parsed, (list) => list.map((extension) => extension.name)))
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (
  values: ReadonlyArray<string>
): Result.Result<ReadonlyArray<ExtensionHeader>, HandshakeError> => {
  if (isListTooLong(values)) return Result.fail(refusal("HeaderTooLarge", "Sec-WebSocket-Extensions is too long"))
  const extensions: Array<ExtensionHeader> = []
  const counts = { params: 0 }
  for (const value of values) {
    const problem = parseLine(value, extensions, counts)
    if (problem !== undefined) return Result.fail(problem)
  }
  return values.length > 0 && extensions.length === 0
    ? Result.fail(refusal("ExtensionsMalformed", "Sec-WebSocket-Extensions is empty"))
    : Result.succeed(extensions)
}

const tooMany = () => refusal("HeaderTooLarge", "Sec-WebSocket-Extensions has too many entries")

const malformed = (line: string, at: number): HandshakeError =>
  refusal(
    "ExtensionsMalformed",
    at < line.length
      ? `Sec-WebSocket-Extensions is malformed at ${show(line.slice(at, at + 16))}`
      : "Sec-WebSocket-Extensions ends too early"
  )

const tokenEnd = (line: string, from: number): number => {
  let i = from
  while (i < line.length && isTokenCode(line.charCodeAt(i))) i++
  return i
}

/** extension-list = 1#( token *( ";" extension-param ) ), one line of it. */
const parseLine = (
  line: string,
  into: Array<ExtensionHeader>,
  counts: { params: number }
): HandshakeError | undefined => {
  let at = skipSpace(line, 0)
  while (at < line.length) {
    if (line.charCodeAt(at) === Comma) { // an empty element (RFC 9110 §5.6.1.2)
      at = skipSpace(line, at + 1)
      continue
    }
    const nameEnd = tokenEnd(line, at)
    if (nameEnd === at) return malformed(line, at)
    const params: Array<ExtensionParam> = []
    const name = line.slice(at, nameEnd)
    at = skipSpace(line, nameEnd)
    while (line.charCodeAt(at) === Semicolon) {
      if (counts.params++ === maxListEntries) return tooMany()
      const end = parseParam(line, skipSpace(line, at + 1), params)
      if (end < 0) return malformed(line, -end - 1)
      at = skipSpace(line, end)
    }
    if (into.length === maxListEntries) return tooMany()
    into.push({ name, params })
    if (at < line.length && line.charCodeAt(at) !== Comma) return malformed(line, at)
  }
  return undefined
}

/** extension-param = token [ "=" ( token / quoted-string ) ]; returns its end, or -(place of the fault) - 1. */
const parseParam = (line: string, from: number, into: Array<ExtensionParam>): number => {
  const nameEnd = tokenEnd(line, from)
  if (nameEnd === from) return -from - 1
  const name = line.slice(from, nameEnd)
  const equals = skipSpace(line, nameEnd)
  if (line.charCodeAt(equals) !== Equals) {
    into.push({ name })
    return nameEnd
  }
  const start = skipSpace(line, equals + 1)
  if (line.charCodeAt(start) !== Quote) {
    const end = tokenEnd(line, start)
    if (end === start) return -start - 1
    into.push({ name, value: line.slice(start, end) })
    return end
  }
  // RFC 6455 §9.1: after unescaping, a quoted value must be a token
  let value = ""
  let i = start + 1
  while (i < line.length && line.charCodeAt(i) !== Quote) {
    if (line.charCodeAt(i) === Backslash) i++
    if (!isTokenCode(line.charCodeAt(i))) return -Math.min(i, line.length) - 1
    value += line[i]
    i++
  }
  if (i >= line.length || value === "") return -Math.min(i, line.length) - 1
  into.push({ name, value, quoted: true })
  return i + 1
}

/**
 * Writes extensions as the value of one `Sec-WebSocket-Extensions` header.
 *
 * **Details**
 *
 * The inverse of {@link parse}. Names and values that are not tokens are a typed error;
 * no extensions are the empty string, which is not to be sent.
 *
 * **Example** (Writing an offer)
 *
 * ```ts
 * import { Extension } from "@effect-ws/core"
 *
 * console.log(Extension.format([{ name: "permessage-deflate", params: [{ name: "client_max_window_bits" }] }]))
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (extensions: ReadonlyArray<ExtensionHeader>): Result.Result<string, HandshakeError> => {
  const written: Array<string> = []
  for (const { name, params } of extensions) {
    if (!isToken(name)) return Result.fail(refusal("ExtensionsMalformed", `the name ${show(name)} is not a token`))
    let text = name
    for (const param of params) {
      if (!isToken(param.name) || (param.value !== undefined && !isToken(param.value))) {
        return Result.fail(refusal("ExtensionsMalformed", `the parameter ${show(param.name)} of ${name} is invalid`))
      }
      text += `; ${param.name}`
      if (param.value !== undefined) text += param.quoted === true ? `="${param.value}"` : `=${param.value}`
    }
    written.push(text)
  }
  return Result.succeed(written.join(", "))
}
