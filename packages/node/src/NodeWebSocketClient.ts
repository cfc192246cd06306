/**
 * Clients on Node.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"
import { type PerMessageDeflate, WebSocketClient, type WebSocketError } from "@effect-ws/core"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as DirectDialer from "./client/DirectDialer.ts"
import * as Http2Dialer from "./client/Http2Dialer.ts"
import * as Http2Sessions from "./client/Http2Sessions.ts"
import * as NodeDeflate from "./NodeDeflate.ts"
import * as Transports from "./transport/Transports.ts"

const httpDialer: Effect.Effect<WebSocketClient.Dialer, never, HttpClient.HttpClient> = Effect.gen(function*() {
  const { ofResponse, primitives, ready } = yield* Transports.current
  const { dial } = WebSocketClient.makeHttpDialer(yield* HttpClient.HttpClient, primitives, ofResponse)
  return { dial: (request) => Effect.andThen(ready, dial(request)) }
})

/**
 * Dials through the current `HttpClient`, with Node's primitives and compression.
 *
 * **When to use**
 *
 * To connect through a client of your own: with a base URL, authentication or a proxy.
 *
 * **Details**
 *
 * After the 101 of a client of `@effect/platform-node` the connection itself is taken over, which makes
 * messages as fast as with {@link layerDirect}. With another client its `Socket` is used, which costs several
 * times as much for small messages.
 *
 * **Gotchas**
 *
 * The client must speak HTTP/1.1. Make one of undici with `allowH2: false`; otherwise it chooses HTTP/2 with a
 * TLS server that offers it, which this library does not support. With documented interfaces only
 * (`EFFECT_WS_PORTABLE`) it should have `connect: { allowHalfOpen: true }` too: otherwise a server's end of the
 * stream closes the connection before its Close is answered, and an end that meets a busy reader takes `closeTimeout`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttpClient: Layer.Layer<
  WebSocketClient.Connector | PerMessageDeflate.Codec,
  never,
  HttpClient.HttpClient
> = Layer.merge(
  Layer.effect(WebSocketClient.Connector, Effect.map(httpDialer, WebSocketClient.makeConnector)),
  NodeDeflate.layer
)

/**
 * Dials with its own HTTP client, over HTTP/1.1: undici, or `node:http` where there is no undici, as on Bun.
 *
 * **Details**
 *
 * undici drops a connection whose server sends `100 Continue` before its response. Such a server is dialled again by
 * `node:http`.
 *
 * **Example** (A client program)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { NodeWebSocketClient } from "@effect-ws/node"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("ws://127.0.0.1:9001")
 *   yield* ws.send("hello")
 *   return yield* ws.receive
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<WebSocketClient.Connector | PerMessageDeflate.Codec> = Layer.suspend(() =>
  canDispatch() ? layerUndici : Layer.provide(layerHttpClient, NodeHttpClient.layerNodeHttp)
)

/** Bun's `undici` has the names of undici and cannot dial; there `node:http` does. */
const canDispatch = (): boolean => "dispatch" in Undici.Agent.prototype

// The server's end does not end our side, even if it comes while messages wait for a slow reader: its Close is
// answered first. A transport that owns the connection sets it by itself; the `Socket` of an answer cannot.
const undiciOptions: Undici.Agent.Options = { allowH2: false, connect: { allowHalfOpen: true } }

const layerUndici = Layer.merge(
  Layer.effect(
    WebSocketClient.Connector,
    Effect.gen(function*() {
      const { dial } = yield* httpDialer
      const direct = DirectDialer.make({}, yield* Transports.current)
      return WebSocketClient.makeConnector({
        dial: (request) => Effect.catchIf(dial(request), isBecauseOf100, () => direct.dial(request))
      })
    })
  ),
  NodeDeflate.layer
).pipe(Layer.provide(NodeHttpClient.layerUndiciOptions(undiciOptions)))

/** Whether undici dropped the connection because of what the server sent before its answer (`connectError` says so). */
const isBecauseOf100 = (error: WebSocketError.HandshakeError | WebSocketError.IOError): boolean =>
  error._tag === "IOError" && error.phase === "handshake" && error.reason === "Aborted"

/**
 * How to dial without an `HttpClient`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DirectOptions extends DirectDialer.DirectOptions {}

/**
 * Dials by `node:http` and `node:https`, with a CA of your own, a client certificate, a Unix domain socket or a
 * proxy.
 *
 * **Gotchas**
 *
 * No `HttpClient` takes part: its base URL, authentication, redirects, proxies, middleware, spans and
 * `traceparent` do not apply. Relative URLs fail with `HandshakeError`.
 *
 * **Example** (A server whose certificate your own CA signed)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { NodeWebSocketClient } from "@effect-ws/node"
 * import { Effect } from "effect"
 * import { readFileSync } from "node:fs"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("wss://internal.example/feed")
 *   return yield* ws.receive
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(NodeWebSocketClient.layerDirectOptions({ tls: { ca: readFileSync("ca.pem") } }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirectOptions = (
  options: DirectOptions
): Layer.Layer<WebSocketClient.Connector | PerMessageDeflate.Codec> =>
  Layer.merge(
    Layer.effect(
      WebSocketClient.Connector,
      Effect.map(Transports.current, (transports) => WebSocketClient.makeConnector(DirectDialer.make(options, transports)))
    ),
    NodeDeflate.layer
  )

/**
 * Dials by `node:http` and `node:https`; see {@link layerDirectOptions}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirect: Layer.Layer<WebSocketClient.Connector | PerMessageDeflate.Codec> = layerDirectOptions({})

/**
 * Dials by `node:http` and `node:https`, through the proxy of the environment's variables if they name one.
 *
 * **Details**
 *
 * `HTTPS_PROXY` is for wss, `HTTP_PROXY` for ws, `ALL_PROXY` for both; the names in lower case come
 * first. `NO_PROXY` lists what is reached directly: `example.com` with its subdomains, `.example.com`
 * for these alone, an address, a network such as `10.0.0.0/8`, each with `:port` if wanted, or `*`.
 * The variables are read at each dial. It is `layerDirectOptions({ proxy: "environment" })`.
 *
 * A proxy that refuses is a `HandshakeError` with the reason `ProxyRefused`; it names the proxy, never
 * its credentials.
 *
 * **Example** (A client behind a proxy)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { NodeWebSocketClient } from "@effect-ws/node"
 * import { Effect } from "effect"
 *
 * // HTTPS_PROXY=http://user:secret@proxy.internal:3128 NO_PROXY=localhost,.internal
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("wss://feed.example/ticks")
 *   return yield* ws.receive
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("HandshakeError", (error) => Effect.logError(error.message)),
 *   Effect.provide(NodeWebSocketClient.layerDirectProxy)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirectProxy: Layer.Layer<WebSocketClient.Connector | PerMessageDeflate.Codec> = layerDirectOptions({
  proxy: "environment"
})

/**
 * How to dial over HTTP/2.
 *
 * @category models
 * @since 0.1.0
 */
export interface Http2Options extends Http2Sessions.Http2Options {}

/**
 * Dials over HTTP/2 (RFC 8441) if the server allows it, otherwise over HTTP/1.1.
 *
 * **Details**
 *
 * The connections to one origin share one HTTP/2 session, which is opened with the first of them and
 * closed with the layer. A stream that is not read does not delay the others. Over TLS the server
 * chooses the version (ALPN). A server that answers over HTTP/2 and does not allow extended CONNECT
 * is dialled again over HTTP/1.1. `ws:` URLs are dialled over HTTP/1.1, unless `plain` says that the
 * server speaks HTTP/2 without TLS.
 *
 * **Gotchas**
 *
 * As with {@link layerDirectOptions}, no `HttpClient` takes part.
 *
 * **Example** (Many feeds over one session)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { NodeWebSocketClient } from "@effect-ws/node"
 * import { Effect } from "effect"
 *
 * export const program = Effect.forEach(["ticks", "trades", "news"], (name) =>
 *   Effect.flatMap(WebSocketClient.connect(`wss://feed.example/${name}`), (ws) => ws.receive), { concurrency: 3 }).pipe(
 *   Effect.scoped,
 *   Effect.provide(NodeWebSocketClient.layerHttp2())
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp2 = (
  options: Http2Options = {}
): Layer.Layer<WebSocketClient.Connector | PerMessageDeflate.Codec> =>
  Layer.merge(
    Layer.effect(
      WebSocketClient.Connector,
      Effect.gen(function*() {
        const transports = yield* Transports.current
        const sessions = yield* Effect.acquireRelease(
          Effect.sync(() => new Http2Sessions.Sessions(options)),
          (sessions) => Effect.sync(() => sessions.close())
        )
        const { proxy, proxyTls, tls } = options
        const fallback = DirectDialer.make({ proxy, proxyTls, tls }, transports)
        return WebSocketClient.makeConnector(Http2Dialer.make(sessions, options, fallback, transports))
      })
    ),
    NodeDeflate.layer
  )
