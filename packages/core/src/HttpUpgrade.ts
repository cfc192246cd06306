/**
 * `HttpServerRequest.upgrade` and `upgradeWith` on the connections of this library, for HTTP server
 * layers.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Socket from "effect/socket/Socket"
import {
  deadlineOf,
  findUpgrade,
  type HandshakeDeadline,
  pending,
  type PendingUpgrade,
  pendingOf
} from "./server/PendingUpgrade.ts"
import { isConnectionError } from "./server/ConnectionErrors.ts"
import { accepted, toResponse } from "./server/Responses.ts"
import * as EffectSocket from "./EffectSocket.ts"
import * as Limits from "./Limits.ts"
import { invalidCallerHeader } from "./http/CallerHeaders.ts"
import { toHeaderList } from "./http/HeadersInput.ts"
import { equalsIgnoreCase } from "./http/Tokens.ts"
import type { HandshakeError } from "./WebSocketError.ts"
import * as WebSocketServer from "./WebSocketServer.ts"

export {
  /**
   * The property by which a request leads to its {@link PendingUpgrade}.
   *
   * **When to use**
   *
   * On an HTTP server whose requests upgrade by themselves, by an {@link Upgrader}. Those
   * that lack it are wrapped by {@link serve}.
   *
   * @category symbols
   * @since 0.1.0
   */
  pending,
  changedHost
} from "./server/PendingUpgrade.ts"
export type { HandshakeDeadline, PendingUpgrade } from "./server/PendingUpgrade.ts"
export { headerLines } from "./server/Responses.ts"

/**
 * How connections are accepted that a handler opens by `request.upgrade`.
 *
 * **Details**
 *
 * The options of `WebSocketServer.accept`, and `authorize`, which decides who may connect before the
 * handshake is checked. Its failure answers the request, with its status and headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebSocketServer.AcceptOptions {
  readonly authorize?:
    | ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void, HandshakeError>)
    | undefined
}

/**
 * Serves an effect with the upgrades of an HTTP server, so that its handlers can use
 * `WebSocketServer.accept` as well as `request.upgrade`.
 *
 * **When to use**
 *
 * To let the HTTP server of another platform accept connections. The layers for Node, Deno, Bun and Workers do this
 * already.
 *
 * **Details**
 *
 * `request.upgrade`, `upgradeWith` (whose headers are sent with the 101) and `upgradeChannel` return a
 * `Socket` as `EffectSocket.toSocket` makes it; the handshake is answered when its reader is acquired.
 * They survive `request.modify`. `options` say how such connections are accepted; without
 * `selectSubprotocol` the first offered subprotocol is used, as Effect's own server does. A refused
 * handshake fails the reader with `SocketOpenError`. If the handler fails with it, or answers with a
 * success nevertheless, the answer has the status of the refusal.
 *
 * Middleware around the effect sees 101 for a request that became a connection, even if its handler
 * fails because of the connection's end, or is interrupted because of that or of the server's end: that
 * is no failure of the handler, and it is logged at Debug. Middleware sees other failures as they are.
 *
 * An upgrade that a handler has neither accepted nor answered within `handshakeTimeout`
 * expires (see `WebSocketServer.Upgrade`), however it would have been accepted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const serve = <E, R>(
  httpEffect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  upgrades: WebSocketServer.Upgrades["Service"],
  options: Options = {}
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E,
  Exclude<R, WebSocketServer.Upgrades> | HttpServerRequest.HttpServerRequest
> => {
  const served = Effect.provideService(httpEffect, WebSocketServer.Upgrades, upgrades)
  const { handshakeTimeout } = Limits.make(options)
  const upgrader = makeUpgrader(upgrades, options)
  // Made once, because whatever surrounds a handler is held as long as its connection.
  const handled = Effect.matchCauseEffect(httpEffect as typeof served, {
    onSuccess: (response) => Effect.withFiber((fiber) => succeeded(upgradeOf(fiber), response)),
    onFailure: (cause) => Effect.withFiber((fiber) => failed(upgradeOf(fiber), cause))
  }).pipe((answered) => Effect.onExitPrimitive(answered, ended))
  return Effect.withFiber((fiber) => {
    const request = requestOf(fiber)
    const isProvided = Context.getOrUndefined(fiber.context, WebSocketServer.Upgrades) === upgrades
    // A server that provides them once for all requests has already provided them.
    const upgrade = findUpgrade(upgrades.find, request)
    if (upgrade === undefined) return isProvided ? httpEffect as typeof served : served
    // For the rest of the request, as a router does it; the enclosing server restores it.
    if (!isProvided) fiber.setContext(Context.add(fiber.context, WebSocketServer.Upgrades, upgrades))
    let record = pendingOf(request)
    if (record === undefined) {
      record = new ForeignUpgrade(upgrade, fiber)
      const { proxy } = new UpgradableRequest(request, upgrader, record)
      fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, proxy))
    }
    record.begin(deadlineOf(record, fiber, handshakeTimeout))
    return handled
  })
}

const requestOf = (fiber: Fiber.Fiber<unknown, unknown>): HttpServerRequest.HttpServerRequest =>
  Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)

/** The upgrade of a fiber's request; none if another request was put in its place. */
const upgradeOf = (fiber: Fiber.Fiber<unknown, unknown>): PendingUpgrade | undefined => pendingOf(requestOf(fiber))

const ended = (): undefined => {
  upgradeOf(Fiber.getCurrent()!)?.end()
}

const succeeded = (
  upgrade: PendingUpgrade | undefined,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (upgrade === undefined) return Effect.succeed(response)
  const { isAccepted, refused } = upgrade
  // A program that ignores how a socket ends would otherwise answer a refusal with a success.
  const isHidden = refused !== undefined && response.status < 300
  return Effect.succeed(isAccepted ? accepted : isHidden ? toResponse(refused) : response)
}

const failed = <E>(
  upgrade: PendingUpgrade | undefined,
  cause: Cause.Cause<E>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E> => {
  if (upgrade?.isAccepted === true) {
    // The connection has left HTTP, and its end is no failure of its handler.
    return isEndOfConnection(cause)
      ? Effect.as(Effect.logDebug("WebSocket connection ended", cause), accepted)
      : Effect.failCause(cause)
  }
  const refused = upgrade?.refused
  if (refused === undefined || Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
  return Effect.as(Effect.logDebug("WebSocket refused", refused), toResponse(refused))
}

/** Whether a handler failed only because of its connection's end, or was interrupted because of it or of the server's end. */
const isEndOfConnection = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.length > 0 && cause.reasons.every((reason) =>
    reason._tag === "Interrupt" ||
    (reason._tag === "Fail" && (isConnectionError(reason.error) || Socket.isSocketError(reason.error))))

/** The record of a request whose server keeps none. */
class ForeignUpgrade implements PendingUpgrade {
  isAccepted = false
  refused: HandshakeError | undefined = undefined
  readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly upgrade: WebSocketServer.Upgrade
  private deadline: HandshakeDeadline | undefined = undefined

  constructor(upgrade: WebSocketServer.Upgrade, fiber: Fiber.Fiber<unknown, unknown>) {
    this.fiber = fiber
    this.upgrade = upgrade
  }

  begin(deadline: HandshakeDeadline | undefined): void {
    this.end()
    this.deadline = deadline
    deadline?.start()
  }

  end(): void {
    this.deadline?.stop()
    this.deadline = undefined
  }

  expire(): void {
    this.upgrade.expire?.()
  }
}

type UpgradeOptions = Parameters<HttpServerRequest.HttpServerRequest["upgradeWith"]>[0]
type Changes = Parameters<HttpServerRequest.HttpServerRequest["modify"]>[0]

/**
 * Upgrades the requests of one HTTP server: their `upgradeWith`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upgrader {
  readonly upgradeWith: (
    request: HttpServerRequest.HttpServerRequest,
    upgrade: PendingUpgrade,
    options: UpgradeOptions
  ) => ReturnType<HttpServerRequest.HttpServerRequest["upgradeWith"]>
}

/**
 * Makes the `upgradeWith` of an HTTP server whose requests upgrade by themselves.
 *
 * **When to use**
 *
 * Together with {@link pending}, on a server that makes its requests itself; {@link serve} wraps those
 * of other servers. Pass the same arguments as to `serve`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUpgrader = (upgrades: WebSocketServer.Upgrades["Service"], options: Options = {}): Upgrader => {
  const accept = (
    request: HttpServerRequest.HttpServerRequest,
    upgrade: PendingUpgrade,
    acceptOptions: WebSocketServer.AcceptOptions
  ): Effect.Effect<Socket.Socket> => {
    const { authorize } = options
    const accepting = WebSocketServer.accept(acceptOptions)
    return (authorize === undefined ? accepting : Effect.andThen(authorize(request), accepting)).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
      Effect.provideService(WebSocketServer.Upgrades, upgrades),
      Effect.tapError((error) => {
        if (error._tag === "HandshakeError") upgrade.refused ??= error
        return Effect.void
      }),
      EffectSocket.toSocket
    )
  }
  return {
    upgradeWith: (request, upgrade, { headers }) =>
      Effect.suspend(() => {
        const given = toHeaderList(headers)
        const isSubprotocol = ([name]: readonly [string, string]) => equalsIgnoreCase(name, "sec-websocket-protocol")
        const subprotocol = given.findLast(isSubprotocol)?.[1]
        const own = given.filter((line) => !isSubprotocol(line))
        const fault = invalidCallerHeader(own, "response")
        if (fault !== undefined) {
          return Effect.fail(
            new HttpServerError.HttpServerError({
              reason: new HttpServerError.InternalError({ request, description: fault.detail })
            })
          )
        }
        return accept(request, upgrade, {
          ...options,
          headers: [...toHeaderList(options.headers), ...own],
          selectSubprotocol: subprotocol === undefined ? options.selectSubprotocol ?? firstOffered : () => subprotocol
        })
      })
  }
}

/**
 * The same request with the upgrades of this library. It is a proxy, because it must have everything
 * of the server's own request, and an object with that as its prototype costs a hidden class for each
 * request (measured: 4 % of an upgrade).
 */
class UpgradableRequest implements ProxyHandler<HttpServerRequest.HttpServerRequest> {
  readonly proxy: HttpServerRequest.HttpServerRequest
  private readonly request: HttpServerRequest.HttpServerRequest
  private readonly upgrader: Upgrader
  private readonly upgrade: PendingUpgrade

  constructor(request: HttpServerRequest.HttpServerRequest, upgrader: Upgrader, upgrade: PendingUpgrade) {
    this.request = request
    this.upgrader = upgrader
    this.upgrade = upgrade
    this.proxy = new Proxy(request, this)
  }

  get(target: HttpServerRequest.HttpServerRequest, key: string | symbol): unknown {
    if (key === pending) return this.upgrade
    if (key === "upgrade") return this.upgradeWith({})
    if (key === "upgradeWith") return (options: UpgradeOptions) => this.upgradeWith(options)
    if (key === "modify") return (changes: Changes) => this.modify(changes)
    // Its getters run on the request itself, where they may store things.
    return Reflect.get(target, key, target)
  }

  private modify(changes: Changes): HttpServerRequest.HttpServerRequest {
    return new UpgradableRequest(this.request.modify(changes), this.upgrader, this.upgrade).proxy
  }

  private upgradeWith(options: UpgradeOptions) {
    return this.upgrader.upgradeWith(this.proxy, this.upgrade, options)
  }
}

const firstOffered = (offered: ReadonlyArray<string>): string | undefined => offered[0]
