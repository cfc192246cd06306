/** This library against a peer: one connection between the two, whoever dials. */
import { type PerMessageDeflate, type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { type ConnectOptions, type PeerClient, type PeerServer, type PeerSocket, Refused } from "./peer.ts"

/** The two ends of one connection. */
export interface Pair {
  readonly ours: WebSocket.WebSocket
  readonly peer: PeerSocket
  /** Those of the handshake that our side saw or sent: the request's. */
  readonly requestHeaders: Readonly<Record<string, string | undefined>>
  /** Ends our program around the connection: a server shuts down, a client's scope ends. */
  readonly end: Effect.Effect<void>
  /** What the peer is told then. */
  readonly endCode: 1000 | 1001
}

export interface PairOptions extends ConnectOptions {
  /** The subprotocols of the side that listens. */
  readonly supported?: ReadonlyArray<string>
  /** How our side compresses; default: as it does by itself. */
  readonly compression?: boolean | PerMessageDeflate.Options
}

export type OpenPair = (options?: PairOptions) => Effect.Effect<Pair, never, Scope.Scope>

/** Our side's headers of the 101. */
export const servedHeaders = { "x-served-by": "effect-ws", "set-cookie": "seen=yes; Path=/" }

/** A scope that is closed with the current one, unless it was closed before. */
const childScope = Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))

const page = readFileSync(new URL("support/page.html", import.meta.url), "utf8")

interface Accepted {
  readonly ours: WebSocket.WebSocket
  readonly requestHeaders: Readonly<Record<string, string | undefined>>
}

/** Our server on a free port: the page at `/`, beside WebSockets there; ends with its scope. */
export const serve = (scope: Scope.Scope, { compression, supported = [] }: PairOptions = {}) =>
  Effect.gen(function*() {
    const accepted = yield* Deferred.make<Accepted>()
    const take = (ours: WebSocket.WebSocket) =>
      Effect.gen(function*() {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        yield* Deferred.succeed(accepted, { ours, requestHeaders: headers })
        yield* ours.closed
      })
    const upgrade = WebSocketServer.handle(take, { selectSubprotocol: supported, headers: servedHeaders, compression })
    const route = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      headers["upgrade"] === undefined
        ? Effect.succeed(HttpServerResponse.setHeader(HttpServerResponse.html(page), "set-cookie", "page=1; Path=/"))
        : upgrade)
    const routes = HttpRouter.add("GET", "/", route)
    const App = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
    )
    const context = yield* Layer.buildWithScope(App, scope)
    const address = Context.get(context, HttpServer.HttpServer).address
    if (address._tag === "UnixPathAddress") return yield* Effect.die(new Error("no port"))
    return { url: `ws://127.0.0.1:${address.port}/`, accepted: Deferred.await(accepted) }
  }).pipe(Effect.orDie)

/** The peer dials our server. */
export const asServer = (peer: PeerClient): OpenPair => (options = {}) =>
  Effect.gen(function*() {
    const scope = yield* childScope
    const { accepted, url } = yield* serve(scope, options)
    const socket = yield* Effect.promise(() => peer.connect(url, options))
    return { ...(yield* accepted), peer: socket, end: Scope.close(scope, Exit.void), endCode: 1001 }
  })

/** How a peer's attempt is refused. */
export const refusal = (attempt: () => Promise<PeerSocket>): Effect.Effect<Refused> =>
  Effect.promise(async () => {
    try {
      await attempt()
    } catch (error) {
      if (error instanceof Refused) return error
      throw error
    }
    throw new Error("the peer was not refused")
  })

/** How a peer is refused by our server. */
export const refusedBy = (peer: PeerClient, options: ConnectOptions) =>
  Effect.gen(function*() {
    const { url } = yield* serve(yield* Effect.scope)
    return yield* refusal(() => peer.connect(url, options))
  })

/** A server of the peer's; ends with the scope. */
const listen = (peer: PeerServer, options: Parameters<PeerServer["listen"]>[0]) =>
  Effect.acquireRelease(
    Effect.promise(() => peer.listen(options)),
    (listener) => Effect.promise(() => listener.close())
  )

/** We dial the peer's server. */
export const asClient = (peer: PeerServer): OpenPair => (options = {}) =>
  Effect.gen(function*() {
    const listener = yield* listen(peer, { protocols: options.supported ?? [], deflate: options.deflate })
    const scope = yield* childScope
    const ours = yield* WebSocketClient.connect(listener.url, {
      subprotocols: options.protocols,
      headers: options.headers,
      compression: options.compression
    }).pipe(Scope.provide(scope), Effect.provide(NodeWebSocketClient.layer), Effect.orDie)
    const socket = yield* Effect.promise(() => listener.accept())
    return { ours, peer: socket, requestHeaders: socket.headers, end: Scope.close(scope, Exit.void), endCode: 1000 }
  })

/** How we are refused by a peer's server. */
export const refusedWith = (peer: PeerServer, status: number) =>
  Effect.gen(function*() {
    const listener = yield* listen(peer, { refuse: status })
    return yield* Effect.flip(WebSocketClient.connect(listener.url))
  }).pipe(Effect.provide(NodeWebSocketClient.layer))
