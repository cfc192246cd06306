/**
 * `HttpServerRequest.upgrade` and `upgradeWith` on our connections, for HTTP server
 * layers.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Socket from "effect/socket/Socket"
import * as HandshakeWatch from "./connection/HandshakeWatch.ts"
import * as EffectSocket from "./EffectSocket.ts"
import type * as Handshake from "./Handshake.ts"
import * as Limits from "./Limits.ts"
import { invalidCallerHeader } from "./rules/CallerHeaders.ts"
import type { HandshakeError } from "./WebSocketError.ts"
import * as WebSocketServer from "./WebSocketServer.ts"

/**
 * How connections are accepted that a handler opens by `request.upgrade`.
 *
 * **Details**
 *
 * What `WebSocketServer.accept` takes, and `authorize`: who may connect at all, asked
 * before the handshake is looked at. What it fails with is answered with its status and
 * headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WebSocketServer.AcceptOptions {
  readonly authorize?:
    | ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void, HandshakeError>)
    | undefined
}

/** What became of one request. */
interface State {
  isAccepted: boolean
  refused: HandshakeError | undefined
}

/**
 * Serves an effect with the upgrades of an HTTP server, so that its handlers can use
 * `WebSocketServer.accept` as well as `request.upgrade`.
 *
 * **When to use**
 *
 * To make the HTTP server of another platform able to accept connections. The layer of
 * `@effect-ws/node` does it already.
 *
 * **Details**
 *
 * `request.upgrade`, `upgradeWith` (whose headers go out with the 101) and
 * `upgradeChannel` give a `Socket` as `EffectSocket.toSocket` makes it; the handshake is
 * answered when its reader is acquired. They survive `request.modify`. `options` say how
 * such connections are accepted; without a `protocol` the first that was offered is
 * spoken, as Effect's own server does. A refused handshake fails the reader with
 * `SocketOpenError`; a handler that fails of it, or answers with a success all the
 * same, answers with the status that fits.
 * Middleware around the effect sees 101 for an upgraded request.
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
  return Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    const isProvided = Context.getOrUndefined(fiber.context, WebSocketServer.Upgrades) === upgrades
    // A server that provides them once for all requests has served what it needs.
    const upgrade = upgrades.find(request.source)
    if (upgrade === undefined) return isProvided ? httpEffect as typeof served : served
    const state: State = { isAccepted: false, refused: undefined }
    const upgradable = new UpgradableRequest(request, upgrades, options, state).proxy
    const provided = isProvided
      ? fiber.context
      : Context.add(fiber.context, WebSocketServer.Upgrades, upgrades)
    // For the rest of the request, as a router does it: the enclosing server restores it.
    fiber.setContext(Context.add(provided, HttpServerRequest.HttpServerRequest, upgradable))
    const handled = Effect.matchCauseEffect(httpEffect as typeof served, {
      onSuccess: (response) => {
        const { isAccepted, refused } = state
        // Programs that take the end of a socket as it comes would call a refusal a success.
        const isHidden = refused !== undefined && response.status < 300
        return Effect.succeed(isAccepted ? accepted : isHidden ? WebSocketServer.toResponse(refused) : response)
      },
      onFailure: (cause) => {
        const { isAccepted, refused } = state
        if (isAccepted || refused === undefined || Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        return Effect.as(Effect.logDebug("WebSocket refused", refused), WebSocketServer.toResponse(refused))
      }
    })
    const { expire } = upgrade
    return expire === undefined ? handled : HandshakeWatch.watch(handled, handshakeTimeout, expire)
  })
}

// Never sent: the connection has left HTTP. Middleware sees it.
const accepted = HttpServerResponse.empty({ status: 101 })

type UpgradeOptions = Parameters<HttpServerRequest.HttpServerRequest["upgradeWith"]>[0]
type Changes = Parameters<HttpServerRequest.HttpServerRequest["modify"]>[0]

/**
 * The same request, whose upgrades are ours. A proxy, since it must be all that the
 * server's own is, and an object made with that as its prototype costs a hidden class for
 * each request (measured: 4 % of an upgrade).
 */
class UpgradableRequest implements ProxyHandler<HttpServerRequest.HttpServerRequest> {
  readonly proxy: HttpServerRequest.HttpServerRequest
  private readonly request: HttpServerRequest.HttpServerRequest
  private readonly upgrades: WebSocketServer.Upgrades["Service"]
  private readonly options: Options
  private readonly state: State

  constructor(
    request: HttpServerRequest.HttpServerRequest,
    upgrades: WebSocketServer.Upgrades["Service"],
    options: Options,
    state: State
  ) {
    this.request = request
    this.upgrades = upgrades
    this.options = options
    this.state = state
    this.proxy = new Proxy(request, this)
  }

  get(target: HttpServerRequest.HttpServerRequest, key: string | symbol): unknown {
    if (key === "upgrade") return this.upgradeWith({})
    if (key === "upgradeWith") return (options: UpgradeOptions) => this.upgradeWith(options)
    if (key === "modify") return (changes: Changes) => this.modify(changes)
    // Its getters are run on the request itself, whatever they keep there.
    return Reflect.get(target, key, target)
  }

  private modify(changes: Changes): HttpServerRequest.HttpServerRequest {
    return new UpgradableRequest(this.request.modify(changes), this.upgrades, this.options, this.state).proxy
  }

  private upgradeWith(
    { headers }: UpgradeOptions
  ): ReturnType<HttpServerRequest.HttpServerRequest["upgradeWith"]> {
    return Effect.suspend(() => {
      const { options, proxy } = this
      const { "sec-websocket-protocol": protocol, ...own } = Headers.fromInput(headers)
      const list: Handshake.HeaderList = Object.entries(own)
      const fault = invalidCallerHeader(list, "response")
      if (fault !== undefined) {
        return Effect.fail(
          new HttpServerError.HttpServerError({
            reason: new HttpServerError.InternalError({ request: proxy, description: fault.detail })
          })
        )
      }
      return this.accept({
        ...options,
        headers: [...headerList(options.headers), ...list],
        protocol: protocol === undefined ? options.protocol ?? firstOffered : () => protocol
      })
    })
  }

  private accept(options: WebSocketServer.AcceptOptions): Effect.Effect<Socket.Socket> {
    const { options: { authorize }, state } = this
    const accept = WebSocketServer.accept(options)
    return (authorize === undefined ? accept : Effect.andThen(authorize(this.proxy), accept)).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, this.proxy),
      Effect.provideService(WebSocketServer.Upgrades, this.upgrades),
      Effect.tap(() => {
        state.isAccepted = true
        return Effect.void
      }),
      Effect.tapError((error) => {
        if (error._tag === "HandshakeError") state.refused ??= error
        return Effect.void
      }),
      EffectSocket.toSocket
    )
  }
}

const headerList = (headers: WebSocketServer.AcceptOptions["headers"]): Handshake.HeaderList =>
  headers === undefined ? [] : Array.isArray(headers) ? headers : Object.entries(headers)

const firstOffered = (offered: ReadonlyArray<string>): string | undefined => offered[0]
