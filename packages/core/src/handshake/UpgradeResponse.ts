/**
 * The answer that accepts a request, as data, and as an HTTP/1.1 server writes it.
 */
import * as Result from "effect/Result"
import type { HandshakeError } from "../WebSocketError.ts"
import { encodeResponseHead, statusText } from "./HttpHead.ts"
import { type HeaderList, isFieldValue } from "../http/Tokens.ts"

/**
 * The answer that accepts a request (RFC 6455 §4.2.2, RFC 8441 §5).
 *
 * **Details**
 *
 * - `status`: 101, or 200 where the request is an extended CONNECT.
 * - `headers`: all header lines of the answer, in order.
 * - `continues`: whether a 100 is sent first, for which the client waits (RFC 9110 §7.8).
 * - `subprotocol`: the chosen subprotocol, if any.
 * - `extensions`: the value of `Sec-WebSocket-Extensions`, if an extension is used.
 * - `applicationHeaders`: those of `headers` that the application added, such as cookies.
 *
 * A server that writes the head itself needs `status` and `headers`; a platform that performs
 * the handshake by itself takes `subprotocol` and `applicationHeaders`.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeResponse {
  readonly status: 101 | 200
  readonly headers: HeaderList
  readonly continues: boolean
  readonly subprotocol: string | undefined
  readonly extensions: string | undefined
  readonly applicationHeaders: HeaderList
}

const upgrade = ["Upgrade", "websocket"] as const
const connection = ["Connection", "Upgrade"] as const

/** The lines of an answer; `accept` is `undefined` over extended CONNECT. */
export const responseLines = (
  accept: string | undefined,
  { applicationHeaders, extensions, subprotocol }: Pick<UpgradeResponse, "applicationHeaders" | "extensions" | "subprotocol">
): HeaderList => {
  const lines: Array<readonly [string, string]> = accept === undefined
    ? []
    : [upgrade, connection, ["Sec-WebSocket-Accept", accept]]
  if (subprotocol !== undefined) lines.push(["Sec-WebSocket-Protocol", subprotocol])
  if (extensions !== undefined) lines.push(["Sec-WebSocket-Extensions", extensions])
  for (const header of applicationHeaders) lines.push(header)
  return lines
}

// The head of an answer without options, except for its accept value. Most answers are such, and writing it again costs 2 us.
const usual = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "

/**
 * Writes the head of an answer for HTTP/1.1, its empty line included, after that of a 100 if one
 * is sent first.
 *
 * **Details**
 *
 * Each character is one byte: write it as Latin-1. An answer that would break the head is a typed
 * error, which cannot happen with an answer of `acceptResponse`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeUpgradeResponse = (
  { continues, headers, status }: Pick<UpgradeResponse, "continues" | "headers" | "status">
): Result.Result<string, HandshakeError> => {
  const head = headers.length === 3 && headers[0] === upgrade && headers[1] === connection && isFieldValue(headers[2][1])
    ? Result.succeed(`${usual}${headers[2][1]}\r\n\r\n`)
    : encodeResponseHead(status, statusText(status), headers)
  return continues ? Result.map(head, (head) => `HTTP/1.1 100 Continue\r\n\r\n${head}`) : head
}
