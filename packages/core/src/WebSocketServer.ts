/**
 * Accepting WebSocket connections inside any route of an Effect HTTP server, beside
 * ordinary routes and behind the same middleware.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as PendingUpgrade from "./server/PendingUpgrade.ts"
import type { CloseCodeFor } from "./CloseCode.ts"
import type { Connection } from "./connection/Connection.ts"
import { type ConnectionError, isConnectionsOwn } from "./server/ConnectionErrors.ts"
import { ConnectionTable, type OpenConnections } from "./server/OpenConnections.ts"
import { makePolicy, type ShutdownOptions } from "./server/Shutdown.ts"
import * as Deadlines from "./runtime/Deadlines.ts"
import { HandlerLifetime } from "./server/HandlerLifetime.ts"
import * as HandlerScope from "./server/HandlerScope.ts"
import { accepted, respondable } from "./server/Responses.ts"
import * as Lifetime from "./connection/Lifetime.ts"
import * as Opening from "./connection/Opening.ts"
import type { Attributes } from "./connection/Observer.ts"
import * as Telemetry from "./connection/Telemetry.ts"
import * as Extension from "./Extension.ts"
import * as Handshake from "./Handshake.ts"
import * as Limits from "./Limits.ts"
import type { MessageExtension } from "./MessageExtension.ts"
import type * as Observability from "./Observability.ts"
import type * as Origin from "./Origin.ts"
import * as PerMessageDeflate from "./PerMessageDeflate.ts"
import { addressKey, AddressLimits } from "./server/AddressLimits.ts"
import { toHeaderList } from "./http/HeadersInput.ts"
import { refusal } from "./http/Refusal.ts"
import * as Negotiation from "./handshake/Negotiation.ts"
import type { Primitives } from "./Primitives.ts"
import type { MessageTransport } from "./MessageTransport.ts"
import type { Transport } from "./Transport.ts"
import type * as WebSocket from "./WebSocket.ts"
import {
  HandshakeError,
  type HandshakeRule,
  type IOError,
  UpgradeUnavailable
} from "./WebSocketError.ts"

/**
 * How a connection is accepted.
 *
 * **Details**
 *
 * - `selectSubprotocol`: which subprotocol to use: a list in order of preference, of which the
 *   first that was offered is chosen, or a function of what was offered. None, by
 *   default or where nothing fits: the client decides whether it goes on.
 * - `requireSubprotocol`: refuses with 400 a client that offers none that fits; the answer's
 *   `Sec-WebSocket-Protocol` lists those of `selectSubprotocol`. `"ifOffered"` lets in a client that
 *   offers none at all. Default false.
 * - `headers`: other headers to send with the 101, such as cookies.
 * - `compression`: whether, or how, to accept permessage-deflate. Default false: see
 *   `PerMessageDeflate` for what it costs and endangers.
 * - `extensions`: other extensions to accept; one of all is used, the first of the
 *   client's offers that suits.
 * - `origin`: which web pages may connect. Default `Origin.sameHost`: those of the host that the
 *   request shows, which behind a proxy is the one of `X-Forwarded-Host` once
 *   `HttpMiddleware.xForwardedHeaders` trusts that proxy.
 * - `closeCodeFor`: what to close with where the handler fails with an error of its own: a
 *   code, or `{ code, reason }`. Default 1011; see `WebSocket.Options`.
 * - `onDisconnect`: what becomes of the handler once its connection has ended: how long it
 *   may go on, 5 seconds behind the end of its reading by default, or `"interrupt"` to
 *   interrupt it at once. See `WebSocket.OnDisconnect`.
 * - `observability`: comes before `Observability.CurrentOptions`.
 * - The other options are the limits of the connection; see `Limits.Options`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AcceptOptions extends Limits.Options {
  readonly selectSubprotocol?:
    | ReadonlyArray<string>
    | ((offered: ReadonlyArray<string>, request: HttpServerRequest.HttpServerRequest) => string | undefined)
    | undefined
  readonly requireSubprotocol?: boolean | "ifOffered" | undefined
  readonly headers?: Handshake.HeadersInput | undefined
  readonly origin?: Origin.OriginPolicy | undefined
  readonly compression?: boolean | PerMessageDeflate.Options | undefined
  readonly extensions?: ReadonlyArray<MessageExtension> | undefined
  readonly closeCodeFor?: CloseCodeFor | undefined
  readonly onDisconnect?: WebSocket.OnDisconnect | undefined
  readonly observability?: Observability.Options | undefined
}

/**
 * One request that can become a connection, as an HTTP server provides it: the head as it was sent,
 * and a way to its transport.
 *
 * **Details**
 *
 * `open` answers the request as `answer` says and returns the transport, with the bytes that arrived
 * early. It is called once. A platform that provides the connection later returns an effect; if that
 * is interrupted, the platform drops the connection. `sha1` is the platform's own, if it has one.
 *
 * A platform that frames messages by itself returns a `MessageTransport`, and sets
 * `negotiatesExtensions` to `false`: then no extension is chosen, whatever is asked for.
 *
 * `expire` is called when the deadline of the handshake has passed while the handler still runs. If
 * the request was not answered, it answers 503 and drops the connection, which interrupts the
 * handler; `open` is impossible afterwards. `HttpUpgrade.serve` keeps the deadline.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upgrade {
  readonly request: Handshake.UpgradeRequest
  readonly open: (
    answer: Handshake.UpgradeResponse
  ) => Transport | MessageTransport | Effect.Effect<Transport | MessageTransport, IOError>
  readonly negotiatesExtensions?: boolean | undefined
  readonly sha1?: Primitives["sha1"] | undefined
  readonly expire?: (() => void) | undefined
}

/**
 * What an HTTP server offers to {@link accept}: its upgrades, found by the `source` of
 * their request (or by the `key` of its `HttpUpgrade.PendingUpgrade`), and its open
 * connections, as {@link makeConnections} makes them.
 *
 * **When to use**
 *
 * To let the HTTP server of another platform accept connections. A server provides it to the effect
 * that it serves.
 *
 * @category services
 * @since 0.1.0
 */
export class Upgrades extends Context.Service<Upgrades, {
  readonly find: (source: object) => Upgrade | undefined
  readonly connections: OpenConnections
}>()("@effect-ws/core/WebSocketServer/Upgrades") {}

/**
 * The limits of one address. Options left out are not limited.
 *
 * **Details**
 *
 * - `connections`: the most connections at once; one more is refused with 429.
 * - `upgrades`: how often an address may ask for a connection: `count` at once, and as many
 *   again over `interval`, evenly. Above it requests are refused with 429 and a
 *   `Retry-After` that fits, before the rules of the handshake are looked at. Refused
 *   ones are not counted.
 * - `remembered`: for how many addresses the rate is known. Default 10,000.
 *
 * An IPv4 address counts by itself, an IPv6 address by its first 64 bits. The address is
 * the request's `remoteAddress`. Behind a proxy that is the proxy's, until Effect's
 * `HttpMiddleware.xForwardedHeaders` knows which proxies to trust. Requests without an
 * address, as over a Unix socket, count as one.
 *
 * **Gotchas**
 *
 * Many people can share one address (carrier-grade NAT, an office, a proxy). Limits that suit one
 * person would exclude them, so none is set by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface PerAddress {
  readonly connections?: number | undefined
  readonly upgrades?: { readonly count: number; readonly interval: Duration.Input } | undefined
  readonly remembered?: number | undefined
}

/**
 * How many connections a server keeps open, in total and for each address, and how they end
 * with it.
 *
 * **Details**
 *
 * `processes`: how many processes serve together, such as the workers of `node:cluster`. Each
 * takes its part of `maxConnections` and of the limits of an address, rounded up
 * (`Limits.share`). Default 1: limits are those of this process.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionsOptions {
  readonly maxConnections?: number | undefined
  readonly perAddress?: PerAddress | undefined
  readonly processes?: number | undefined
  readonly shutdown?: ShutdownOptions | undefined
}

/**
 * Makes the record of a server's open connections. Above `maxConnections` (default
 * 100,000) requests are refused with 503. Throws `InvalidArgument` where `shutdown` has a
 * code or a reason that cannot be sent, or `processes` is not a whole number from 1 on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeConnections = (options: ConnectionsOptions = {}): OpenConnections => {
  const { maxConnections = Limits.defaultMaxConnections, perAddress, processes } = options
  const policy = makePolicy(options.shutdown)
  const limit = Limits.share(maxConnections, processes)
  if (perAddress === undefined) return new ConnectionTable(limit, undefined, policy)
  const { connections = Infinity, remembered = Limits.defaultRememberedAddresses, upgrades } = perAddress
  return new ConnectionTable(
    limit,
    new AddressLimits({
      connections: Limits.share(connections, processes),
      remembered,
      upgrades: upgrades && {
        count: Limits.share(upgrades.count, processes),
        interval: Duration.toMillis(Duration.fromInputUnsafe(upgrades.interval))
      }
    }),
    policy
  )
}

const refuse = (error: HandshakeError): Effect.Effect<never, HandshakeError> => Effect.fail(respondable(error))

export { goingAway, onGoingAway } from "./server/GoingAway.ts"
export type { OpenConnections } from "./server/OpenConnections.ts"
export type { ShutdownOptions, ShutdownReport } from "./server/Shutdown.ts"
export { toResponse } from "./server/Responses.ts"

// The interface that an HTTP server sees has no way to add connections.
const asTable = (connections: OpenConnections): ConnectionTable => {
  if (connections instanceof ConnectionTable) return connections
  throw new TypeError("Upgrades.connections was not made by WebSocketServer.makeConnections, which an HTTP server must call")
}

const choose = (
  options: AcceptOptions,
  offered: ReadonlyArray<string>,
  request: HttpServerRequest.HttpServerRequest
): string | undefined => {
  const { selectSubprotocol } = options
  if (selectSubprotocol === undefined) return undefined
  return typeof selectSubprotocol === "function"
    ? selectSubprotocol(offered, request)
    : selectSubprotocol.find((supported) => offered.includes(supported))
}

const requiresSubprotocol = ({ requireSubprotocol }: AcceptOptions, offered: ReadonlyArray<string>): boolean =>
  requireSubprotocol === true || (requireSubprotocol === "ifOffered" && offered.length > 0)

const noCommonSubprotocol = ({ selectSubprotocol }: AcceptOptions): HandshakeError => {
  const error = refusal("SubprotocolUnsupported")
  if (selectSubprotocol === undefined || typeof selectSubprotocol === "function") return error
  const spoken = selectSubprotocol.join(", ")
  return new HandshakeError({
    ...error,
    detail: `${error.detail}: it speaks ${spoken}`,
    headers: [["sec-websocket-protocol", spoken]]
  })
}

const unavailable = (rule: HandshakeRule, retryAfterMillis: number, detail?: string) => {
  const error = refusal(rule, detail)
  const seconds = Math.max(1, Math.ceil(retryAfterMillis / 1000))
  return new HandshakeError({ ...error, headers: [["retry-after", String(seconds)]] })
}

const shuttingDown = "the server is shutting down"

/**
 * Accepts the current request as a WebSocket connection. The scope holds the
 * connection: releasing it performs the closing handshake.
 *
 * **When to use**
 *
 * In a route that decides for itself what to answer: look at the request, refuse with
 * a response of your own, or accept. {@link handle} is the short form.
 *
 * **Details**
 *
 * A request that breaks the rules of the handshake fails with `HandshakeError`. Unless you catch it,
 * it answers the request: 426 if it is not a WebSocket upgrade or has another version, 400 if it is
 * malformed, 403 for the origin, 405 for the method, 503 above the server's limit of connections, 429
 * above that of an address. On an HTTP server that does not provide its connections it fails with
 * `UpgradeUnavailable`, and on a platform that provides the connection later, with `IOError` if it
 * broke before.
 *
 * The route does not outlive its connection: its fiber is interrupted as `onDisconnect` says,
 * unless the scope has closed the connection before. That interruption, and the errors of the
 * connection that the route lets through, are no failures: they are logged at Debug, and
 * middleware sees 101.
 *
 * **Example** (Refusing strangers)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 * import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
 *
 * export const Feed = HttpRouter.add(
 *   "GET",
 *   "/feed",
 *   Effect.gen(function*() {
 *     const request = yield* HttpServerRequest.HttpServerRequest
 *     if (request.headers["authorization"] === undefined) return HttpServerResponse.empty({ status: 401 })
 *     const ws = yield* WebSocketServer.accept({ selectSubprotocol: ["feed.v2", "feed.v1"] })
 *     yield* Stream.run(ws.messages, ws.sink)
 *     return HttpServerResponse.empty()
 *   }).pipe(Effect.scoped)
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const accept = (
  options: AcceptOptions = {}
): Effect.Effect<
  WebSocket.WebSocket,
  HandshakeError | IOError | UpgradeUnavailable,
  HttpServerRequest.HttpServerRequest | Scope.Scope
> => accepting(options, Opening.holdInScope)

const accepting = (
  options: AcceptOptions,
  hold: Opening.Hold
): Effect.Effect<Connection, AcceptError, HttpServerRequest.HttpServerRequest | Scope.Scope> => {
  const sent = toHeaderList(options.headers)
  const policy = Lifetime.makePolicy(options.onDisconnect)
  let limits: Limits.Limits | undefined
  // One step for every connection; compression and refusals take more.
  return Effect.uninterruptible(Effect.withFiber((fiber): Effect.Effect<Connection, AcceptError> => {
    const upgrades = Context.getOption(fiber.context, Upgrades)
    if (upgrades._tag === "None") return Effect.fail(new UpgradeUnavailable())
    const { find } = upgrades.value
    const connections = asTable(upgrades.value.connections)
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    const record = PendingUpgrade.pendingOf(request)
    const upgrade = PendingUpgrade.findUpgrade(find, request)
    const address = connections.addresses === undefined ? undefined : Option.getOrUndefined(request.remoteAddress)
    if (connections.addresses !== undefined && upgrade !== undefined) {
      const wait = connections.addresses.attempt(addressKey(address ?? ""), Deadlines.of(fiber).now())
      if (wait > 0) return refuse(unavailable("TooManyUpgrades", wait))
    }
    const asked = upgrade === undefined ? plainRequest(request) : askedOf(upgrade, request)
    const checked = Handshake.checkRequest(asked, { origin: options.origin, host: PendingUpgrade.shownHost(request) })
    if (Result.isFailure(checked)) return refuse(checked.failure)
    if (upgrade === undefined) return refuse(refusal("NotAnUpgrade"))
    const offered = checked.success.subprotocols
    const subprotocol = choose(options, offered, request)
    if (subprotocol === undefined && requiresSubprotocol(options, offered)) return refuse(noCommonSubprotocol(options))

    const open = (extensions: ReadonlyArray<MessageExtension>): Effect.Effect<Connection, AcceptError> => {
      const negotiated = Negotiation.answer(extensions, checked.success.extensions)
      const extension = negotiated === undefined ? noExtension : Extension.format([negotiated.header])
      if (Result.isFailure(extension)) return refuse(extension.failure)
      const chosen = { subprotocol, extensions: extension.success, headers: sent, sha1: upgrade.sha1 }
      const answer = Handshake.acceptResponse(checked.success, chosen)
      if (Result.isFailure(answer)) return refuse(answer.failure)
      limits ??= Limits.make(options)
      const place = connections.admit(address)
      if (typeof place === "string") {
        return refuse(unavailable(place, 0, connections.isClosing ? shuttingDown : undefined))
      }
      // Before the connection leaves HTTP: afterwards the request has no address.
      const wanted = Telemetry.isWanted(fiber, options.observability) ? attributesOf(request, upgrade) : undefined
      const openOver = (transport: Transport | MessageTransport): Effect.Effect<Connection> => {
        const described = {
          role: "server",
          subprotocol,
          extension: negotiated?.open,
          closeCodeFor: options.closeCodeFor,
          observability: options.observability,
          attributes: wanted && (() => wanted)
        } as const
        const opening = "chunks" in transport
          ? Opening.open(fiber, transport, limits!, described, hold)
          : Opening.openMessages(fiber, transport, limits!, { ...described, extension: undefined }, hold)
        record?.end()
        if (record !== undefined) record.isAccepted = true
        return opening
      }
      const begin = (): Effect.Effect<Connection, IOError> => {
        try {
          const transport = upgrade.open(answer.success)
          return Effect.isEffect(transport)
            ? Effect.flatMap(Effect.interruptible(transport), openOver)
            : openOver(transport)
        } catch (defect) {
          place.leave()
          throw defect
        }
      }
      const opening = begin()
      // The span of the connection, and a transport that is provided later, can fail.
      const opened = Exit.isExit(opening) ? opening : Effect.onError(opening, () => Effect.sync(() => place.leave()))
      return Effect.mapEager(opened, (connection) => {
        connections.add(connection, place)
        if (policy !== undefined) Lifetime.handledBy(connection, new HandlerLifetime(policy, record, fiber))
        return connection
      })
    }

    if (upgrade.negotiatesExtensions === false) return open([])
    const own = options.extensions ?? []
    const { compression = false } = options
    if (compression === false) return open(own)
    return Effect.flatMap(PerMessageDeflate.fromOption(compression), (deflate) => open([...own, ...deflate]))
  })).pipe(Effect.tapErrorTag("HandshakeError", (error) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const attributes = () => attributesOf(request, undefined)
      return Telemetry.handshakeFailed("server", error, { observability: options.observability, attributes })
    })))
}

/** The attributes of spans and log lines for a request. Queries are left out, because they often hold a token. */
const attributesOf = (
  request: HttpServerRequest.HttpServerRequest,
  upgrade: Upgrade | undefined
): Attributes => ({
  ...(request.remoteAddress._tag === "Some" && { "client.address": request.remoteAddress.value }),
  "url.path": pathOf(request.originalUrl),
  ...(upgrade !== undefined && { "url.scheme": upgrade.request.secure === true ? "wss" : "ws" })
})

type AcceptError = HandshakeError | IOError | UpgradeUnavailable

const noExtension: Result.Result<string | undefined, HandshakeError> = Result.succeed(undefined)

/** The upgrade's request. A trusted proxy may say whether it used TLS. */
const askedOf = (upgrade: Upgrade, { protocol }: HttpServerRequest.HttpServerRequest): Handshake.UpgradeRequest =>
  protocol === undefined ? upgrade.request : { ...upgrade.request, secure: protocol === "https" }

/** A request that is not an upgrade. The headers that it lacks decide how it is refused. */
const plainRequest = (request: HttpServerRequest.HttpServerRequest): Handshake.UpgradeRequest => ({
  method: request.method,
  httpVersion: "1.1",
  headers: Object.entries(request.headers)
})

export type { ConnectionError } from "./server/ConnectionErrors.ts"

/**
 * A route's handler that accepts the connection and runs `f` with it: the short form
 * of {@link accept}.
 *
 * **Details**
 *
 * The connection is closed when `f` ends: with 1000 after a success, 1011 after a
 * failure of its own. `ConnectionClosed`, `ProtocolError` and `IOError` that `f` lets
 * through are the connection's own end; they are logged at Debug.
 *
 * `f` does not outlive its connection: it is interrupted as `onDisconnect` says, by default
 * 5 seconds after it has read the end, and as soon as the connection is closed where it does
 * not read. Its finalizers run.
 *
 * **Example** (A first server: echo)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * export const Echo = HttpRouter.add(
 *   "GET",
 *   "/echo",
 *   WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle = <A, E, R>(
  f: (ws: WebSocket.WebSocket) => Effect.Effect<A, E, R>,
  options: AcceptOptions = {}
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Exclude<E, ConnectionError> | HandshakeError | UpgradeUnavailable,
  HttpServerRequest.HttpServerRequest | Exclude<R, Scope.Scope>
> =>
  // Made once for all requests, because everything around `f` is held as long as it runs.
  accepting(options, HandlerScope.hold).pipe(
    // Without a router an application is uninterruptible, so a shutdown would wait for ever.
    Effect.flatMap((ws) => Effect.interruptible(annotated(f(ws), ws, options))),
    Effect.catchCause(connectionEnded<Exclude<E, ConnectionError>>),
    (running) => HandlerScope.holding(running, options.closeCodeFor),
    Effect.as(accepted)
  ) as Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    Exclude<E, ConnectionError> | HandshakeError | UpgradeUnavailable,
    HttpServerRequest.HttpServerRequest | Exclude<R, Scope.Scope>
  >

const connectionEnded = <E>(cause: Cause.Cause<unknown>): Effect.Effect<void, E> =>
  isConnectionsOwn(cause)
    ? Effect.logDebug("WebSocket connection ended", cause)
    : Effect.failCause(cause as Cause.Cause<E>)

/** The path of a URL, absolute or not. */
const pathOf = (url: string): string => {
  const scheme = url.startsWith("/") ? -1 : url.indexOf("://")
  const start = scheme === -1 ? 0 : url.indexOf("/", scheme + 3)
  const query = url.indexOf("?")
  return url.slice(start === -1 ? url.length : start, query === -1 ? url.length : query)
}

/** Adds the attributes of the connection to what its handler logs. */
const annotated = <A, E, R>(effect: Effect.Effect<A, E, R>, ws: Connection, options: AcceptOptions) =>
  Telemetry.annotate(effect, ws.link, options.observability, (fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    return { subprotocol: ws.subprotocol, attributes: () => attributesOf(request, undefined) }
  })
