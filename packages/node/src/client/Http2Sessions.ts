/**
 * The HTTP/2 sessions of a client: one for each origin, which the connections to it share (RFC 8441). A session
 * takes no further stream once it is full, told to go away, or silent; it ends with its last stream.
 */
import { WebSocketClient, WebSocketError } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import * as Tls from "node:tls"
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

const ignore = () => {}

// A server that does not speak HTTP/2 is asked again after so many milliseconds.
const http1For = 600_000

// A dial's handshakeTimeout does not end what other dials wait for too.
const tunnelTimeout = "30 seconds"

const tooSlow = (peer: string) =>
  new WebSocketError.IOError({
    phase: "connect",
    reason: "TimedOut",
    detail: `${peer.slice(0, 1).toUpperCase()}${peer.slice(1)} did not connect within ${tunnelTimeout}`
  })

/** A stream that, like a socket, can let the process end although it is open. */
export interface SharedStream extends Http2.ClientHttp2Stream {
  readonly unref: () => void
}

/** The session that connections to an origin share, or the fact that there is none (`undefined`). */
export class Shared {
  readonly opening: Promise<Http2.ClientHttp2Session | undefined>
  /** Whom it waits for, where that is not the server. */
  readonly awaited = WebSocketClient.makeAwaited()
  private readonly abort = new AbortController()
  private session: Http2.ClientHttp2Session | undefined
  private streams = 0
  // Streams for which the process stays.
  private kept = 0
  /** Dials that wait for it. */
  private dials = 0
  private isRetired = false

  constructor(open: (shared: Shared, signal: AbortSignal) => Promise<Http2.ClientHttp2Session | undefined>) {
    this.opening = open(this, this.abort.signal)
    this.opening.then((session) => {
      this.session = session
      this.endIfUnused()
    }, ignore)
  }

  /** The server takes no further stream: one would wait until another ends. */
  get isFull(): boolean {
    return this.streams >= (this.session?.remoteSettings.maxConcurrentStreams ?? Infinity)
  }

  /** Another dial waits for it too. */
  get isAwaited(): boolean {
    return this.dials > 1
  }

  join(): this {
    this.dials++
    return this
  }

  leave(): void {
    this.dials--
    this.endIfUnused()
  }

  /** Opens a stream. The session keeps the process alive for as long as one is open that was not released by `unref`. */
  request(session: Http2.ClientHttp2Session, headers: Http2.OutgoingHttpHeaders): SharedStream {
    const stream = session.request(headers, { endStream: false })
    this.streams++
    if (this.kept++ === 0) session.ref()
    let isKept = true
    const unref = () => {
      if (!isKept) return
      isKept = false
      if (--this.kept === 0) session.unref()
    }
    stream.once("close", () => {
      unref()
      this.streams--
      this.endIfUnused()
    })
    return Object.assign(stream, { unref })
  }

  /** No dial follows: it ends with the dials that wait for it and its last stream. */
  retire(): void {
    this.isRetired = true
    this.endIfUnused()
  }

  /** No stream follows. What is being opened is given up. */
  end(): void {
    if (this.session === undefined) this.abort.abort()
    else this.session.close()
  }

  // Not earlier: a server that is told to go away refuses the streams that it has not heard of yet.
  private endIfUnused(): void {
    if (this.isRetired && this.dials === 0 && this.streams === 0) this.end()
  }
}

/** The sessions of one dialler, one for each origin. They are closed with the scope. */
export class Sessions {
  private readonly byOrigin = new Map<string, Shared>()
  private readonly options: Http2Options

  constructor(options: Http2Options) {
    this.options = options
  }

  /** The session of an origin, joined: the one that is open and has room, or a new one. */
  join(url: URL): Shared {
    const known = this.byOrigin.get(url.origin)
    if (known?.isFull === false) return known.join()
    if (known !== undefined) this.retire(url, known)
    const shared = new Shared(({ awaited }, signal) => this.open(url, awaited, signal))
    this.byOrigin.set(url.origin, shared)
    const forget = () => this.retire(url, shared)
    shared.opening.then((session) => {
      if (session === undefined) {
        setTimeout(forget, http1For).unref()
      } else {
        session.once("close", forget)
        session.once("goaway", forget)
      }
    }, forget)
    return shared.join()
  }

  /** Leaves a new session to the next dial. */
  retire(url: URL, shared: Shared): void {
    if (this.byOrigin.get(url.origin) === shared) this.byOrigin.delete(url.origin)
    shared.retire()
  }

  close(): void {
    for (const shared of this.byOrigin.values()) shared.end()
    this.byOrigin.clear()
  }

  private async open(
    url: URL,
    awaited: WebSocketClient.AwaitedPeer,
    signal: AbortSignal
  ): Promise<Http2.ClientHttp2Session | undefined> {
    const tunnel = await this.tunnel(url, awaited, signal)
    if (url.protocol === "https:") return this.openSecure(url, tunnel, signal)
    return this.settled(Http2.connect(url.origin, tunnel === undefined ? {} : { createConnection: () => tunnel }), signal)
  }

  /** The tunnel belongs to the session, so no dial's scope ends it. */
  private tunnel(url: URL, awaited: WebSocketClient.AwaitedPeer, signal: AbortSignal): Promise<Net.Socket | undefined> {
    if (this.options.proxy === undefined) return Promise.resolve(undefined)
    const opening = Effect.gen({ self: this }, function*() {
      const scope = yield* Scope.make()
      return yield* Tunnel.maybe(url, this.options).pipe(
        Scope.provide(scope),
        Effect.provideService(WebSocketClient.Awaited, awaited),
        Effect.timeoutOrElse({ duration: tunnelTimeout, orElse: () => Effect.fail(tooSlow(awaited.name() ?? "the proxy")) }),
        Effect.onExit((exit) => exit._tag === "Failure" ? Scope.close(scope, exit) : Effect.void)
      )
    })
    return Effect.runPromise(opening, { signal })
  }

  private openSecure(
    url: URL,
    tunnel: Net.Socket | undefined,
    signal: AbortSignal
  ): Promise<Http2.ClientHttp2Session | undefined> {
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
      const giveUp = () => socket.destroy(givenUp())
      signal.addEventListener("abort", giveUp)
      socket.once("error", reject)
      socket.once("secureConnect", () => {
        signal.removeEventListener("abort", giveUp)
        socket.off("error", reject)
        if (socket.alpnProtocol !== "h2") {
          socket.on("error", ignore)
          socket.destroy()
          resolve(undefined)
          return
        }
        this.settled(Http2.connect(url.origin, { createConnection: () => socket }), signal).then(resolve, reject)
      })
    })
  }

  /** Once the server has said whether it allows extended CONNECT (RFC 8441 §3), and a stream at all. */
  private settled(session: Http2.ClientHttp2Session, signal: AbortSignal): Promise<Http2.ClientHttp2Session | undefined> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(undefined), this.options.settleMillis ?? 5000)
      const settle = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", giveUp)
        session.off("error", failed)
        session.on("error", ignore)
      }
      const done = (settings: Http2.Settings | undefined) => {
        settle()
        if (settings?.enableConnectProtocol === true && settings.maxConcurrentStreams !== 0) {
          // A session without streams keeps no process alive.
          session.unref()
          resolve(session)
        } else {
          session.destroy()
          resolve(undefined)
        }
      }
      const failed = (error: Error) => {
        settle()
        reject(error)
      }
      const giveUp = () => session.destroy(givenUp())
      signal.addEventListener("abort", giveUp)
      session.once("error", failed)
      session.once("close", () => failed(new Error("The server ended the HTTP/2 session before it sent its settings")))
      session.once("remoteSettings", done)
    })
  }
}

const givenUp = () => new Error("No dial waits for the HTTP/2 session any more")
