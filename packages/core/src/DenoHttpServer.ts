/**
 * An Effect HTTP server on `Deno.serve`, whose routes accept WebSockets by
 * `Deno.upgradeWebSocket`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Capabilities } from "./Capabilities.ts"
import type { MessageTransport } from "./MessageTransport.ts"
import { eventCapabilities, EventTransport, type WebSocketLike } from "./native/EventTransport.ts"
import { openTransport } from "./platform/Opened.ts"
import { platformGlobal } from "./native/PlatformGlobal.ts"
import * as WebServer from "./platform/WebServer.ts"

/**
 * How to serve.
 *
 * **Details**
 *
 * - `port`: 0 lets the system choose one. Default 8000.
 * - `hostname`: default `0.0.0.0`, as Deno's.
 * - `cert`, `key`: for TLS, in PEM.
 * - `idleTimeout`: after how many seconds Deno sends a Ping to a silent peer, and breaks the connection if
 *   nothing comes back for as long. Default 30; 0 turns it off.
 * - The other options are those of `WebSocketServer.makeConnections`, and `upgrade`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebServer.Options {
  readonly port?: number | undefined
  readonly hostname?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly idleTimeout?: number | undefined
}

/** What of Deno is used. */
interface Deno {
  serve(
    options: object,
    handler: (request: Request, info: { readonly remoteAddr: { readonly hostname?: string } }) => Promise<Response | undefined>
  ): { readonly addr: { readonly hostname: string; readonly port: number }; shutdown(): Promise<void> }
  upgradeWebSocket(request: Request, options: object): { readonly socket: WebSocketLike; readonly response: Response }
}

// A server's sockets may close with any code; a page's may not.
const capabilities: Capabilities = { ...eventCapabilities, closeCodes: "all" }

const given = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

/**
 * Makes an `HttpServer` on `Deno.serve`. The end of the scope closes its WebSockets as `shutdown` says, and
 * then the server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<HttpServer.HttpServer["Service"], ServeError, Scope.Scope> =>
  Effect.gen(function*() {
    const deno = Option.getOrThrowWith(platformGlobal<Deno>("Deno"), () => new Error("DenoHttpServer runs on Deno only"))
    const { cert, hostname, idleTimeout, key, port } = options
    const server = new WebServer.WebServer(options)
    const accept = (request: Request): WebServer.Incoming["accept"] => ({ applicationHeaders, subprotocol }) => {
      const { response, socket } = deno.upgradeWebSocket(request, given({ protocol: subprotocol, idleTimeout }))
      for (const [name, value] of applicationHeaders) response.headers.append(name, value)
      return { response, transport: openTransport(socket, () => transportOf(socket)) }
    }
    const listening = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          deno.serve(given({ port, hostname, cert, key, onListen: () => {} }), (request, { remoteAddr }) =>
            server.handle({
              request,
              remoteAddress: remoteAddr.hostname,
              isSecure: cert !== undefined,
              // Deno's aborts after answers that were delivered, too.
              signal: undefined,
              accept: accept(request)
            })),
        catch: (cause) => new ServeError({ cause })
      }),
      (listening) => Effect.promise(() => listening.shutdown())
    )
    return server.at(WebServer.addressOf(listening.addr.hostname, listening.addr.port))
  })

const transportOf = (socket: WebSocketLike): MessageTransport => new EventTransport(socket, capabilities)

/**
 * Provides an `HttpServer` on `Deno.serve`.
 *
 * **Example** (An echo server on Deno)
 *
 * ```ts
 * import { DenoHttpServer, WebSocket, WebSocketServer } from "@effect-ws/core"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => WebSocket.relay(ws, ws)))
 *
 * HttpRouter.serve(Echo).pipe(
 *   Layer.provide(DenoHttpServer.layer({ port: 9001 })),
 *   Layer.launch,
 *   Effect.runFork
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<HttpServer.HttpServer, ServeError> =>
  Layer.effect(HttpServer.HttpServer, make(options))
