/**
 * A `SocketServer` whose sockets are our WebSockets, in place of
 * `NodeSocketServer.layerWebSocket` of `@effect/platform-node`.
 *
 * @since 0.1.0
 */
import { EffectSocket, type WebSocket, WebSocketServer } from "@effect-ws/core"
import { IncomingMessage } from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import type * as Http from "node:http"
import { createServer } from "node:http"
import * as NodeHttpServer from "./NodeHttpServer.ts"
import type * as NodeWebSocketServer from "./NodeWebSocketServer.ts"

interface Accepted {
  readonly ws: WebSocket.WebSocket
  /** Holds the connection. */
  readonly scope: Scope.Closeable
  readonly request: Http.IncomingMessage
}

/**
 * Makes a `SocketServer` that listens for WebSockets on a port, whatever the path.
 *
 * **Details**
 *
 * Each socket behaves as `EffectSocket.toSocket` says and can be read once; releasing
 * its reader closes the connection, and so does the end of its handler. Handlers find
 * the services `Socket.WebSocket` and `IncomingMessage` (of
 * `@effect/platform-node/NodeSocketServer`) that they expect there. Connections that come
 * while nobody runs a handler are open and wait for one. Without a `protocol` the first
 * subprotocol that was offered is spoken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWebSocket: (
  options: NodeWebSocketServer.Options
) => Effect.Effect<
  SocketServer.SocketServer["Service"],
  SocketServer.SocketServerError,
  Scope.Scope
> = Effect.fnUntraced(function*(options: NodeWebSocketServer.Options) {
  const waiting = new Set<Accepted>()
  const hold = (accepted: Accepted) => {
    waiting.add(accepted)
    // It may end before anyone takes it.
    const forget = Effect.suspend(() => waiting.delete(accepted) ? Scope.close(accepted.scope, Exit.void) : Effect.void)
    Effect.runFork(Effect.andThen(accepted.ws.closed, forget))
  }
  let onAccepted = hold
  // Made before the server, so that it is released behind it: there all are told at once.
  const connections = yield* Scope.fork(yield* Effect.scope, "parallel")
  const server = yield* NodeHttpServer.make(createServer, options).pipe(
    Effect.mapError((cause) =>
      new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
    )
  )
  const acceptOptions = { protocol: (offered: ReadonlyArray<string>) => offered[0], ...options }
  yield* server.serve(Effect.gen(function*() {
    const { source } = yield* HttpServerRequest.HttpServerRequest
    const scope = yield* Scope.fork(connections)
    const ws = yield* WebSocketServer.accept(acceptOptions).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    onAccepted({ ws, scope, request: source as Http.IncomingMessage })
    return HttpServerResponse.empty({ status: 101 })
  }))

  const run = Effect.fnUntraced(function*<R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) {
    const scope = yield* Scope.make("parallel")
    const services = Context.omit(Scope.Scope)(yield* Effect.context<R>()) as Context.Context<R>
    const before = onAccepted
    onAccepted = (accepted) => {
      const context = Context.add(services, IncomingMessage, accepted.request)
      Fiber.runIn(Effect.runForkWith(context)(handle(accepted, handler)), scope)
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

  return SocketServer.SocketServer.of({ address: server.address, run })
})

const handle = <R, E, _>(
  { scope, ws }: Accepted,
  handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    const like = yield* Scope.provide(EffectSocket.toWebSocketLike(ws), scope)
    const acquire = Effect.acquireRelease(Effect.succeed(ws), (_, exit) => Scope.close(scope, exit))
    const socket = yield* EffectSocket.toSocket(acquire)
    return yield* Effect.provideService(handler(socket), Socket.WebSocket, like)
  }).pipe(
    Effect.onExit((exit) => Scope.close(scope, exit)),
    Effect.ignoreCause({ log: "Unhandled", message: "Unhandled error in SocketServer" })
  ) as Effect.Effect<void, never, R>

/**
 * Provides a `SocketServer` that listens for WebSockets, for
 * `RpcServer.layerProtocolSocketServer` and whatever else asks for one.
 *
 * **Example** (An RPC server on a port of its own)
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
  options: NodeWebSocketServer.Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError> =>
  Layer.effect(SocketServer.SocketServer, makeWebSocket(options))
