/**
 * A server for WebSockets alone: one handler on a port, no routes.
 *
 * @since 0.1.0
 */
import { type WebSocket, WebSocketServer } from "@effect-ws/core"
import type * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"
import * as NodeHttpServer from "./NodeHttpServer.ts"

/**
 * Where to listen and how to accept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends NodeHttpServer.Options, WebSocketServer.AcceptOptions {}

/**
 * Serves WebSockets on a port, whatever the path; everything else is refused with 426.
 *
 * **Details**
 *
 * The layer provides its `HttpServer`, which knows the address.
 *
 * **Example** (An echo server)
 *
 * ```ts
 * import { NodeWebSocketServer } from "@effect-ws/node"
 * import { Stream } from "effect"
 *
 * export const Echo = NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), { port: 9001 })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(
  f: (ws: WebSocket.WebSocket) => Effect.Effect<A, E, R>,
  options: Options
): Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError, Exclude<R, HttpServerRequest | Scope.Scope>> =>
  HttpServer.serve(WebSocketServer.handle(f, options)).pipe(
    Layer.provideMerge(NodeHttpServer.layerServer(createServer, options))
  )

