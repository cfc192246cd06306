/** The responses of a server to requests for a WebSocket: the accepted 101, and refusals. */
import * as Effect from "effect/Effect"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { HandshakeError } from "../WebSocketError.ts"

/** Never sent, since the connection has left HTTP: middleware sees it. */
export const accepted = HttpServerResponse.empty({ status: 101 })

/**
 * The response that a refused handshake is answered with: status and headers of the
 * error, its message as text.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toResponse = (error: HandshakeError): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${error.message}\n`, {
    status: error.status ?? 400,
    headers: Object.fromEntries(error.headers)
  })

/** Lets a `HandshakeError` that a route does not handle answer with its own status. */
export const respondable = (error: HandshakeError): HandshakeError =>
  Object.defineProperty(error, HttpServerRespondable.symbol, {
    value: () => Effect.succeed(toResponse(error)),
    enumerable: false
  })
