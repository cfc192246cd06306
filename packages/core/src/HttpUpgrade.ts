/**
 * `HttpServerRequest.upgrade` and `upgradeWith` on our connections, for HTTP server
 * layers.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Socket from "effect/socket/Socket"
import * as EffectSocket from "./EffectSocket.ts"
import type * as Handshake from "./Handshake.ts"
import { invalidCallerHeader } from "./rules/CallerHeaders.ts"
import type { HandshakeError } from "./WebSocketError.ts"
import * as WebSocketServer from "./WebSocketServer.ts"

/** What became of one request. */
interface State {
  isAccepted: boolean
  refused: HandshakeError | undefined
}

/**
 * Serves an effect with the upgrades of an HTTP server, so that its handlers can use
 * `WebSocketServer.accept` as well as `request.upgrade`.
 *
 * **When to use**
 *
 * To make the HTTP server of another platform able to accept connections. The layer of
 * `@effect-ws/node` does it already.
 *
 * **Details**
 *
 * `request.upgrade`, `upgradeWith` (whose headers go out with the 101) and
 * `upgradeChannel` give a `Socket` as `EffectSocket.toSocket` makes it; the handshake is
 * answered when its reader is acquired. They survive `request.modify`. `options` say how
 * such connections are accepted; without a `protocol` the first that was offered is
 * spoken, as Effect's own server does. A refused handshake fails the reader with
 * `SocketOpenError`, and a handler that fails of it answers with the status that fits.
 * Middleware around the effect sees 101 for an upgraded request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const serve = <E, R>(
  httpEffect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  upgrades: WebSocketServer.Upgrades["Service"],
  options: WebSocketServer.AcceptOptions = {}
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E,
  Exclude<R, WebSocketServer.Upgrades> | HttpServerRequest.HttpServerRequest
> => {
  const served = Effect.provideService(httpEffect, WebSocketServer.Upgrades, upgrades)
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (upgrades.find(request.source) === undefined) return served
    const state: State = { isAccepted: false, refused: undefined }
    const accept = (request: HttpServerRequest.HttpServerRequest, options: WebSocketServer.AcceptOptions) =>
      WebSocketServer.accept(options).pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.provideService(WebSocketServer.Upgrades, upgrades),
        Effect.tap(() => {
          state.isAccepted = true
          return Effect.void
        }),
        Effect.tapError((error) => {
          if (error._tag === "HandshakeError") state.refused ??= error
          return Effect.void
        }),
        EffectSocket.toSocket
      )
    return served.pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, upgradable(request, options, accept)),
      Effect.map((response) => state.isAccepted ? accepted : response),
      Effect.catchCause((cause) => {
        const { isAccepted, refused } = state
        if (isAccepted || refused === undefined || Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        return Effect.as(Effect.logDebug("WebSocket refused", refused), WebSocketServer.toResponse(refused))
      })
    )
  })
}

// Never sent: the connection has left HTTP. Middleware sees it.
const accepted = HttpServerResponse.empty({ status: 101 })

type Accept = (
  request: HttpServerRequest.HttpServerRequest,
  options: WebSocketServer.AcceptOptions
) => Effect.Effect<Socket.Socket>

/** The same request, whose upgrades are ours. */
const upgradable = (
  request: HttpServerRequest.HttpServerRequest,
  options: WebSocketServer.AcceptOptions,
  accept: Accept
): HttpServerRequest.HttpServerRequest => {
  const upgradeWith: HttpServerRequest.HttpServerRequest["upgradeWith"] = ({ headers }) =>
    Effect.suspend(() => {
      const { "sec-websocket-protocol": protocol, ...own } = Headers.fromInput(headers)
      const list: Handshake.HeaderList = Object.entries(own)
      const fault = invalidCallerHeader(list, "response")
      if (fault !== undefined) {
        return Effect.fail(
          new HttpServerError.HttpServerError({
            reason: new HttpServerError.InternalError({ request: self, description: fault.detail })
          })
        )
      }
      return accept(self, {
        ...options,
        headers: [...headerList(options.headers), ...list],
        protocol: protocol === undefined ? options.protocol ?? firstOffered : () => protocol
      })
    })
  const self: HttpServerRequest.HttpServerRequest = Object.create(request, {
    upgrade: { get: () => upgradeWith({}) },
    upgradeWith: { value: upgradeWith },
    modify: {
      value: (changes: Parameters<typeof request.modify>[0]) => upgradable(request.modify(changes), options, accept)
    }
  })
  return self
}

const headerList = (headers: WebSocketServer.AcceptOptions["headers"]): Handshake.HeaderList =>
  headers === undefined ? [] : Array.isArray(headers) ? headers : Object.entries(headers)

const firstOffered = (offered: ReadonlyArray<string>): string | undefined => offered[0]
