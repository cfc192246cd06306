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
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import type { Connection } from "./connection/Connection.ts"
import * as Opening from "./connection/Opening.ts"
import * as Telemetry from "./connection/Telemetry.ts"
import * as Limits from "./Limits.ts"
import { type AcceptOptions, accepting } from "./server/Acceptance.ts"
import { AddressLimits } from "./server/AddressLimits.ts"
import { type ConnectionError, isConnectionsOwn } from "./server/ConnectionErrors.ts"
import * as HandlerScope from "./server/HandlerScope.ts"
import { ConnectionTable, type OpenConnections } from "./server/OpenConnections.ts"
import { attributesOf } from "./server/RequestAttributes.ts"
import { accepted } from "./server/Responses.ts"
import { makePolicy, type ShutdownOptions } from "./server/Shutdown.ts"
import type * as WebSocket from "./WebSocket.ts"
import type { HandshakeError, IOError, UpgradeUnavailable } from "./WebSocketError.ts"

export type { AcceptOptions } from "./server/Acceptance.ts"
export type { ConnectionError } from "./server/ConnectionErrors.ts"
export { goingAway, onGoingAway } from "./server/GoingAway.ts"
export type { OpenConnections } from "./server/OpenConnections.ts"
export { toResponse } from "./server/Responses.ts"
export type { ShutdownOptions, ShutdownReport } from "./server/Shutdown.ts"
export { type Upgrade, Upgrades } from "./server/Upgrades.ts"

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

/** Adds the attributes of the connection to what its handler logs. */
const annotated = <A, E, R>(effect: Effect.Effect<A, E, R>, ws: Connection, options: AcceptOptions) =>
  Telemetry.annotate(effect, ws.link, options.observability, (fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    return { subprotocol: ws.subprotocol, attributes: () => attributesOf(request, undefined) }
  })
