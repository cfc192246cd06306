/**
 * An `HttpServer` layer whose routes accept WebSockets. Use it instead of the one of
 * `@effect/platform-node`, on which it is built: that one serves everything except WebSocket upgrades.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"
import { HttpUpgrade, Limits, PerMessageDeflate, WebSocketServer } from "@effect-ws/core"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpMiddleware from "effect/http/HttpMiddleware"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Http2 from "node:http2"
import * as NodeDeflate from "./NodeDeflate.ts"
import * as Transports from "./transport/Transports.ts"
import * as HttpInternals from "./undocumented/HttpInternals.ts"
import { Entrance, isWebSocket, type Taker, type UpgradeListener } from "./upgrade/Entrance.ts"
import * as ExtendedConnect from "./upgrade/ExtendedConnect.ts"
import { find } from "./upgrade/PendingUpgrade.ts"
import { refuse, unavailable } from "./upgrade/Refusals.ts"
import * as UpgradeHandler from "./upgrade/UpgradeHandler.ts"
import * as WsOptions from "./client/WsOptions.ts"

export {
  /**
   * A Node `request` listener for an effect: the one of `@effect/platform-node`.
   *
   * @category handlers
   * @since 0.1.0
   */
  makeHandler,
  /**
   * The services of the platform that serving needs: those of `@effect/platform-node`.
   *
   * @category layers
   * @since 0.1.0
   */
  layerHttpServices
} from "@effect/platform-node/NodeHttpServer"

/**
 * How to accept connections that a handler opens by `request.upgrade`, as `RpcServer.layerProtocolWebsocket`
 * does.
 *
 * **Details**
 *
 * - `websocket`: what `NodeHttpServer` of `@effect/platform-node` passes to `ws`. Of it
 *   `perMessageDeflate`, `maxPayload`, `maxFragments`, `handleProtocols` and
 *   `verifyClient` mean the same here; the others are `ws`'s own and change nothing.
 * - `upgrade`: the same and more in this library's words; what is given here comes
 *   before `websocket`. See `HttpUpgrade.serve`.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeOptions {
  readonly websocket?: StockHttpServer.Options["websocket"]
  readonly upgrade?: HttpUpgrade.Options | undefined
}

/**
 * How to serve.
 *
 * **Details**
 *
 * - Where to listen, and what `NodeHttpServer` of `@effect/platform-node` takes.
 * - `maxConnections`: the most open WebSockets; above it requests are refused with 503.
 *   Default 100,000.
 * - `shutdown`: how open WebSockets end with the server: what handlers may still send, the
 *   code, whether all are closed at once, and how long that may take (5 seconds by default).
 *   See `WebSocketServer.ShutdownOptions`.
 * - `perAddress`: what one address may take of the server; nothing is limited by default.
 *   See `WebSocketServer.PerAddress`.
 * - `processes`: how many processes serve together, such as the workers of `node:cluster`: each takes its
 *   part of `maxConnections` and `perAddress`, rounded up. Default 1: limits are those of this process.
 * - `headersTimeout`: how long the head of a request may take, from the connection on or
 *   the end of the request before it. Checked once a second. Default 10 seconds.
 * - `handshakeTimeout`: how long a handler may take to accept an upgrade, or to answer it
 *   otherwise; then it is interrupted and 503 is answered. Default 10 seconds.
 * - `upgradeProtocols`: the protocols beside websocket to which routes upgrade by themselves, by
 *   `request.upgradeWith`. A request that offers another one, such as h2c, is served as if it
 *   offered none. Default none.
 * - `upgrade`, `websocket`: see {@link UpgradeOptions}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<StockHttpServer.Options, "websocket">, UpgradeOptions {
  readonly maxConnections?: number | undefined
  readonly perAddress?: WebSocketServer.PerAddress | undefined
  readonly processes?: number | undefined
  readonly shutdown?: WebSocketServer.ShutdownOptions | undefined
  readonly handshakeTimeout?: Duration.Input | undefined
  readonly headersTimeout?: Duration.Input | undefined
  readonly upgradeProtocols?: ReadonlyArray<string> | undefined
}

/**
 * The servers of Node that can be served on: over HTTP/2 without upgrades, which
 * `allowHTTP1` of a secure server brings back.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeServer = Http.Server | Http2.Http2Server | Http2.Http2SecureServer

/**
 * Makes an `HttpServer` on a Node server, with TLS or without.
 *
 * **Details**
 *
 * When the scope of a served effect ends, its WebSockets are closed as `shutdown` says: with
 * 1001 and at once by default, after the last messages of handlers that have any. Ordinary
 * requests are finished as `NodeHttpServer` of `@effect/platform-node` does, and
 * connections that did not close in time are cut and counted in a log line.
 *
 * From listening until an effect is served, and after that, requests are answered with 503.
 *
 * A request for a WebSocket that the effect answers with 404 is left to the other listeners of
 * the Node server, such as a socket server on it (`NodeSocketServer`), if there are any.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(evaluate: () => NodeServer, options: Options) {
  // Every kind has what is used here; only the types of their listeners differ.
  const server = evaluate() as Http.Server
  limitHeads(server, options.headersTimeout)
  const transports = yield* Transports.current
  yield* transports.ready
  const entrance = yield* Effect.acquireRelease(
    Effect.sync(() => new Entrance(server, options.upgradeProtocols ?? [], handshakeMillis(options))),
    (entrance) => Effect.sync(() => entrance.close())
  )
  const stock = yield* StockHttpServer.make(() => server, options)
  return HttpServer.make({
    address: stock.address,
    serve: Effect.fnUntraced(function*(httpEffect, middleware) {
      const { connections, forRequests, served, upgrader } = upgradable(httpEffect, options, transports)
      const serveScope = yield* Effect.scope
      let leave = () => {}
      // Serves for longer than the stock server waits: late requests are refused and delay nothing.
      yield* Scope.addFinalizer(serveScope, Effect.sync(() => leave()))
      const before = server.listeners("upgrade") as Array<UpgradeListener>
      yield* forRequests(middleware === undefined ? stock.serve(served) : stock.serve(served, middleware))
      const added = (server.listeners("upgrade") as Array<UpgradeListener>).find((one) => !before.includes(one))
      if (added !== undefined) server.off("upgrade", added)

      // The services of the server, such as its loggers, apply at its end too.
      const context = yield* Effect.context<never>()
      const scope = yield* Scope.fork(serveScope, "parallel")
      const offer: Taker = (message, socket, early) => entrance.offer(message, socket, early)
      const parts = { scope, middleware, upgrader, transports, offer, isShared: () => entrance.isShared }
      const handler = yield* forRequests(UpgradeHandler.makeUpgradeHandler(served, parts))
      leave = entrance.serve({
        onWebSocket: unlessClosing(connections, handler),
        onOther: added === undefined ? undefined : unlessClosing(connections, guarded(added))
      })
      if (ExtendedConnect.isHttp2(server)) {
        const connect = { scope, middleware, transports, isClosing: () => connections.isClosing }
        const listener = yield* forRequests(ExtendedConnect.makeListener(served, connect))
        const detach = ExtendedConnect.attach(server, listener)
        yield* Scope.addFinalizer(serveScope, Effect.sync(detach))
      }
      // The last finalizer of the scope runs first: before ordinary requests are awaited.
      yield* Scope.addFinalizer(
        serveScope,
        Effect.suspend(() => {
          // Otherwise a connection whose last request is finished now would be kept for the next one.
          Object.assign(server, { keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 })
          return connections.shutdown
        }).pipe(Effect.provideContext(context))
      )
    })
  })
})

/** The effect to serve, together with what turns its requests into connections. */
const upgradable = <E, R>(
  httpEffect: Effect.Effect<HttpServerResponse, E, R>,
  options: UpgradeOptions & WebSocketServer.ConnectionsOptions & {
    readonly handshakeTimeout?: Duration.Input | undefined
  },
  transports: Transports.Transports
) => {
  const connections = WebSocketServer.makeConnections(options)
  const offered = { find: (source: object) => find(source) ?? ExtendedConnect.find(source), connections }
  const upgradeOptions: HttpUpgrade.Options = {
    handshakeTimeout: options.handshakeTimeout,
    ...WsOptions.toUpgradeOptions(options.websocket ?? {}),
    ...options.upgrade
  }
  const served = HttpUpgrade.serve(httpEffect, offered, upgradeOptions)
  const upgrader = HttpUpgrade.makeUpgrader(offered, upgradeOptions)
  const forRequests = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.updateContext(self, contextOf<R>(offered, transports))
  return { connections, forRequests, served, upgrader }
}

/**
 * Makes a Node `upgrade` listener for an effect, for a server that another part of the program made and
 * that serves its ordinary requests by itself or by {@link makeHandler}.
 *
 * **Details**
 *
 * Use it instead of the function of that name in `@effect/platform-node`, without its first parameter, the
 * server of `ws`. The effect may use `WebSocketServer.accept` and `request.upgrade`; upgrades to other
 * protocols than `websocket` are handled as there.
 * When the scope ends, connections are closed as `shutdown` says.
 *
 * **Gotchas**
 *
 * Node calls every `upgrade` listener for every request, and this one answers each of them. So it must be
 * the only one of its server. Where several effects share a server, write a listener that calls one of
 * theirs for each request.
 *
 * **Example** (WebSockets on a server that another framework made)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { NodeHttpServer } from "@effect-ws/node"
 * import { Effect, Stream } from "effect"
 * import type { Server } from "node:http"
 *
 * export const attach = Effect.fn(function*(server: Server) {
 *   const echo = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
 *   const listener = yield* NodeHttpServer.makeUpgradeHandler(echo, { scope: yield* Effect.scope })
 *   server.on("upgrade", listener)
 * })
 * ```
 *
 * @category handlers
 * @since 0.1.0
 */
export const makeUpgradeHandler = <
  R,
  E,
  App extends Effect.Effect<HttpServerResponse, unknown, unknown> = Effect.Effect<HttpServerResponse, E, R>
>(
  httpEffect: Effect.Effect<HttpServerResponse, E, R>,
  options: UpgradeOptions & WebSocketServer.ConnectionsOptions & {
    readonly scope: Scope.Scope
    readonly middleware?: HttpMiddleware.HttpMiddleware.Applied<App, E, R> | undefined
    readonly handshakeTimeout?: Duration.Input | undefined
  }
): Effect.Effect<UpgradeListener, never, Exclude<Effect.Services<App>, HttpServerRequest | Scope.Scope>> =>
  Effect.gen(function*() {
    const transports = yield* Transports.current
    const { connections, forRequests, served, upgrader } = upgradable(httpEffect, options, transports)
    const scope = yield* Scope.fork(options.scope, "parallel")
    const parts = { scope, middleware: options.middleware as HttpMiddleware.HttpMiddleware.Applied<App, E, R> }
    // WebSockets never reach it, so it needs no server of `ws`.
    const stock: UpgradeListener = yield* forRequests(StockHttpServer.makeUpgradeHandler(
      Effect.die("a WebSocket upgrade reached the stock handler"),
      served as typeof httpEffect,
      parts
    ))
    const ours = { ...parts, upgrader, transports, isShared: () => true }
    const handler = yield* forRequests(UpgradeHandler.makeUpgradeHandler(served as typeof httpEffect, ours))
    const context = yield* Effect.context<never>()
    // The last finalizer of the scope runs first: before its fibers are interrupted.
    yield* Scope.addFinalizer(options.scope, Effect.provideContext(connections.shutdown, context))
    const other = guarded(stock)
    return unlessClosing(connections, (request, socket, head) =>
      isWebSocket(request) ? handler(request, socket, head) : other(request, socket, head)
    )
  })

/**
 * The services of every request, made once: requests inherit the context of the served effect. The context
 * is flat and has room, because each request adds a few services, and beyond that room the whole context
 * is copied.
 */
const contextOf = <R>(upgrades: WebSocketServer.Upgrades["Service"], { isPortable }: Transports.Transports) =>
(context: Context.Context<R>) => {
  const own = Context.make(PerMessageDeflate.Codec, NodeDeflate.codecOf(isPortable)).pipe(
    Context.add(WebSocketServer.Upgrades, upgrades)
  )
  return Context.makeUnsafe<R>(new Map(Context.merge(context, own).mapUnsafe), { maxDepth: 12 })
}

const handshakeMillis = ({ handshakeTimeout }: Options): number =>
  Duration.toMillis(Duration.fromInputUnsafe(handshakeTimeout ?? Limits.defaults.handshakeTimeout))

/** Bounds the head of a request (the rest of the handshake is bounded elsewhere). */
const limitHeads = (server: Http.Server, timeout: Duration.Input | undefined): void => {
  server.headersTimeout = Duration.toMillis(Duration.fromInputUnsafe(timeout ?? Limits.defaults.handshakeTimeout))
  // Read when the server begins to listen; by default a late head lives for 30 s more.
  HttpInternals.checkHeadsOften(server)
}

/** Refuses upgrades while the server shuts down, because no handler takes them any more. */
const unlessClosing = (
  connections: WebSocketServer.OpenConnections,
  listener: UpgradeListener
): UpgradeListener =>
(request, socket, head) => {
  if (connections.isClosing) refuse(socket, unavailable)
  else listener(request, socket, head)
}

/** Without a listener a reset would crash the process. */
const guarded = (listener: UpgradeListener): UpgradeListener => (request, socket, head) => {
  socket.on("error", ignore)
  listener(request, socket, head)
}

const ignore = () => {}

/**
 * Provides an `HttpServer` on a Node server, without the services of the platform.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServer = (
  evaluate: () => NodeServer,
  options: Options
): Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError> =>
  Layer.effect(HttpServer.HttpServer, make(evaluate, options))

/**
 * Provides an `HttpServer` whose routes accept WebSockets, and the services of the platform.
 *
 * **Example** (Serving an echo beside a page)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { NodeHttpServer } from "@effect-ws/node"
 * import { Layer, Stream } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { createServer } from "node:http"
 *
 * const Routes = Layer.mergeAll(
 *   HttpRouter.add("GET", "/", HttpServerResponse.text("hello")),
 *   HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))
 * )
 *
 * export const Server = HttpRouter.serve(Routes).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 8080 }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  evaluate: () => NodeServer,
  options: Options
): Layer.Layer<
  HttpServer.HttpServer | NodeServices.NodeServices | HttpPlatform.HttpPlatform | Etag.Generator,
  HttpServerError.ServeError
> => Layer.mergeAll(layerServer(evaluate, options), StockHttpServer.layerHttpServices)

/**
 * Provides what {@link layer} provides, with options from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  evaluate: () => NodeServer,
  options: Config.Wrap<Options>
): Layer.Layer<
  HttpServer.HttpServer | NodeServices.NodeServices | HttpPlatform.HttpPlatform | Etag.Generator,
  HttpServerError.ServeError | Config.ConfigError
> => Layer.unwrap(Effect.map(Config.unwrap(options), (options) => layer(evaluate, options)))

/**
 * Provides a server on a port that the system chose, and an `HttpClient` whose base
 * URL it is.
 *
 * @category testing
 * @since 0.1.0
 */
export const layerTest: Layer.Layer<
  | HttpServer.HttpServer
  | NodeServices.NodeServices
  | HttpPlatform.HttpPlatform
  | Etag.Generator
  | HttpClient.HttpClient,
  HttpServerError.ServeError
> = HttpServer.layerTestClient.pipe(
  // Not shared, because a connection that is kept open would delay the server's end.
  Layer.provide(Layer.fresh(FetchHttpClient.layer).pipe(
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { keepalive: false }))
  )),
  Layer.provideMerge(layer(() => Http.createServer(), { port: 0 }))
)
