/**
 * HTTP/1.1 heads as text (RFC 9112 §3, §4), for code that answers on a bare socket.
 */
import * as Result from "effect/Result"
import type { HandshakeError } from "../WebSocketError.ts"
import { invalidHeader } from "../http/CallerHeaders.ts"
import type { HandshakeRequest } from "./ClientHandshake.ts"
import { invalidRequest, refusal } from "../http/Refusal.ts"
import { isOriginForm } from "../http/Target.ts"
import { type HeaderList, isFieldValue, valuesOf } from "../http/Tokens.ts"

const statusTexts: ReadonlyMap<number, string> = new Map([
  [101, "Switching Protocols"],
  [200, "OK"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [408, "Request Timeout"],
  [417, "Expectation Failed"],
  [426, "Upgrade Required"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
  [505, "HTTP Version Not Supported"]
])

/**
 * The usual reason phrase of a status that answers a handshake; empty for others.
 *
 * @category encoding
 * @since 0.1.0
 */
export const statusText = (status: number): string => statusTexts.get(status) ?? ""

const fields = (headers: HeaderList): string => {
  let text = ""
  for (let i = 0; i < headers.length; i++) text += `${headers[i][0]}: ${headers[i][1]}\r\n`
  return text
}

/**
 * Writes the head of an answer, its empty line included.
 *
 * **Details**
 *
 * Each character is one byte: write it as Latin-1. A name or value that would break the head (a
 * name that is not a token; CR, LF, NUL or another control in a value or the status text) is a
 * typed error.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeResponseHead = (
  status: number,
  statusText: string,
  headers: HeaderList
): Result.Result<string, HandshakeError> => {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    return Result.fail(refusal("HeaderInvalid", `${status} is not a status`))
  }
  if (!isFieldValue(statusText)) {
    return Result.fail(refusal("HeaderInvalid", "the status text has an invalid character"))
  }
  const fault = invalidHeader(headers)
  return fault === undefined
    ? Result.succeed(`HTTP/1.1 ${status} ${statusText}\r\n${fields(headers)}\r\n`)
    : Result.fail(refusal(fault.rule, fault.detail))
}

/**
 * Writes the head of a client's request, its empty line included.
 *
 * **Details**
 *
 * `Host` is the first header, from the URL unless the caller gave one. Each character is one
 * byte: write it as Latin-1.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeRequestHead = (request: HandshakeRequest): Result.Result<string, HandshakeError> => {
  const own = valuesOf(request.headers, "host").length > 0
  const headers: HeaderList = own ? request.headers : [["Host", request.host], ...request.headers]
  if (!isOriginForm(request.target)) return Result.fail(invalidRequest("UrlInvalid", "the request target is invalid"))
  const fault = invalidHeader(headers)
  return fault === undefined
    ? Result.succeed(`GET ${request.target} HTTP/1.1\r\n${fields(headers)}\r\n`)
    : Result.fail(invalidRequest(fault.rule, fault.detail))
}
