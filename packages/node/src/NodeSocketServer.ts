/**
 * Effect's `SocketServer` on Node: `NodeSocketServer` of `@effect/platform-node`, whose WebSocket server uses
 * the connections of this library. TCP and TLS servers are those of that module.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"
import { EffectSocket, type HttpUpgrade, WebSocket, WebSocketError, WebSocketServer } from "@effect-ws/core"
import { IncomingMessage } from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Http from "node:http"
import type * as Https from "node:https"
import * as NodeHttpServer from "./NodeHttpServer.ts"
import type * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
import * as WsOptions from "./client/WsOptions.ts"
import * as Entrance from "./upgrade/Entrance.ts"

/**
 * @since 0.1.0
 */
export * from "@effect/platform-node/NodeSocketServer"

/**
 * Where to listen and how to accept.
 *
 * **Details**
 *
 * - `host`, `port`, `backlog`: where to listen; or `server`: a server that someone else
 *   made and runs, whose upgrades are taken. It is not closed here.
 * - `path`: the only path that is served. Others are refused with 400, or, on a `server`
 *   that has other listeners for upgrades, left to these. Where `NodeHttpServer` serves on the
 *   same `server`, its routes come first: requests that they answer with 404 arrive here.
 * - `verifyClient`, `handleProtocols`, `perMessageDeflate`, `maxPayload`, `maxFragments`:
 *   as in `ws`. Its other options change nothing here.
 * - `authorize` and the options of `WebSocketServer.accept`: the same and more in this
 *   library's words. What is given here comes before the options of `ws`.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketServerOptions
  extends
    Omit<NodeWebSocketServer.Options, "path" | "upgrade" | "websocket" | "maxFragments">,
    HttpUpgrade.Options,
    Omit<WsOptions.WsOptions, "maxFragments">
{
  readonly server?: Http.Server | Https.Server | undefined
  readonly path?: string | undefined
  readonly allowSynchronousEvents?: boolean | undefined
  readonly clientTracking?: boolean | undefined
  readonly maxBufferedChunks?: number | undefined
  readonly skipUTF8Validation?: boolean | undefined
}

interface Accepted {
  readonly ws: WebSocket.WebSocket
  /** Holds the connection. */
  readonly scope: Scope.Closeable
  readonly request: Http.IncomingMessage
}

/**
 * Makes a `SocketServer` that listens for WebSockets, on its own port or on an existing server.
 *
 * **Details**
 *
 * Each socket behaves as `EffectSocket.toSocket` describes and can be read once. Releasing its reader closes
 * the connection, and so does the end of its handler. Handlers have the services `Socket.WebSocket` and
 * `IncomingMessage` (of `@effect/platform-node/NodeSocketServer`), as there. Connections that are made while
 * no handler runs are open and wait for one. Without `selectSubprotocol` the first offered subprotocol is
 * used.
 *
 * A handler is interrupted after its connection has ended, as `onDisconnect` says. That interruption, and a
 * `SocketError` that it lets through, are no failures; they are logged at Debug.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWebSocket: (
  options: WebSocketServerOptions
) => Effect.Effect<
  SocketServer.SocketServer["Service"],
  SocketServer.SocketServerError,
  Scope.Scope
> = Effect.fnUntraced(function*(options: WebSocketServerOptions) {
  const waiting = new Set<Accepted>()
  const hold = (accepted: Accepted) => {
    waiting.add(accepted)
    // It may end before a handler takes it.
    const forget = Effect.suspend(() => waiting.delete(accepted) ? Scope.close(accepted.scope, Exit.void) : Effect.void)
    Effect.runFork(Effect.andThen(accepted.ws.closed, forget))
  }
  let onAccepted = hold
  // Made before the server, so that it is released after it: the server's end closes all connections at once.
  const connections = yield* Scope.fork(yield* Effect.scope, "parallel")
  const { authorize, onDisconnect, ...acceptOptions }: HttpUpgrade.Options = {
    selectSubprotocol: (offered: ReadonlyArray<string>) => offered[0],
    ...WsOptions.toUpgradeOptions(options),
    ...options
  }
  const serving = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (!isServed(options.path, request.url)) return HttpServerResponse.empty({ status: 400 })
    if (authorize !== undefined) yield* authorize(request)
    const scope = yield* Scope.fork(connections)
    // Read before the accept, so that Node's message is kept.
    const message = request.source as Http.IncomingMessage
    // It outlives its request, whose fiber ends here.
    const ws = yield* WebSocketServer.accept({ ...acceptOptions, onDisconnect: "ignore" }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    onAccepted({ ws, scope, request: message })
    return HttpServerResponse.empty({ status: 101 })
  }).pipe(
    Effect.catchTag("HandshakeError", (error) => Effect.succeed(WebSocketServer.toResponse(error)))
  )
  const address = options.server === undefined
    ? yield* listen(serving, options)
    : yield* attach(serving, options.server, options)

  const run = Effect.fnUntraced(function*<R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) {
    const scope = yield* Scope.make("parallel")
    const services = Context.omit(Scope.Scope)(yield* Effect.context<R>()) as Context.Context<R>
    const before = onAccepted
    onAccepted = (accepted) => {
      const context = Context.add(services, IncomingMessage, accepted.request)
      Fiber.runIn(Effect.runForkWith(context)(handle(accepted, handler, onDisconnect)), scope)
    }
    const waited = [...waiting]
    waiting.clear()
    for (const accepted of waited) onAccepted(accepted)
    return yield* Effect.never.pipe(
      Effect.ensuring(Effect.suspend(() => {
        onAccepted = before
        return Scope.close(scope, Exit.void)
      }))
    )
  })

  return SocketServer.SocketServer.of({ address, run })
})

type Serving = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  WebSocketError.IOError | WebSocketError.UpgradeUnavailable,
  HttpServerRequest.HttpServerRequest
>

const openError = (cause: unknown) =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })

/** Serves on a port. */
const listen = Effect.fnUntraced(function*(serving: Serving, options: WebSocketServerOptions) {
  // There a `path` is that of a Unix socket.
  const where = { ...options, path: undefined }
  const server = yield* Effect.mapError(NodeHttpServer.make(() => Http.createServer(), where), openError)
  yield* server.serve(serving)
  return server.address
})

/** Serves the upgrades of a server, from when it listens. */
const attach = Effect.fnUntraced(function*(
  serving: Serving,
  server: Http.Server | Https.Server,
  options: WebSocketServerOptions
) {
  const upgrade = yield* NodeHttpServer.makeUpgradeHandler(serving, { ...options, scope: yield* Effect.scope })
  const isOurs = (request: Http.IncomingMessage) => isServed(options.path, request.url ?? "")
  const listener: Entrance.UpgradeListener = (request, socket, head) => {
    if (isOurs(request) || server.listenerCount("upgrade") === 1) upgrade(request, socket, head)
  }
  const taker: Entrance.Taker = (request, socket, head) => {
    if (isOurs(request)) upgrade(request, socket, head)
    return isOurs(request)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => Entrance.attach(server, listener, taker)),
    (detach) => Effect.sync(detach)
  )
  yield* Effect.callback<void, SocketServer.SocketServerError>((resume) => {
    if (server.listening) return resume(Effect.void)
    const forget = () => server.off("error", onError).off("listening", onListening)
    const onListening = () => {
      forget()
      resume(Effect.void)
    }
    const onError = (cause: Error) => {
      forget()
      resume(Effect.fail(openError(cause)))
    }
    server.on("error", onError).on("listening", onListening)
    return Effect.sync(forget)
  })
  const address = server.address()
  if (address === null || typeof address === "string") return NetAddress.unixPathAddress(address ?? "")
  return yield* Effect.mapError(
    Effect.fromResult(NetAddress.inetAddressFromIpString(address.address, address.port)),
    openError
  )
})

const isServed = (path: string | undefined, target: string): boolean => {
  if (path === undefined) return true
  const query = target.indexOf("?")
  return (query === -1 ? target : target.slice(0, query)) === path
}

const isConnectionError = (error: unknown): boolean =>
  Socket.isSocketError(error) || error instanceof WebSocketError.ConnectionClosed ||
  error instanceof WebSocketError.IOError || error instanceof WebSocketError.ProtocolError

const handle = <R, E, _>(
  { scope, ws }: Accepted,
  handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>,
  onDisconnect: WebSocket.OnDisconnect | undefined
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    const like = yield* Scope.provide(EffectSocket.toWebSocketLike(ws), scope)
    const acquire = Effect.acquireRelease(Effect.succeed(ws), (_, exit) => Scope.close(scope, exit))
    const socket = yield* EffectSocket.toSocket(acquire)
    const handled = Effect.provideService(handler(socket), Socket.WebSocket, like)
    return yield* WebSocket.whileConnected(handled, ws, { onDisconnect })
  }).pipe(
    Effect.onExit((exit) => Scope.close(scope, exit)),
    // The connection's end is no failure of its handler.
    Effect.catchIf(isConnectionError, (error) => Effect.logDebug("WebSocket connection ended", error)),
    Effect.ignoreCause({ log: "Unhandled", message: "Unhandled error in SocketServer" })
  ) as Effect.Effect<void, never, R>

/**
 * Provides a `SocketServer` that listens for WebSockets, for `RpcServer.layerProtocolSocketServer` and other
 * code that needs one.
 *
 * **Example** (An RPC server on its own port)
 *
 * ```ts
 * import { NodeSocketServer } from "@effect-ws/node"
 * import { Layer } from "effect"
 * import { RpcSerialization, RpcServer } from "effect/rpc"
 *
 * export const Protocol = RpcServer.layerProtocolSocketServer.pipe(
 *   Layer.provide([NodeSocketServer.layerWebSocket({ port: 3000 }), RpcSerialization.layerJson])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocket = (
  options: WebSocketServerOptions
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError> =>
  Layer.effect(SocketServer.SocketServer, makeWebSocket(options))
