/**
 * Connections through a proxy: by HTTP's CONNECT (RFC 9110 §9.3.6), which RFC 6455 §4.1 asks for
 * with ws and wss alike, or by SOCKS5.
 */
import { WebSocketClient, WebSocketError } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { lowerPairsOf } from "../transport/RawHeaders.ts"
import { portOf, type Proxy, proxyFor, type ProxyOption, unbracketed } from "./Proxy.ts"
import * as Socks5 from "./Socks5.ts"

/** How to reach the proxy. */
export interface Options extends Pick<Http.RequestOptions, "localAddress" | "family" | "lookup"> {
  readonly proxyTls?: Tls.ConnectionOptions | undefined
}

/** How to reach a server, perhaps through a proxy. */
export interface Route extends Options {
  readonly proxy?: ProxyOption | undefined
  readonly socketPath?: string | null | undefined
}

type Failure = WebSocketError.HandshakeError | WebSocketError.IOError

const ignore = () => {}

// The limit of an answer's head: Node's default, whatever the process was started with.
const maxHeaderSize = 16 * 1024

/** Connects to the host of a URL through the proxy of a route; `undefined` if there is none. */
export const maybe = (
  url: URL,
  { proxy, socketPath, ...options }: Route
): Effect.Effect<Net.Socket | undefined, Failure, Scope.Scope> =>
  Effect.suspend(() => {
    if (proxy === undefined || (proxy === "environment" && typeof socketPath === "string")) return Effect.undefined
    if (typeof socketPath === "string") return Effect.fail(conflict)
    return Effect.flatMap(
      Effect.fromResult(proxyFor(proxy, url, process.env)),
      (found) => found === undefined ? Effect.undefined : open(found, url, options)
    )
  })

const conflict = new WebSocketError.HandshakeError({
  reason: "OptionUnsupported",
  section: "RFC 6455 §4.1",
  detail: "socketPath and proxy are both given: a Unix domain socket is not reached through a proxy",
  headers: [],
  body: ""
})

/** Connects to the host of a URL through a proxy. The connection is destroyed with the scope. */
const open = (proxy: Proxy, url: URL, options: Options): Effect.Effect<Net.Socket, Failure, Scope.Scope> =>
  WebSocketClient.awaiting(
    proxy.kind === "socks5" ? overSocks(proxy, url, options) : overHttp(proxy, url, options),
    () => `the proxy ${proxy.name}`
  )

const unreachable = (proxy: Proxy) => (cause: unknown) => WebSocketClient.connectError(cause, `the proxy ${proxy.name}`)

const overSocks = Effect.fnUntraced(function*(proxy: Proxy, url: URL, options: Options) {
  const socket = yield* Effect.acquireRelease(
    Effect.try({ try: () => Net.connect({ ...options, host: proxy.host, port: proxy.port }), catch: unreachable(proxy) }),
    (socket) => Effect.sync(() => socket.destroy())
  )
  socket.on("error", ignore)
  yield* Effect.callback<void, WebSocketError.IOError>((resume) => {
    socket.once("connect", () => resume(Effect.void))
    socket.once("error", (error) => resume(Effect.fail(unreachable(proxy)(error))))
    // Destroyed by the scope while it connects.
    socket.once("close", () => resume(Effect.fail(unreachable(proxy)(undefined))))
  })
  yield* Socks5.connect(socket, proxy, url.hostname, portOf(url))
  return socket
})

const overHttp = Effect.fnUntraced(function*(proxy: Proxy, url: URL, { proxyTls, ...net }: Options) {
  const authority = `${url.hostname}:${portOf(url)}`
  if (proxy.isSecure && proxyTls?.rejectUnauthorized === false) {
    yield* Effect.logWarning(
      `The certificate of the proxy ${proxy.name} is not verified (rejectUnauthorized: false): ` +
        "somebody between this program and the proxy can read its credentials"
    )
  }
  const attempt = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        new ConnectAttempt((proxy.isSecure ? Https : Http).request({
          ...net,
          ...(proxy.isSecure && { ...proxyTls, rejectUnauthorized: proxyTls?.rejectUnauthorized !== false }),
          agent: false,
          method: "CONNECT",
          host: proxy.host,
          port: proxy.port,
          path: authority,
          headers: { Host: authority, ...authorization(proxy) },
          maxHeaderSize,
          insecureHTTPParser: false
        })),
      catch: unreachable(proxy)
    }),
    (attempt) => Effect.sync(() => attempt.release())
  )
  return yield* attempt.answer(proxy, authority)
})

const authorization = ({ credentials }: Proxy): Http.OutgoingHttpHeaders =>
  credentials === undefined
    ? {}
    : { "Proxy-Authorization": `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString("base64")}` }

/** One CONNECT, and the connection that it becomes. */
class ConnectAttempt {
  private readonly request: Http.ClientRequest
  private socket: Net.Socket | undefined

  constructor(request: Http.ClientRequest) {
    this.request = request
    request.on("error", ignore)
    // Node adds "Connection: close", which a proxy could take at its word.
    request.removeHeader("connection")
  }

  release(): void {
    this.request.destroy()
    this.socket?.destroy()
  }

  answer(proxy: Proxy, authority: string): Effect.Effect<Net.Socket, Failure> {
    return Effect.callback((resume) => {
      const { request } = this
      // Node reports every answer to CONNECT by this event, whatever its status is.
      request.on("connect", (message: Http.IncomingMessage, duplex: unknown, head: Buffer) => {
        // A request over TCP or TLS hands over its socket, which the types do not say.
        const socket = this.socket = duplex as Net.Socket
        socket.on("error", ignore)
        const status = message.statusCode ?? 0
        if (status < 200 || status > 299) {
          socket.destroy()
          resume(Effect.fail(refused(proxy, authority, status, message)))
          return
        }
        if (head.length > 0) socket.unshift(head)
        resume(Effect.succeed(socket))
      })
      request.on("error", (error) => resume(Effect.fail(unreachable(proxy)(error))))
      request.end()
    })
  }
}

const refused = (proxy: Proxy, authority: string, status: number, message: Http.IncomingMessage) =>
  new WebSocketError.HandshakeError({
    reason: "ProxyRefused",
    section: "RFC 9110 §9.3.6",
    detail: `The proxy ${proxy.name} refused to connect to ${authority}: ${adviceOf(proxy, status)}`,
    status,
    headers: lowerPairsOf(message.rawHeaders),
    body: ""
  })

const adviceOf = ({ credentials }: Proxy, status: number): string => {
  if (status === 407) {
    return credentials === undefined
      ? "it asks for a user and password; give them in its URL"
      : "it does not accept the user and password of its URL"
  }
  if (status === 403 || status === 405) return "its rules do not allow it"
  if (status === 502 || status === 503 || status === 504) return "it cannot reach that host"
  return "see the status and headers of its response"
}

/** TLS with the URL's host over a tunnel. */
export const secure = (
  socket: Net.Socket,
  url: URL,
  tls: Tls.ConnectionOptions | undefined,
  ALPNProtocols: Array<string>
): Tls.TLSSocket => {
  const host = unbracketed(url.hostname)
  return Tls.connect({
    ...(Net.isIP(host) === 0 && { servername: host }),
    ...tls,
    // With a socket this is the name that the certificate is checked for.
    host,
    socket,
    rejectUnauthorized: tls?.rejectUnauthorized !== false,
    ALPNProtocols
  })
}
