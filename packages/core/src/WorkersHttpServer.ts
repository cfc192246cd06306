/**
 * An Effect HTTP application as the `fetch` of a Cloudflare Worker, whose routes accept WebSockets
 * by `WebSocketPair`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Capabilities } from "./Capabilities.ts"
import { eventCapabilities, type WebSocketLike } from "./native/EventTransport.ts"
import { platformGlobal } from "./native/PlatformGlobal.ts"
import * as WebServer from "./platform/WebServer.ts"
import { WorkersTransport } from "./platform/WorkersTransport.ts"

/**
 * How to serve: the options of `WebSocketServer.makeConnections`, and `upgrade`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebServer.Options {}

/**
 * What Workers give with each request.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecutionContext {
  readonly waitUntil: (promise: Promise<unknown>) => void
}

type PairConstructor = new() => { readonly 0: WebSocketLike; readonly 1: WebSocketLike & { accept(): void } }

const capabilities: Capabilities = { ...eventCapabilities, outboundBackpressure: "none", closeCodes: "all" }

const accept: WebServer.Incoming["accept"] = ({ applicationHeaders, subprotocol }) => {
  const WebSocketPair = Option.getOrThrowWith(
    platformGlobal<PairConstructor>("WebSocketPair"),
    () => new Error("WorkersHttpServer runs on Cloudflare Workers only")
  )
  const { 0: client, 1: socket } = new WebSocketPair()
  // Listens before the first message can arrive.
  const transport = new WorkersTransport(socket, capabilities)
  socket.accept()
  const headers = new Headers()
  for (const [name, value] of applicationHeaders) headers.append(name, value)
  if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol)
  const init: ResponseInit & { readonly webSocket: WebSocketLike } = { status: 101, headers, webSocket: client }
  return { response: new Response(null, init), transport }
}

/**
 * Makes the `fetch` of a Worker from what is served, as `HttpRouter.serve` gives it.
 *
 * **Details**
 *
 * The layer is built by the first request, since a Worker may do nothing before. A Worker ends without
 * telling, so its layer is never released.
 *
 * **Gotchas**
 *
 * A connection cannot be held back, in neither direction: `capabilities` says so.
 *
 * **Example** (An echo server as a Worker)
 *
 * ```ts
 * import { WebSocket, WebSocketServer, WorkersHttpServer } from "@effect-ws/core"
 * import { HttpRouter } from "effect/http"
 *
 * const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => WebSocket.relay(ws, ws)))
 *
 * export default { fetch: WorkersHttpServer.toFetch(HttpRouter.serve(Echo)) }
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toFetch = <A, E>(
  app: Layer.Layer<A, E, HttpServer.HttpServer>,
  options: Options = {}
): (request: Request, env?: unknown, context?: ExecutionContext) => Promise<Response> => {
  const server = new WebServer.WebServer(options)
  const httpServer = server.at(WebServer.addressOf("0.0.0.0", 0))
  const clock = Effect.runSync(Clock.Clock)
  let built: Promise<unknown> | undefined
  return async (request, _env, context) => {
    built ??= Effect.runPromise(
      Scope.provide(Layer.build(Layer.provide(app, Layer.succeed(HttpServer.HttpServer, httpServer))), Scope.makeUnsafe())
    )
    await built
    // A timer of one request may not touch the WebSocket of another, and deadlines are kept for each clock.
    const response = await server.handle({
      request,
      remoteAddress: request.headers.get("cf-connecting-ip") ?? undefined,
      isSecure: request.url.startsWith("https:"),
      signal: request.signal,
      // A handler goes on when its connection has ended.
      waitUntil: context === undefined ? undefined : (ended) => context.waitUntil(ended),
      clock: Object.create(clock) as Clock.Clock,
      accept
    })
    return response ?? new Response(null, { status: 500 })
  }
}
