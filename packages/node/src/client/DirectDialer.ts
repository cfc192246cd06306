/**
 * Dials by `node:http` and `node:https`: only what a handshake needs, by documented interfaces only.
 */
import { Handshake, type Transport, WebSocketClient, type WebSocketError } from "@effect-ws/core"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import type { Buffer } from "node:buffer"
import * as Http from "node:http"
import * as Https from "node:https"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type * as Tls from "node:tls"
import { lowerPairsOf } from "../transport/RawHeaders.ts"
import type { Transports } from "../transport/Transports.ts"
import * as Proxy from "./Proxy.ts"
import * as Tunnel from "./Tunnel.ts"

/**
 * How to dial without an `HttpClient`.
 *
 * **Details**
 *
 * - `tls`: Node's options for wss. Certificates are verified, whatever
 *   `NODE_TLS_REJECT_UNAUTHORIZED` says; `rejectUnauthorized: false` stops that, and
 *   each connection then logs a warning.
 * - `socketPath`: a Unix domain socket, or a named pipe, to connect to in place of the
 *   URL's host.
 * - `localAddress`, `family`, `lookup`: see `net.connect`.
 * - `proxy`: a proxy to connect through, for ws and wss alike: the URL of an HTTP proxy (`http:`, or
 *   `https:` for TLS to the proxy) or of a SOCKS5 proxy (`socks5:`, which looks up the host's name),
 *   with a user and password if it asks for them; or `"environment"`, which takes it from
 *   `HTTPS_PROXY` for wss and `HTTP_PROXY` for ws, then `ALL_PROXY`, unless `NO_PROXY` names the
 *   host. Default: none. With `socketPath`, `"environment"` means none.
 * - `proxyTls`: Node's options for TLS to an `https:` proxy, whose certificate is verified as well.
 *
 * @category models
 * @since 0.1.0
 */
export interface DirectOptions
  extends Pick<Http.RequestOptions, "socketPath" | "localAddress" | "family" | "lookup">
{
  readonly tls?: Tls.ConnectionOptions | undefined
  readonly proxy?: Proxy.ProxyOption | undefined
  readonly proxyTls?: Tls.ConnectionOptions | undefined
}

// The limit of an answer's head: Node's default, whatever the process was started with.
const maxHeaderSize = 16 * 1024

export const make = ({ proxy, proxyTls, tls, ...net }: DirectOptions, transports: Transports): WebSocketClient.Dialer => {
  // Connections leave their agent; it is used for the TLS sessions that it remembers.
  const plain = new Http.Agent()
  const secure = new Https.Agent({ ...tls, rejectUnauthorized: tls?.rejectUnauthorized !== false })
  const unverified = tls?.rejectUnauthorized === false

  const through = (url: URL, tunnel: Socket) =>
    url.protocol === "https:" ? Tunnel.secure(tunnel, url, tls, ["http/1.1"]) : tunnel

  const send = (url: URL, request: Handshake.HandshakeRequest, tunnel: Socket | undefined): Http.ClientRequest => {
    const isSecure = url.protocol === "https:"
    const way = tunnel === undefined
      ? { ...net, agent: isSecure ? secure : plain }
      : { createConnection: () => through(url, tunnel) }
    return (isSecure ? Https : Http).request({
      ...way,
      protocol: url.protocol,
      host: Proxy.unbracketed(url.hostname),
      port: url.port,
      path: request.target,
      method: request.method,
      headers: flatHeaders(request),
      maxHeaderSize,
      // Whatever the process was started with.
      insecureHTTPParser: false
    })
  }

  return {
    dial: Effect.fnUntraced(function*(request) {
      yield* transports.ready
      const url = yield* Effect.fromResult(Handshake.normalizeUrl(request.url))
      if (unverified && url.protocol === "https:") {
        yield* Effect.logWarning(
          `The certificate of ${url.host} is not verified (rejectUnauthorized: false): ` +
            "somebody between this program and the server can read and change what is sent"
        )
      }
      const tunnel = yield* Tunnel.maybe(url, { proxy, proxyTls, ...net })
      const attempt = yield* Effect.acquireRelease(
        Effect.try({ try: () => new Attempt(send(url, request, tunnel), transports), catch: (error) => WebSocketClient.connectError(error) }),
        (attempt) => Effect.sync(() => attempt.release())
      )
      const answer = yield* attempt.answer
      const response = { status: answer.status, headers: answer.headers, url: url.href }
      if (answer.message === undefined) {
        const { transport } = answer
        return { response, transport: transport === undefined ? WebSocketClient.notSwitched : Effect.succeed(transport) }
      }
      const { message } = answer
      const stream = NodeStream.fromReadable<Uint8Array, unknown>({ evaluate: () => message, onError: (error) => error })
      const body = yield* WebSocketClient.readRefusal(stream, transports.primitives)
      attempt.release()
      return { response: { ...response, body }, transport: WebSocketClient.notSwitched }
    })
  }
}

/** Names and values alternate, each line as it was given; `Host` is first (RFC 9110 §7.2). */
const flatHeaders = ({ headers, host }: Handshake.HandshakeRequest): Array<string> => {
  const own = headers.some(([name]) => name.toLowerCase() === "host")
  return [...own ? [] : ["Host", host], ...headers.flat()]
}

interface Answer {
  readonly status: number
  readonly headers: Handshake.HeaderList
  /** After a 101. */
  readonly transport?: Transport.Transport | undefined
  /** Any other answer, whose body is not read yet. */
  readonly message?: Http.IncomingMessage | undefined
}

/** One request, until it is answered or abandoned. */
class Attempt {
  private request: Http.ClientRequest | undefined
  private transport: Transport.Transport | undefined
  private readonly transports: Transports

  constructor(request: Http.ClientRequest, transports: Transports) {
    this.request = request
    this.transports = transports
    // The listener stays. The transport reports errors after the answer.
    request.on("error", () => {})
  }

  /** Drops the request. A connection that was made from it is released by then. */
  release(): void {
    this.request?.destroy()
    this.transport?.destroy()
  }

  readonly answer: Effect.Effect<Answer, WebSocketError.IOError> = Effect.callback((resume) => {
    const request = this.request!
    const headOf = (message: { readonly statusCode?: number | undefined; readonly rawHeaders: Array<string> }) => ({
      status: message.statusCode ?? 0,
      headers: lowerPairsOf(message.rawHeaders)
    })
    request.on("upgrade", (message: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
      // The transport alone lives as long as the connection.
      this.request = undefined
      const transport = this.transport = this.transports.make(socket, head)
      resume(Effect.succeed({ ...headOf(message), transport }))
    })
    request.on("response", (message) => {
      resume(Effect.succeed({ ...headOf(message), message }))
    })
    // For Node a 101 without the headers of an upgrade is an interim answer; here it is wrong.
    request.on("information", (message) => {
      if (message.statusCode === 101) resume(Effect.succeed(headOf(message)))
    })
    request.on("error", (error) => resume(Effect.fail(WebSocketClient.connectError(error))))
    request.end()
  })
}
