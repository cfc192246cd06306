/**
 * Dialling through Effect's `HttpClient`.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Handshake from "../Handshake.ts"
import { invalidRequest } from "../http/Refusal.ts"
import * as Limits from "../Limits.ts"
import { portable, type Primitives } from "../Primitives.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import * as SocketTransport from "../socket/SocketTransport.ts"
import type { Transport } from "../Transport.ts"
import type { HandshakeError, IOError } from "../WebSocketError.ts"
import { connectError } from "./ConnectError.ts"
import { Connector } from "./Connector.ts"
import { type Dialed, type Dialer, makeConnector, notSwitched } from "./HttpHandshake.ts"
import { linesOf } from "./ResponseLines.ts"

/**
 * Provides a `Connector` through the current `HttpClient`.
 *
 * **Details**
 *
 * The client must support upgrades: on Node those of `NodeHttpClient`, over HTTP/1.1;
 * `fetch` does not.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttpClient: Layer.Layer<Connector, never, HttpClient.HttpClient> = Layer.effect(
  Connector,
  Effect.map(HttpClient.HttpClient, (client) => makeConnector(makeHttpDialer(client, portable)))
)

/**
 * Takes over the platform's own connection of a 101 response, as a faster transport than its
 * `Socket`. Returns `undefined` if that is not possible: then the `Socket` is used.
 *
 * @category models
 * @since 0.1.0
 */
export type TakeOver = (response: HttpClientResponse.HttpClientResponse) => Transport | undefined

/**
 * Makes a `Dialer` from an `HttpClient`. `primitives` are those of connections over its
 * `Socket`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeHttpDialer = (
  client: HttpClient.HttpClient,
  primitives: Primitives,
  takeOver?: TakeOver | undefined
): Dialer => {
  // The last step, so that a base URL may be ws or wss too.
  const upgrading = client.pipe(HttpClient.mapRequest(httpScheme), HttpClient.withScope)
  return {
    dial: (request) =>
      upgrading.execute(toHttpRequest(request)).pipe(
        Effect.catch((error: HttpClientError.HttpClientError) => {
          // A client that filters statuses fails on every response except 2xx.
          const { reason } = error
          return "response" in reason ? Effect.succeed(reason.response) : Effect.fail(httpError(error))
        }),
        Effect.flatMap((response) => fromHttpResponse(response, primitives, takeOver))
      )
  }
}

const toHttpRequest = (request: Handshake.HandshakeRequest): HttpClientRequest.HttpClientRequest => {
  let http = HttpClientRequest.get(request.url)
  for (const [name, value] of request.headers) {
    // RFC 9110 §5.3: lines of one name are one list, and in these headers names are unique.
    const before = http.headers[name.toLowerCase()]
    http = HttpClientRequest.setHeader(http, name, before === undefined ? value : `${before}, ${value}`)
  }
  return HttpClientRequest.upgrade(http, "websocket")
}

const httpScheme = (request: HttpClientRequest.HttpClientRequest): HttpClientRequest.HttpClientRequest =>
  request.url.slice(0, 2).toLowerCase() === "ws"
    ? HttpClientRequest.setUrl(request, `http${request.url.slice(2)}`)
    : request

const fromHttpResponse = (
  response: HttpClientResponse.HttpClientResponse,
  primitives: Primitives,
  takeOver: TakeOver | undefined
): Effect.Effect<Dialed, HandshakeError | IOError, Scope.Scope> => {
  const head = { status: response.status, headers: linesOf(response), url: response.url }
  if (response.status === 101) {
    // Taken at once: after a redirect only the socket's own scope holds the connection.
    return response.upgrade.pipe(
      Effect.mapError(httpError),
      Effect.flatMap((socket) => {
        const taken = takeOver?.(response)
        if (taken === undefined) return SocketTransport.make(socket, primitives)
        return Effect.acquireRelease(Effect.succeed(taken), (transport) => Effect.sync(() => transport.destroy()))
      }),
      Effect.map((transport) => ({ response: head, transport: Effect.succeed(transport) }))
    )
  }
  return Effect.map(readRefusal(response.stream, primitives), (body) => ({
    response: { ...head, body },
    transport: notSwitched
  }))
}

const refusalTimeout = 2000

/**
 * Reads the start of a refusal's body, at most 8 KiB and for at most 2 seconds. A body that
 * cannot be read is empty.
 *
 * **When to use**
 *
 * In a `Dialer` of your own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readRefusal = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  primitives: Primitives
): Effect.Effect<string, never, R> =>
  Effect.suspend(() => {
    const body = primitives.allocate(Limits.maxRefusalBody)
    let size = 0
    return stream.pipe(
      Stream.runForEachWhile((chunk) =>
        Effect.sync(() => {
          const part = chunk.subarray(0, body.length - size)
          body.set(part, size)
          size += part.length
          return size < body.length
        })
      ),
      (reading) => Deadlines.timeoutOption(reading, refusalTimeout),
      Effect.ignore,
      Effect.map(() => primitives.decodeUtf8(body, 0, size))
    )
  })

const httpError = (error: HttpClientError.HttpClientError): HandshakeError | IOError =>
  error.reason._tag === "InvalidUrlError" ? invalidRequest("UrlInvalid", error.message) : connectError(error)
