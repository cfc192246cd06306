/**
 * An HTTP server in memory whose routes accept WebSockets, and the client that connects to
 * it: requests, handshake, refusals and connections as on a real server, without a socket.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as Headers from "effect/http/Headers"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as Handshake from "../Handshake.ts"
import * as HttpUpgrade from "../HttpUpgrade.ts"
import { maxRefusalBody } from "../Limits.ts"
import type { Transport } from "../Transport.ts"
import type * as WebSocket from "../WebSocket.ts"
import * as WebSocketClient from "../WebSocketClient.ts"
import { type HandshakeError, IOError } from "../WebSocketError.ts"
import * as WebSocketServer from "../WebSocketServer.ts"
import * as TestLink from "./TestLink.ts"

/**
 * How the server behaves.
 *
 * **Details**
 *
 * - `link`: how the link of each connection behaves. A function is called for each one with
 *   its index, from 0.
 * - `maxConnections`: one more is refused with 503.
 * - `shutdown`: how connections end with the server; see `TestServer.shutdown`.
 * - `upgrade`: how connections are accepted that a handler opens by `request.upgrade`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly link?: TestLink.Options | ((index: number) => TestLink.Options) | undefined
  readonly maxConnections?: number | undefined
  readonly shutdown?: WebSocketServer.ShutdownOptions | undefined
  readonly upgrade?: HttpUpgrade.Options | undefined
}

/**
 * The server of a test, as {@link layer} provides it.
 *
 * **Details**
 *
 * - `links`: the links of all connections that were accepted, in order.
 * - `shutdown`: ends the server as a real one ends: new connections are refused, handlers are
 *   informed, connections are closed and, at the end of the grace, cut. The end of the layer
 *   only cuts, because the clock of a test does not move any more then.
 * - `kill`: the machine is gone, as by `SIGKILL`: all links are reset at once, and nobody can connect any more. Nothing
 *   that the handlers do afterwards reaches a client; that it does not reach other servers either is up to what they share, such as
 *   `TestBroker.kill`.
 *
 * @category services
 * @since 0.1.0
 */
export class TestServer extends Context.Service<TestServer, {
  readonly links: Effect.Effect<ReadonlyArray<TestLink.TestLink>>
  readonly shutdown: Effect.Effect<WebSocketServer.ShutdownReport>
  readonly kill: Effect.Effect<void>
}>()("@effect-ws/core/testing/TestServer") {}

type Served = Effect.Effect<void, never, HttpServerRequest.HttpServerRequest>

/** One request and its answer. */
interface Exchange {
  readonly request: Handshake.UpgradeRequest
  readonly answer: Deferred.Deferred<Answer>
  readonly link: TestLink.TestLink
}

interface Answer {
  readonly response: Handshake.HandshakeResponse
  readonly transport: Transport | undefined
}

// A request is found by its source, even where middleware has changed it.
const exchanges = new WeakMap<object, Exchange>()

/** Receives the link of the connection that is being made. */
const LinkObserver = Context.Reference<(link: TestLink.TestLink) => void>(
  "@effect-ws/core/testing/TestServer/LinkObserver",
  { defaultValue: () => () => {} }
)

/**
 * Provides an `HttpServer` in memory, and connects `WebSocketClient.connect` to it.
 *
 * **When to use**
 *
 * For tests of routes: which requests are refused and how, which subprotocol is chosen, what
 * is sent on the connection, and what happens when the link breaks.
 *
 * **Details**
 *
 * Every URL leads to this server, whatever its host. The request has no port, and is `http`
 * or `https` as the URL says. `TestServer` gives the links of the connections. For compression
 * provide a codec of the platform to both sides.
 *
 * **Example** (A route and its refusals)
 *
 * ```ts
 * import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
 * import { TestServer } from "@effect-ws/core/testing"
 * import { Effect, Layer, Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const Echo = HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))
 *
 * const App = HttpRouter.serve(Echo, { disableLogger: true }).pipe(
 *   Layer.provideMerge(TestServer.layer({ link: { seed: 42, chop: true } }))
 * )
 *
 * export const test = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("ws://a.example/echo")
 *   yield* ws.send("hello")
 *   console.log(yield* ws.receive) // hello
 *
 *   const headers = { origin: "https://evil.example" }
 *   const error = yield* Effect.flip(WebSocketClient.connect("ws://a.example/echo", { headers }))
 *   console.log(error.message) // the server answered 403 instead of 101 ...
 * }).pipe(Effect.scoped, Effect.provide(App))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TestServer | HttpServer.HttpServer | WebSocketClient.Connector> =>
  Layer.effectContext(Effect.map(Effect.scope, (scope) => {
    const state = new State(options, scope)
    return Context.make(TestServer, {
      links: Effect.sync(() => [...state.links]),
      shutdown: Effect.suspend(() => state.connections.shutdown),
      kill: Effect.suspend(() => {
        state.isKilled = true
        return Effect.forEach(state.links, (link) => link.reset, { discard: true })
      })
    }).pipe(
      Context.add(HttpServer.HttpServer, httpServer(state)),
      Context.add(WebSocketClient.Connector, WebSocketClient.makeConnector({ dial: (request) => dial(state, request) }))
    )
  }))

class State {
  readonly links: Array<TestLink.TestLink> = []
  /** Those of the effect that is served. */
  connections: WebSocketServer.OpenConnections
  served: Served | undefined
  isKilled = false
  readonly options: Options
  /** The fiber that serves a request outlives the one that sent it. */
  readonly scope: Scope.Scope

  constructor(options: Options, scope: Scope.Scope) {
    this.options = options
    this.connections = WebSocketServer.makeConnections(options)
    this.scope = scope
  }

  get nextLink(): TestLink.Options | undefined {
    const { link } = this.options
    return typeof link === "function" ? link(this.links.length) : link
  }

  find(source: object): WebSocketServer.Upgrade | undefined {
    const exchange = exchanges.get(source)
    if (exchange === undefined) return undefined
    const { answer, link, request } = exchange
    return {
      request,
      open: (accepted) => {
        // A second `accept` finds nothing.
        exchanges.delete(source)
        this.links.push(link)
        const response = { status: accepted.status, headers: accepted.headers }
        Deferred.doneUnsafe(answer, Effect.succeed({ response, transport: link.client }))
        return link.server
      }
    }
  }
}

const httpServer = (state: State): HttpServer.HttpServer["Service"] =>
  HttpServer.make({
    address: NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80),
    serve: (httpEffect, middleware) =>
      Effect.gen(function*() {
        const connections = state.connections = WebSocketServer.makeConnections(state.options)
        const upgrades = { find: (source: object) => state.find(source), connections }
        const context = yield* Effect.context<Scope.Scope>()
        const handled = HttpEffect.toHandled(HttpUpgrade.serve(httpEffect, upgrades, state.options.upgrade), answer, middleware)
        state.served = Effect.provideContext(handled, context)
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => {
            state.served = undefined
            // The clock of the test does not move any more: connections that are left are cut.
            return Effect.forEach(state.links, (link) => link.reset, { discard: true })
          })
        )
      })
  })

/** The server answers, unless it has switched protocols. */
const answer = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const exchange = exchanges.get(request.source)
    if (exchange === undefined) return Effect.void
    exchanges.delete(request.source)
    return Effect.promise(async () => {
      const web = HttpServerResponse.toWeb(response)
      const body = (await web.text()).slice(0, maxRefusalBody)
      const named = HttpUpgrade.headerLines(response)
      const others = [...web.headers].filter(([name]) => !named.some((line) => line[0] === name))
      const head = { status: web.status, headers: [...named, ...others], body }
      Deferred.doneUnsafe(exchange.answer, Effect.succeed({ response: head, transport: undefined }))
    })
  })

const dial = (
  state: State,
  request: Handshake.HandshakeRequest
): Effect.Effect<WebSocketClient.Dialed, IOError> =>
  Effect.gen(function*() {
    const { served } = state
    if (served === undefined || state.isKilled) {
      return yield* new IOError({ phase: "connect", reason: "Refused", detail: "Nothing is served" })
    }
    const link = yield* Scope.provide(TestLink.make(state.nextLink), state.scope)
    const observe = yield* LinkObserver
    const url = new URL(request.url, `http://${request.host}`)
    const source = new Request(url)
    const headers: Handshake.HeaderList = request.headers.some(([name]) => name.toLowerCase() === "host")
      ? request.headers
      : [["Host", request.host], ...request.headers]
    const answered = yield* Deferred.make<Answer>()
    exchanges.set(source, {
      request: { method: "GET", httpVersion: "1.1", target: request.target, headers, secure: url.protocol === "https:" },
      answer: answered,
      link
    })
    const asked = HttpServerRequest.fromWeb(source).modify({ headers: Headers.fromInput(headers) })
    yield* Effect.forkIn(Effect.provideService(served, HttpServerRequest.HttpServerRequest, asked), state.scope)
    const { response, transport } = yield* Deferred.await(answered)
    if (state.isKilled) return yield* new IOError({ phase: "handshake", reason: "Reset", detail: "The server was killed" })
    if (transport !== undefined) observe(link)
    return {
      response: { ...response, url: url.href },
      transport: transport === undefined ? WebSocketClient.notSwitched : Effect.succeed(transport)
    }
  })

/**
 * Connects to the server of {@link layer} and returns the link together with the connection.
 *
 * **When to use**
 *
 * Instead of `WebSocketClient.connect`, to cause faults on the link. Where the code under test
 * connects by itself, its links are in `TestServer.links`.
 *
 * **Details**
 *
 * The end of the scope cuts the link first, so that no test waits for a closing handshake
 * while its clock stands still.
 *
 * **Example** (A link that is reset)
 *
 * ```ts
 * import { TestServer } from "@effect-ws/core/testing"
 * import { Effect } from "effect"
 *
 * export const test = Effect.gen(function*() {
 *   const { client, link } = yield* TestServer.connect("/echo")
 *   yield* client.send("hello")
 *   yield* link.reset
 *   return yield* Effect.flip(client.receive) // IOError, reason "Reset"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  url: string | URL,
  options: WebSocketClient.ConnectOptions = {}
): Effect.Effect<
  { readonly client: WebSocket.WebSocket; readonly link: TestLink.TestLink },
  HandshakeError | IOError,
  WebSocketClient.Connector | Scope.Scope
> =>
  Effect.suspend(() => {
    let link: TestLink.TestLink | undefined
    return WebSocketClient.connect(url, options).pipe(
      Effect.provideService(LinkObserver, (made) => {
        link = made
      }),
      Effect.flatMap((client) =>
        link === undefined
          ? Effect.die(new Error("TestServer.connect needs the Connector of TestServer.layer"))
          : Effect.as(Effect.addFinalizer(() => link!.reset), { client, link })
      )
    )
  })
