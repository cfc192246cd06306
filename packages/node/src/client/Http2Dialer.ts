/**
 * Dials over HTTP/2 by extended CONNECT (RFC 8441): the connections to one origin share one
 * session. A server that does not speak HTTP/2, or whose HTTP/2 does not allow it, is dialled
 * over HTTP/1.1.
 */
import { Handshake, WebSocketClient, WebSocketError } from "@effect-ws/core"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { grouped, lowerPairsOf } from "../transport/RawHeaders.ts"
import type { Transports } from "../transport/Transports.ts"
import { portOf, type ProxyOption, unbracketed } from "./Proxy.ts"
import * as Tunnel from "./Tunnel.ts"

/**
 * How to dial over HTTP/2.
 *
 * **Details**
 *
 * - `tls`: Node's options for wss.
 * - `plain`: whether `ws:` URLs are dialled over HTTP/2 as well, without asking the server first
 *   (prior knowledge, h2c). Default false: they are dialled over HTTP/1.1.
 * - `settleMillis`: how long a server may take to say that it allows extended CONNECT before
 *   it is dialled over HTTP/1.1. Default 5,000.
 * - `proxy`, `proxyTls`: as in `DirectOptions`. A session through a proxy is one tunnel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Http2Options {
  readonly tls?: Tls.ConnectionOptions | undefined
  readonly plain?: boolean | undefined
  readonly settleMillis?: number | undefined
  readonly proxy?: ProxyOption | undefined
  readonly proxyTls?: Tls.ConnectionOptions | undefined
}

/** A session that connections share, or the fact that there is none for an origin. */
type Session = Http2.ClientHttp2Session | "http/1.1"

const ignore = () => {}

// A dial's handshakeTimeout does not end what other dials wait for too.
const tunnelTimeout = "30 seconds"

const tooSlow = new WebSocketError.IOError({
  phase: "connect",
  reason: "TimedOut",
  detail: "The proxy did not connect within 30 seconds"
})

/** The sessions of one dialler, one for each origin. They are closed with the scope. */
export class Sessions {
  private readonly byOrigin = new Map<string, Promise<Session>>()
  private readonly options: Http2Options
  private isClosed = false
  private readonly closing = new AbortController()

  constructor(options: Http2Options) {
    this.options = options
  }

  /** The session of an origin: the one that is open, or a new one. */
  get(url: URL): Promise<Session> {
    const known = this.byOrigin.get(url.origin)
    if (known !== undefined) return known
    const opening = this.open(url)
    this.byOrigin.set(url.origin, opening)
    const forget = () => {
      if (this.byOrigin.get(url.origin) === opening) this.byOrigin.delete(url.origin)
    }
    opening.then((session) => {
      if (session === "http/1.1") return
      if (this.isClosed) session.destroy()
      session.once("close", forget)
      session.once("goaway", forget)
    }, forget)
    return opening
  }

  close(): void {
    this.isClosed = true
    this.closing.abort()
    for (const opening of this.byOrigin.values()) {
      opening.then((session) => session === "http/1.1" ? undefined : session.close(), ignore)
    }
    this.byOrigin.clear()
  }

  private async open(url: URL): Promise<Session> {
    const tunnel = await this.tunnel(url)
    if (url.protocol === "https:") return this.openSecure(url, tunnel)
    return this.settled(Http2.connect(url.origin, tunnel === undefined ? {} : { createConnection: () => tunnel }))
  }

  /** The tunnel belongs to the session, so no dial's scope ends it. */
  private tunnel(url: URL): Promise<Net.Socket | undefined> {
    if (this.options.proxy === undefined) return Promise.resolve(undefined)
    const opening = Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      return yield* Tunnel.maybe(url, this.options).pipe(
        Scope.provide(scope),
        Effect.timeoutOrElse({ duration: tunnelTimeout, orElse: () => Effect.fail(tooSlow) }),
        Effect.onExit((exit) => exit._tag === "Failure" ? Scope.close(scope, exit) : Effect.void)
      )
    })
    return Effect.runPromise(opening, { signal: this.closing.signal })
  }

  private openSecure(url: URL, tunnel: Net.Socket | undefined): Promise<Session> {
    const host = unbracketed(url.hostname)
    const servername = Net.isIP(host) === 0 ? host : undefined
    const { tls } = this.options
    return new Promise((resolve, reject) => {
      const socket = Tls.connect({
        host,
        port: portOf(url),
        ...(tunnel !== undefined && { socket: tunnel }),
        ...(servername !== undefined && { servername }),
        ...tls,
        rejectUnauthorized: tls?.rejectUnauthorized !== false,
        ALPNProtocols: ["h2", "http/1.1"]
      })
      socket.once("error", reject)
      socket.once("secureConnect", () => {
        socket.off("error", reject)
        if (socket.alpnProtocol !== "h2") {
          socket.on("error", ignore)
          socket.destroy()
          resolve("http/1.1")
          return
        }
        this.settled(Http2.connect(url.origin, { createConnection: () => socket })).then(resolve, reject)
      })
    })
  }

  /** Once the server has said whether it allows extended CONNECT (RFC 8441 §3). */
  private settled(session: Http2.ClientHttp2Session): Promise<Session> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(undefined), this.options.settleMillis ?? 5000)
      const done = (settings: Http2.Settings | undefined) => {
        clearTimeout(timer)
        session.off("error", failed)
        session.on("error", ignore)
        if (settings?.enableConnectProtocol === true) {
          // A session without streams keeps no process alive.
          session.unref()
          resolve(session)
        } else {
          session.destroy()
          resolve("http/1.1")
        }
      }
      const failed = (error: Error) => {
        clearTimeout(timer)
        reject(error)
      }
      session.once("error", failed)
      session.once("remoteSettings", done)
    })
  }
}

/** A tunnel fails with a typed error already. */
const failureOf = (error: unknown): WebSocketError.HandshakeError | WebSocketError.IOError =>
  error instanceof WebSocketError.HandshakeError || error instanceof WebSocketError.IOError
    ? error
    : WebSocketClient.connectError(error)

/** Dials over HTTP/2 where the server allows it, by `fallback` where it does not. */
export const make = (
  sessions: Sessions,
  options: Http2Options,
  fallback: WebSocketClient.Dialer,
  transports: Transports
): WebSocketClient.Dialer => ({
  dial: Effect.fnUntraced(function*(request) {
    const url = yield* Effect.fromResult(Handshake.normalizeUrl(request.url))
    if (url.protocol === "http:" && options.plain !== true) return yield* fallback.dial(request)
    const session = yield* Effect.tryPromise({ try: () => sessions.get(url), catch: failureOf })
    if (session === "http/1.1") return yield* fallback.dial(request)
    yield* transports.ready
    return yield* ask(session, url, Handshake.overConnect(request), transports)
  })
})

const ask = (
  session: Http2.ClientHttp2Session,
  url: URL,
  request: Handshake.HandshakeRequest,
  transports: Transports
): Effect.Effect<WebSocketClient.Dialed, WebSocketError.IOError | WebSocketError.HandshakeError, Scope.Scope> =>
  Effect.gen(function*() {
    const stream = yield* Effect.acquireRelease(
      Effect.try({ try: () => session.request(grouped(request.headers), { endStream: false }), catch: (error) => WebSocketClient.connectError(error) }),
      (stream) => Effect.sync(() => stream.destroyed || stream.close(Http2.constants.NGHTTP2_CANCEL))
    )
    stream.on("error", ignore)
    const headers = yield* Effect.callback<Handshake.HeaderList, WebSocketError.IOError>((resume) => {
      stream.once("response", (_, __, raw) => resume(Effect.succeed(lowerPairsOf(raw as unknown as ReadonlyArray<string>))))
      stream.once("error", (error) => resume(Effect.fail(WebSocketClient.connectError(error))))
      stream.once("close", () => resume(Effect.fail(refusedStream(stream.rstCode))))
    })
    const status = Number(headers.find(([name]) => name === ":status")?.[1])
    const response: Handshake.HandshakeResponse = {
      transport: "connect",
      status,
      headers: headers.filter(([name]) => !name.startsWith(":")),
      url: url.href
    }
    if (status >= 200 && status <= 299) return { response, transport: Effect.sync(() => transports.make(stream)) }
    const readable = NodeStream.fromReadable<Uint8Array, unknown>({ evaluate: () => stream, onError: (error) => error })
    const body = yield* WebSocketClient.readRefusal(readable, transports.primitives)
    return { response: { ...response, body }, transport: WebSocketClient.notSwitched }
  })

const refusedStream = (code: number | undefined): WebSocketError.IOError =>
  new WebSocketError.IOError({
    phase: "handshake",
    reason: "Reset",
    detail: `The server reset the HTTP/2 stream of the handshake (error code ${code ?? 0})`
  })
