/**
 * An Effect HTTP server over a platform that calls a function with each `Request` (Deno, Bun,
 * Workers), whose routes accept WebSockets of the platform's own.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { UpgradeRequest, UpgradeResponse } from "../Handshake.ts"
import * as HttpUpgrade from "../HttpUpgrade.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import type { IOError } from "../WebSocketError.ts"
import * as WebSocketServer from "../WebSocketServer.ts"

/**
 * How to serve.
 *
 * **Details**
 *
 * - `upgrade`: how connections are accepted that a handler opens by `request.upgrade`.
 * - The other options are those of `WebSocketServer.makeConnections`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebSocketServer.ConnectionsOptions {
  readonly upgrade?: HttpUpgrade.Options | undefined
}

/** What a platform makes of a request that is accepted: what to return to it, and the WebSocket, now or later. */
export interface Switched {
  readonly response: Response | undefined
  readonly transport: MessageTransport | Effect.Effect<MessageTransport, IOError>
}

/** One request, as a platform hands it over. */
export interface Incoming {
  readonly request: Request
  readonly remoteAddress: string | undefined
  readonly isSecure: boolean
  /** Tells that the client is gone before it was answered, where the platform tells just that. */
  readonly signal: AbortSignal | undefined
  /** The clock of this request, where timers of one may not touch another. */
  readonly clock?: Clock.Clock | undefined
  /** Keeps the platform from ending what it runs for this request until its handler has ended. */
  readonly waitUntil?: ((ended: Promise<void>) => void) | undefined
  /** Answers the request by the platform's own handshake. */
  readonly accept: (answer: UpgradeResponse) => Switched
}

/** The address that a platform listens on; a name stands for the loopback address. */
export const addressOf = (hostname: string, port: number): NetAddress.SocketAddress => {
  const ip = NetAddress.ipFromString(hostname)
  return NetAddress.inetAddressUnsafe(ip._tag === "Success" ? ip.success : NetAddress.ipv4Loopback, port)
}

interface Exchange {
  readonly incoming: Incoming
  readonly upgradeRequest: UpgradeRequest
  readonly resolve: (response: Response | undefined) => void
}

type Served = Effect.Effect<void, never, HttpServerRequest.HttpServerRequest>

const isUpgrade = (request: Request): boolean => request.headers.get("upgrade")?.toLowerCase() === "websocket"

/** Lines that platforms drop, since they have performed this part of the handshake themselves. */
const completed = (request: Request): HeaderList => {
  const { headers } = request
  const lines: Array<readonly [string, string]> = [...headers as Iterable<[string, string]>]
  if (!headers.has("host")) lines.push(["host", new URL(request.url).host])
  if (!isUpgrade(request)) return lines
  if (!headers.has("connection")) lines.push(["connection", "Upgrade"])
  if (!headers.has("sec-websocket-key")) lines.push(["sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="])
  if (!headers.has("sec-websocket-version")) lines.push(["sec-websocket-version", "13"])
  return lines
}

export class WebServer {
  private readonly options: Options
  // By the request, which middleware does not change.
  private readonly exchanges = new WeakMap<object, Exchange>()
  private served: Served | undefined
  private run: ((effect: Effect.Effect<void>) => Fiber.Fiber<void>) | undefined

  constructor(options: Options) {
    this.options = options
  }

  /** The server at an address, which serves one effect. */
  at(address: NetAddress.SocketAddress): HttpServer.HttpServer["Service"] {
    return HttpServer.make({
      address,
      serve: (httpEffect, middleware) =>
        Effect.gen({ self: this }, function*() {
          const connections = WebSocketServer.makeConnections(this.options)
          const upgrades = { find: (source: object) => this.find(source), connections }
          const context = yield* Effect.context<Scope.Scope>()
          const handled = HttpEffect.toHandled(
            HttpUpgrade.serve(httpEffect, upgrades, this.options.upgrade),
            (request, response) => this.answer(request, response),
            middleware
          )
          this.served = Effect.provideContext(handled, context)
          const run = Effect.runForkWith(context)
          this.run = run
          yield* Effect.addFinalizer(() =>
            Effect.andThen(
              Effect.provideContext(connections.shutdown, context),
              Effect.sync(() => {
                this.served = undefined
              })
            )
          )
        })
    })
  }

  /** Handles a request. `undefined`: the platform has the answer. */
  handle(incoming: Incoming): Promise<Response | undefined> {
    const { clock, isSecure, remoteAddress, request, signal, waitUntil } = incoming
    const { run, served } = this
    if (served === undefined || run === undefined) return Promise.resolve(new Response(null, { status: 503 }))
    return new Promise((resolve) => {
      const headers = completed(request)
      this.exchanges.set(request, {
        incoming,
        upgradeRequest: { method: request.method, httpVersion: "1.1", target: request.url, headers, secure: isSecure },
        resolve
      })
      const asked = HttpServerRequest.fromWeb(request).modify({
        headers: Headers.fromInput(headers),
        remoteAddress: Option.fromUndefinedOr(remoteAddress)
      })
      const handled = Effect.provideService(served, HttpServerRequest.HttpServerRequest, asked)
      const fiber = run(clock === undefined ? handled : Effect.provideService(handled, Clock.Clock, clock))
      waitUntil?.(new Promise((ended) => fiber.addObserver(() => ended())))
      // A connection that was made of the request has an end of its own.
      signal?.addEventListener("abort", () => {
        if (this.exchanges.has(request)) fiber.interruptUnsafe(undefined, HttpServerError.ClientAbort.annotation)
      }, { once: true })
    })
  }

  private find(source: object): WebSocketServer.Upgrade | undefined {
    const exchange = this.exchanges.get(source)
    if (exchange === undefined || !isUpgrade(exchange.incoming.request)) return undefined
    return {
      request: exchange.upgradeRequest,
      negotiatesExtensions: false,
      open: (answer) => {
        // A second `accept` finds nothing.
        this.exchanges.delete(source)
        const { response, transport } = exchange.incoming.accept(answer)
        exchange.resolve(response)
        return transport
      },
      expire: () => {
        if (!this.exchanges.delete(source)) return
        exchange.resolve(new Response(null, { status: 503 }))
      }
    }
  }

  /** Answers, unless the platform has. */
  private answer(
    request: HttpServerRequest.HttpServerRequest,
    response: HttpServerResponse.HttpServerResponse
  ): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      const exchange = this.exchanges.get(request.source)
      if (exchange === undefined) return Effect.void
      this.exchanges.delete(request.source)
      const { signal } = exchange.incoming
      const web = HttpServerResponse.toWeb(HttpEffect.scopeTransferToStream(response), {
        withoutBody: request.method === "HEAD",
        context: fiber.context,
        signal
      })
      if (isUpgrade(exchange.incoming.request)) {
        // A refusal has lines of the same name.
        const lines = HttpUpgrade.headerLines(response)
        for (const [name] of lines) web.headers.delete(name)
        for (const [name, value] of lines) web.headers.append(name, value)
      }
      exchange.resolve(web)
      return Effect.void
    })
  }
}
