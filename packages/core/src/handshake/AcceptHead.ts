/**
 * The head of a 101 answer as it goes onto the wire (RFC 6455 §4.2.2).
 */
import * as Result from "effect/Result"
import { type ExtensionHeader, format } from "../Extension.ts"
import type { HandshakeError } from "../WebSocketError.ts"
import { acceptKey } from "./AcceptKey.ts"
import { type AcceptOptions, acceptResponse, type ClientRequest } from "./ServerHandshake.ts"
import { encodeResponseHead, statusText } from "./HttpHead.ts"

// All but the key of an answer that says no more than it must, as most do: to write it anew for
// each costs 2 us and a kilobyte.
const usual = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "

/** Builds the answer that accepts a request, its empty line included. */
export const acceptHead = (
  request: ClientRequest,
  options: Omit<AcceptOptions, "extensions">,
  extension: ExtensionHeader | undefined
): Result.Result<string, HandshakeError> => {
  const { headers = [], subprotocol, sha1 } = options
  if (extension === undefined && subprotocol === undefined && headers.length === 0) {
    return Result.succeed(`${usual}${acceptKey(request.key, sha1)}\r\n\r\n`)
  }
  const extensions = extension === undefined ? undefined : format([extension])
  if (extensions !== undefined && Result.isFailure(extensions)) return Result.fail(extensions.failure)
  const answer = acceptResponse(request, { ...options, extensions: extensions?.success })
  return Result.isFailure(answer)
    ? Result.fail(answer.failure)
    : encodeResponseHead(101, statusText(101), answer.success.headers)
}
