/**
 * An Effect HTTP server on `Bun.serve`, whose routes accept Bun's own WebSockets.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import { ServeError } from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { BunTransport, type ServerWebSocketLike } from "./platform/BunTransport.ts"
import { platformGlobal } from "./native/PlatformGlobal.ts"
import * as WebServer from "./platform/WebServer.ts"

/**
 * How to serve.
 *
 * **Details**
 *
 * - `port`: 0 lets the system choose one. Default 3000.
 * - `hostname`: default `0.0.0.0`, as Bun's.
 * - `tls`: Bun's options for TLS, such as `{ cert, key }`.
 * - `maxPayloadLength`: the largest message that Bun takes, in bytes. Default 16 MiB. The connection's
 *   `maxMessageSize` is checked beside it.
 * - `idleTimeout`: after how many seconds without a message Bun breaks a connection; Bun sends Pings meanwhile,
 *   whose Pongs count. Default 120.
 * - `perMessageDeflate`: whether Bun offers compression. Default false.
 * - The other options are those of `WebSocketServer.makeConnections`, and `upgrade`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebServer.Options {
  readonly port?: number | undefined
  readonly hostname?: string | undefined
  readonly tls?: object | undefined
  readonly maxPayloadLength?: number | undefined
  readonly idleTimeout?: number | undefined
  readonly perMessageDeflate?: boolean | undefined
}

interface Data {
  readonly transport: BunTransport
}

type Socket = ServerWebSocketLike & { readonly data: Data }

interface BunServer {
  readonly port: number
  readonly hostname: string
  requestIP(request: Request): { readonly address: string } | null
  upgrade(
    request: Request,
    options: { readonly headers: ReadonlyArray<readonly [string, string]>; readonly data: Data }
  ): boolean
  stop(closeActive: boolean): Promise<void>
}

interface Bun {
  serve(options: object): BunServer
}

// Above it Bun drops messages. The connection's own mark is far below, and one message may be larger.
const backpressureLimit = 2 ** 30

const websocket = ({ idleTimeout = 120, maxPayloadLength = 16 * 1024 * 1024, perMessageDeflate = false }: Options) => ({
  idleTimeout,
  maxPayloadLength,
  perMessageDeflate,
  backpressureLimit,
  closeOnBackpressureLimit: false,
  open: (socket: Socket) => socket.data.transport.onOpen(socket),
  message: (socket: Socket, data: unknown) => socket.data.transport.onMessage(data),
  drain: (socket: Socket) => socket.data.transport.onDrain(),
  close: (socket: Socket, code: number, reason: string) => socket.data.transport.onClose(code, reason)
})

/**
 * Makes an `HttpServer` on `Bun.serve`. The end of the scope closes its WebSockets as `shutdown` says, and
 * then the server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<HttpServer.HttpServer["Service"], ServeError, Scope.Scope> =>
  Effect.gen(function*() {
    const bun = Option.getOrThrowWith(platformGlobal<Bun>("Bun"), () => new Error("BunHttpServer runs on Bun only"))
    const { hostname, port, tls } = options
    const server = new WebServer.WebServer(options)
    const accept = (request: Request, bunServer: BunServer): WebServer.Incoming["accept"] => (answer) => {
      const { applicationHeaders, subprotocol } = answer
      const transport = new BunTransport()
      // Without this line Bun accepts the first that was offered; an empty one is not sent.
      const headers = [...applicationHeaders, ["sec-websocket-protocol", subprotocol ?? ""] as const]
      const isUpgraded = bunServer.upgrade(request, { headers, data: { transport } })
      return { response: isUpgraded ? undefined : new Response(null, { status: 400 }), transport: transport.opened(isUpgraded) }
    }
    const listening = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          bun.serve({
            ...(port === undefined ? undefined : { port }),
            ...(hostname === undefined ? undefined : { hostname }),
            ...(tls === undefined ? undefined : { tls }),
            websocket: websocket(options),
            fetch: (request: Request, bunServer: BunServer) =>
              server.handle({
                request,
                remoteAddress: bunServer.requestIP(request)?.address,
                isSecure: tls !== undefined,
                signal: request.signal,
                accept: accept(request, bunServer)
              })
          }),
        catch: (cause) => new ServeError({ cause })
      }),
      (listening) => Effect.promise(() => listening.stop(true))
    )
    return server.at(WebServer.addressOf(listening.hostname, listening.port))
  })

/**
 * Provides an `HttpServer` on `Bun.serve`.
 *
 * **Example** (An echo server on Bun)
 *
 * ```ts
 * import { BunHttpServer, WebSocket, WebSocketServer } from "@effect-ws/core"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => WebSocket.relay(ws, ws)))
 *
 * HttpRouter.serve(Echo).pipe(
 *   Layer.provide(BunHttpServer.layer({ port: 9001 })),
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
