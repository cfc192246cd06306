/**
 * The way of a request to its connection: checked, negotiated, counted and opened, or refused with what answers it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { CloseCodeFor } from "../CloseCode.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Lifetime from "../connection/Lifetime.ts"
import * as Opening from "../connection/Opening.ts"
import * as Telemetry from "../connection/Telemetry.ts"
import * as Extension from "../Extension.ts"
import * as Handshake from "../Handshake.ts"
import * as Negotiation from "../handshake/Negotiation.ts"
import { toHeaderList } from "../http/HeadersInput.ts"
import { refusal } from "../http/Refusal.ts"
import * as Limits from "../Limits.ts"
import type { MessageExtension } from "../MessageExtension.ts"
import type { MessageTransport } from "../MessageTransport.ts"
import type * as Observability from "../Observability.ts"
import type * as Origin from "../Origin.ts"
import * as PerMessageDeflate from "../PerMessageDeflate.ts"
import * as Deadlines from "../runtime/Deadlines.ts"
import type { Transport } from "../Transport.ts"
import type * as WebSocket from "../WebSocket.ts"
import { HandshakeError, type HandshakeRule, type IOError, UpgradeUnavailable } from "../WebSocketError.ts"
import { addressKey } from "./AddressLimits.ts"
import { HandlerLifetime } from "./HandlerLifetime.ts"
import { ConnectionTable, type OpenConnections } from "./OpenConnections.ts"
import * as PendingUpgrade from "./PendingUpgrade.ts"
import { attributesOf } from "./RequestAttributes.ts"
import { respondable } from "./Responses.ts"
import { type Upgrade, Upgrades } from "./Upgrades.ts"

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

export type AcceptError = HandshakeError | IOError | UpgradeUnavailable

// The interface that an HTTP server sees has no way to add connections.
const asTable = (connections: OpenConnections): ConnectionTable => {
  if (connections instanceof ConnectionTable) return connections
  throw new TypeError("Upgrades.connections was not made by WebSocketServer.makeConnections, which an HTTP server must call")
}

/** The upgrade's request. A trusted proxy may say whether it used TLS. */
const askedOf = (upgrade: Upgrade, { protocol }: HttpServerRequest.HttpServerRequest): Handshake.UpgradeRequest =>
  protocol === undefined ? upgrade.request : { ...upgrade.request, secure: protocol === "https" }

/** A request that is not an upgrade. The headers that it lacks decide how it is refused. */
const plainRequest = (request: HttpServerRequest.HttpServerRequest): Handshake.UpgradeRequest => ({
  method: request.method,
  httpVersion: "1.1",
  headers: Object.entries(request.headers)
})

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

const refuse = (error: HandshakeError): Effect.Effect<never, HandshakeError> => Effect.fail(respondable(error))

const shuttingDown = "the server is shutting down"

const noExtension: Result.Result<string | undefined, HandshakeError> = Result.succeed(undefined)

/**
 * Accepts the current request, where its connection is held as `hold` says. One effect serves all requests of a route.
 */
export const accepting = (
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
