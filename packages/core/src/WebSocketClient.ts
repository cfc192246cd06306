/**
 * Connecting to a WebSocket server, by default through Effect's `HttpClient`, so
 * that base URLs, authentication, tracing and proxies come along.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SocketTransport from "./socket/SocketTransport.ts"
import * as Telemetry from "./connection/Telemetry.ts"
import * as Handshake from "./Handshake.ts"
import * as Limits from "./Limits.ts"
import type { MessageExtension } from "./MessageExtension.ts"
import type * as Observability from "./Observability.ts"
import * as PerMessageDeflate from "./PerMessageDeflate.ts"
import { portable, type Primitives } from "./Primitives.ts"
import { toHeaderList } from "./http/HeadersInput.ts"
import { invalidRequest } from "./http/Refusal.ts"
import * as Negotiation from "./handshake/Negotiation.ts"
import type { Transport } from "./Transport.ts"
import * as WebSocket from "./WebSocket.ts"
import { type HandshakeError, IOError } from "./WebSocketError.ts"

/**
 * How to connect.
 *
 * **Details**
 *
 * - `subprotocols`: subprotocols to offer, the preferred first. If the server accepts none
 *   of them the handshake fails, unless `requireSubprotocol` is `false`.
 * - `headers`: what else to send along, a record or a list of pairs.
 * - `compression`: whether, or how, to offer permessage-deflate. Default true where the
 *   platform has a codec for it, as Node does.
 * - `extensions`: other extensions to offer before it; one of all is used.
 * - `observability`: what differs from `Observability.CurrentOptions`.
 * - The other options bound the connection; see `Limits.Options`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Limits.Options {
  readonly subprotocols?: string | ReadonlyArray<string> | undefined
  readonly requireSubprotocol?: boolean | undefined
  readonly headers?: Handshake.HeadersInput | undefined
  readonly compression?: boolean | PerMessageDeflate.Options | undefined
  readonly extensions?: ReadonlyArray<MessageExtension> | undefined
  readonly closeCodeFor?: ((error: unknown) => number) | undefined
  readonly observability?: Observability.Options | undefined
}

/**
 * What a {@link Dialer} brings back: the answer to the request and, where its status
 * is 101, the transport behind it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialed {
  readonly response: Handshake.HandshakeResponse
  readonly transport: Effect.Effect<Transport, HandshakeError | IOError, Scope.Scope>
}

/**
 * How a connection is dialled: sends the request of a handshake and brings back the
 * answer, whatever it is. The rules of the handshake are not its business.
 *
 * **When to use**
 *
 * To give a platform a faster road than `HttpClient`, or to connect through something
 * that is no HTTP client.
 *
 * @category services
 * @since 0.1.0
 */
export class Dialer extends Context.Service<Dialer, {
  readonly dial: (request: Handshake.HandshakeRequest) => Effect.Effect<Dialed, HandshakeError | IOError, Scope.Scope>
}>()("@effect-ws/core/WebSocketClient/Dialer") {}

// Stands in for the origin that a base URL will supply.
const relativeBase = "http://relative.invalid"

const isRelative = (url: string | URL): url is string => typeof url === "string" && !hasScheme(url)

// RFC 3986 §3.1: a scheme is what stands before the first colon, which no slash precedes.
const hasScheme = (url: string): boolean => {
  const colon = url.indexOf(":")
  if (colon <= 0) return false
  const slash = url.indexOf("/")
  return slash === -1 || colon < slash
}

/**
 * Connects to a WebSocket server. The scope holds the connection: releasing it
 * performs the closing handshake.
 *
 * **Details**
 *
 * `url` is ws, wss, http or https, or relative to the base URL of the `HttpClient`.
 * Fails with `HandshakeError` if the server refuses or answers what it must not (the
 * answer is in it: status, headers, the first 8 KiB of its body), and with `IOError` if
 * it cannot be reached (phase `connect`) or does not answer in time (phase `handshake`).
 *
 * **Example** (A first client)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("wss://feed.example/ticks", { subprotocols: ["ticks.v2"] })
 *   yield* ws.send("subscribe")
 *   yield* ws.messages.pipe(Stream.runForEach((message) => Effect.log(message)))
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("HandshakeError", (error) => Effect.log(`refused: ${error.message}`))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  url: string | URL,
  options: ConnectOptions = {}
): Effect.Effect<WebSocket.WebSocket, HandshakeError | IOError, Dialer | Scope.Scope> =>
  Effect.gen(function*() {
    const dialer = yield* Dialer
    const limits = Limits.make(options)
    const relative = isRelative(url)
    const extensions = [
      ...options.extensions ?? [],
      ...yield* PerMessageDeflate.fromOption(options.compression ?? true)
    ]
    const made = yield* Effect.fromResult(Handshake.makeRequest({
      url,
      base: relative ? relativeBase : undefined,
      subprotocols: options.subprotocols,
      extensions: yield* Effect.fromResult(Negotiation.offer(extensions)),
      headers: toHeaderList(options.headers)
    }))
    const request = relative ? { ...made, url: made.url.slice(relativeBase.length) } : made
    const open = Effect.gen(function*() {
      const { response, transport } = yield* dialer.dial(request)
      const agreed = yield* Effect.fromResult(Handshake.checkResponse(response, {
        ...request,
        // Without a scheme nothing secure was asked for that could be downgraded.
        url: relative ? undefined : request.url,
        requireSubprotocol: options.requireSubprotocol
      }))
      const extension = yield* Effect.fromResult(Negotiation.agree(extensions, agreed.extensions, response))
      return { subprotocol: agreed.subprotocol, extension, transport: yield* transport }
    })
    // Of its own, so that what was dialled in vain is dropped at once.
    const scope = yield* Scope.fork(yield* Effect.scope)
    const opened = yield* Effect.timeoutOrElse(Effect.interruptible(Scope.provide(open, scope)), {
      duration: limits.handshakeTimeout,
      orElse: () =>
        Effect.fail(
          new IOError({
            phase: "handshake",
            reason: "TimedOut",
            detail: `The server did not answer the handshake within ${limits.handshakeTimeout} ms (handshakeTimeout)`
          })
        )
    }).pipe(Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void))
    const { extension, subprotocol, transport } = opened
    const attributes = () => attributesOf(url)
    return yield* WebSocket.make(transport, { ...options, role: "client", subprotocol, extension, attributes })
  }).pipe(Effect.tapError((error) =>
    Telemetry.handshakeFailed("client", error, {
      observability: options.observability,
      attributes: () => attributesOf(url)
    })
  ))

/** What spans and log lines say of a URL. The query is left out: many hold a token. */
const attributesOf = (url: string | URL): Telemetry.Attributes => {
  const text = String(url)
  const parsed = URL.parse(text, relativeBase)
  if (parsed === null) return {}
  const path = { "url.path": parsed.pathname }
  if (isRelative(url)) return path
  const secure = parsed.protocol === "wss:" || parsed.protocol === "https:"
  return {
    "server.address": parsed.hostname,
    "server.port": parsed.port === "" ? secure ? 443 : 80 : Number(parsed.port),
    "url.scheme": secure ? "wss" : "ws",
    ...path
  }
}

/**
 * Dials through the current `HttpClient`.
 *
 * **Details**
 *
 * The client must support upgrades: on Node those of `NodeHttpClient`, over HTTP/1.1;
 * `fetch` does not.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttpClient: Layer.Layer<Dialer, never, HttpClient.HttpClient> = Layer.effect(
  Dialer,
  Effect.map(HttpClient.HttpClient, (client) => makeHttpDialer(client, portable))
)

/**
 * Reaches past the `Socket` of a 101 answer, for the platform's faster transport.
 * `undefined` where it cannot: then the `Socket` serves.
 *
 * @category models
 * @since 0.1.0
 */
export type TakeOver = (response: HttpClientResponse.HttpClientResponse) => Transport | undefined

/**
 * Makes a {@link Dialer} from an `HttpClient`; `primitives` are those of connections over
 * its `Socket`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeHttpDialer = (
  client: HttpClient.HttpClient,
  primitives: Primitives,
  takeOver?: TakeOver | undefined
): Dialer["Service"] => {
  // Last of all, so that a base URL may be ws or wss as well.
  const upgrading = client.pipe(HttpClient.mapRequest(httpScheme), HttpClient.withScope)
  return Dialer.of({
    dial: (request) =>
      upgrading.execute(toHttpRequest(request)).pipe(
        Effect.catch((error: HttpClientError.HttpClientError) => {
          // A client that filters statuses fails on every answer but the 2xx.
          const { reason } = error
          return "response" in reason ? Effect.succeed(reason.response) : Effect.fail(httpError(error))
        }),
        Effect.flatMap((response) => fromHttpResponse(response, primitives, takeOver))
      )
  })
}

const toHttpRequest = (request: Handshake.HandshakeRequest): HttpClientRequest.HttpClientRequest => {
  let http = HttpClientRequest.get(request.url)
  for (const [name, value] of request.headers) {
    // RFC 9110 §5.3: lines of one name are one list, and here names are unique.
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
  const head = { status: response.status, headers: Object.entries(response.headers), url: response.url }
  if (response.status === 101) {
    // Taken at once: behind a redirect no scope but the socket's own holds the connection.
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

/**
 * The transport of an answer that is not 101: there is none.
 *
 * @category errors
 * @since 0.1.0
 */
export const notSwitched: Effect.Effect<never, IOError> = Effect.suspend(() =>
  Effect.fail(new IOError({ phase: "handshake", reason: "Aborted", detail: "The server did not switch protocols" }))
)

/**
 * Reads the start of a refusal's body, at most 8 KiB and 2 seconds; one that cannot be
 * read is empty.
 *
 * **When to use**
 *
 * In a {@link Dialer} of your own.
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
      Effect.timeoutOption("2 seconds"),
      Effect.ignore,
      Effect.map(() => primitives.decodeUtf8(body, 0, size))
    )
  })

const httpError = (error: HttpClientError.HttpClientError): HandshakeError | IOError =>
  error.reason._tag === "InvalidUrlError" ? invalidRequest("UrlInvalid", error.message) : connectError(error)

/**
 * Why a server could not be reached, from the system's error or from what wraps it.
 *
 * **When to use**
 *
 * In a {@link Dialer} of your own.
 *
 * @category errors
 * @since 0.1.0
 */
export const connectError = (cause: unknown): IOError => {
  const code = SocketTransport.errorCode(cause)
  const reason = code === undefined ? "Unknown" : connectReasons.get(code) ?? (isTls(code) ? "Tls" : "Unknown")
  return new IOError({
    phase: "connect",
    reason,
    detail: `The server could not be reached${code === undefined ? "" : ` (${code})`}: ` +
      (connectAdvice[reason] ?? "see the cause"),
    cause
  })
}

const connectAdvice: Partial<Record<IOError["reason"], string>> = {
  Refused: "nothing listens there; is it running, and is the port right?",
  Unresolved: "its name is unknown",
  Tls: "its certificate was not accepted; give the authority that signed it to whoever dials (ca)",
  Reset: "it cut the connection",
  TimedOut: "it does not answer"
}

const connectReasons: ReadonlyMap<string, IOError["reason"]> = new Map([
  ["ECONNREFUSED", "Refused"],
  ["ENOTFOUND", "Unresolved"],
  ["EAI_AGAIN", "Unresolved"],
  ["ECONNRESET", "Reset"],
  ["EPIPE", "Reset"],
  ["UND_ERR_SOCKET", "Reset"],
  ["ETIMEDOUT", "TimedOut"],
  ["UND_ERR_CONNECT_TIMEOUT", "TimedOut"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "Tls"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "Tls"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "Tls"],
  ["EPROTO", "Tls"]
])

const isTls = (code: string): boolean =>
  code.startsWith("ERR_TLS_") || code.startsWith("ERR_SSL_") || code.startsWith("CERT_")
