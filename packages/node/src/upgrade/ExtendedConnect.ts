/**
 * WebSockets over HTTP/2 (RFC 8441): a request for one is an extended CONNECT, whose stream
 * becomes the connection. END_STREAM is what FIN is to a socket, RST_STREAM what a reset is, and the
 * stream's window holds the peer back. HTTP/3 (RFC 9220) asks in the same way; Node has no
 * server for it.
 */
import type { Handshake, Transport, WebSocketServer } from "@effect-ws/core"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import type * as HttpMiddleware from "effect/http/HttpMiddleware"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Http2 from "node:http2"
import { grouped, pairsOf } from "../transport/RawHeaders.ts"
import type { Transports } from "../transport/Transports.ts"

const connectKey = Symbol("extended CONNECT")

interface Keyed {
  [connectKey]?: ExtendedConnect
}

/** The upgrade that a request of HTTP/2 asks for, while it can be had. */
export const find = (source: object): WebSocketServer.Upgrade | undefined => {
  const connect = (source as Keyed)[connectKey]
  return connect?.canOpen === true ? connect : undefined
}

/** Whether a server speaks HTTP/2. */
export const isHttp2 = (server: object): server is Http2.Http2Server => "updateSettings" in server

// Without a listener a reset would crash the process.
const ignore = () => {}

class ExtendedConnect implements WebSocketServer.Upgrade {
  readonly request: Handshake.UpgradeRequest
  /** It has become a connection. */
  isOpen = false
  /** Its time ran out: it is answered, and its handler is interrupted as the stream closes. */
  isExpired = false
  private readonly stream: Http2.ServerHttp2Stream
  private readonly transports: Transports

  constructor(request: Http2.Http2ServerRequest, transports: Transports) {
    const { rawHeaders, stream } = request
    this.stream = stream
    this.transports = transports
    this.request = {
      transport: "connect",
      method: "CONNECT",
      httpVersion: "2.0",
      target: request.headers[":path"],
      headers: pairsOf(rawHeaders),
      secure: stream.session?.encrypted === true
    }
    stream.on("error", ignore)
  }

  get canOpen(): boolean {
    return !this.isOpen && !this.isExpired && !this.stream.headersSent && !this.stream.destroyed
  }

  get sha1() {
    return this.transports.primitives.sha1
  }

  open({ headers, status }: Handshake.UpgradeResponse): Transport.Transport {
    this.isOpen = true
    this.stream.respond({ ":status": status, ...grouped(headers) })
    return this.transports.make(this.stream)
  }

  expire(): void {
    if (!this.canOpen) return
    this.isExpired = true
    this.stream.respond({ ":status": 503, "retry-after": "1" }, { endStream: true })
  }
}

export interface Options<App extends Effect.Effect<HttpServerResponse, unknown, unknown>, E, R> {
  readonly scope: Scope.Scope
  readonly middleware?: HttpMiddleware.HttpMiddleware.Applied<App, E, R> | undefined
  readonly transports: Transports
  readonly isClosing: () => boolean
}

/**
 * Makes a listener for a Node server's `connect` event. Routes see the request as the GET
 * that it is over HTTP/1.1, so that one route serves both.
 */
export const makeListener = <
  R,
  E,
  App extends Effect.Effect<HttpServerResponse, unknown, unknown> = Effect.Effect<HttpServerResponse, E, R>
>(
  httpEffect: Effect.Effect<HttpServerResponse, E, R>,
  { isClosing, middleware, scope, transports }: Options<App, E, R>
): Effect.Effect<
  (request: Http2.Http2ServerRequest, response: Http2.Http2ServerResponse) => void,
  never,
  Exclude<Effect.Services<App>, HttpServerRequest | Scope.Scope>
> =>
  Effect.map(
    StockHttpServer.makeHandler<R, E, App>(httpEffect, { scope, middleware }),
    (handler) => (request, response) => {
      // A CONNECT of HTTP/1.1, which such a server may support too, asks for a proxy.
      if (request.httpVersionMajor < 2) {
        request.socket.destroy()
        return
      }
      if (isClosing()) {
        response.writeHead(503, { "retry-after": "1" }).end()
        return
      }
      const connect = new ExtendedConnect(request, transports)
      // A plain CONNECT asks for a tunnel; another protocol is none of ours (RFC 9220 §3).
      if (request.headers[":protocol"] === undefined) {
        response.writeHead(405, { allow: "GET" }).end()
        return
      }
      ;(request as Keyed)[connectKey] = connect
      Object.defineProperty(request, "method", { configurable: true, value: "GET" })
      // One that has become a connection is not answered any more.
      const isEnded = () => connect.isOpen || (!connect.isExpired && response.finished)
      Object.defineProperty(response, "writableEnded", { configurable: true, get: isEnded })
      handler(request, response)
    }
  )

/** Attaches such a listener; the result takes it away. */
export const attach = (
  server: Http.Server,
  listener: (request: Http2.Http2ServerRequest, response: Http2.Http2ServerResponse) => void
): () => void => {
  const emitter = server as unknown as Http2.Http2Server
  emitter.on("connect", listener as never)
  return () => emitter.off("connect", listener as never)
}
