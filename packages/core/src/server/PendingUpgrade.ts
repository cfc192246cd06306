/**
 * One request that asks for an upgrade: its state, and the deadline by which its handler must answer,
 * with the connection or with a refusal. A request that is never answered holds a socket, and the
 * deadlines of an open connection do not apply to it yet.
 *
 * It is found by the request, so that everything around a handler is made once for all requests.
 */
import type * as Fiber from "effect/Fiber"
import type { HandshakeError } from "../WebSocketError.ts"
import * as Deadlines from "../runtime/Deadlines.ts"

/**
 * The record that an HTTP server keeps of one request for an upgrade, until the request is
 * a connection or is answered otherwise.
 *
 * **When to use**
 *
 * To implement an HTTP server whose requests upgrade by themselves: a request has its record in the
 * property `HttpUpgrade.pending`.
 *
 * **Details**
 *
 * - `isAccepted`: it became a connection. `WebSocketServer.accept` sets it.
 * - `refused`: why `request.upgrade` refused it. The `Upgrader` sets it.
 * - `fiber`: the one that handles the request. It is interrupted when the connection has
 *   ended and the handler's time is over; see `WebSocket.OnDisconnect`.
 * - `key`: the key by which `WebSocketServer.Upgrades` finds the upgrade, if that is not the `source` of
 *   the request.
 * - `begin`: a handler is about to run and has time until the deadline. `undefined` where the time is not
 *   limited. If an effect is served within another it is called again, and the earlier deadline is
 *   stopped.
 * - `end`: the request is a connection, or is answered. Stops the deadline.
 * - `expire`: the deadline has passed; see `WebSocketServer.Upgrade`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PendingUpgrade {
  isAccepted: boolean
  refused: HandshakeError | undefined
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly key?: object | undefined
  begin(deadline: HandshakeDeadline | undefined): void
  end(): void
  expire(): void
}

/**
 * How long a handler may take to answer a request for an upgrade.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeDeadline {
  /** The time begins. */
  readonly start: () => void
  /** The request is answered. */
  readonly stop: () => void
}

/** The deadline of an upgrade that a fiber is about to handle, in milliseconds. */
export const deadlineOf = (
  upgrade: PendingUpgrade,
  fiber: Fiber.Fiber<unknown, unknown>,
  timeout: number
): HandshakeDeadline | undefined =>
  timeout === Infinity ? undefined : new DeadlineAlarm(upgrade, Deadlines.of(fiber), timeout)

class DeadlineAlarm extends Deadlines.Alarm implements HandshakeDeadline {
  private readonly upgrade: PendingUpgrade
  // The deadlines in which it is set: a route may run under another Clock than its server.
  private readonly deadlines: Deadlines.Deadlines
  private readonly timeout: number

  constructor(upgrade: PendingUpgrade, deadlines: Deadlines.Deadlines, timeout: number) {
    super()
    this.upgrade = upgrade
    this.deadlines = deadlines
    this.timeout = timeout
  }

  start(): void {
    this.deadlines.set(this, this.deadlines.now() + this.timeout)
  }

  stop(): void {
    this.deadlines.set(this, Infinity)
  }

  onAlarm(): void {
    this.upgrade.expire()
  }
}

/**
 * The property of a request that holds its {@link PendingUpgrade}.
 *
 * **When to use**
 *
 * On an HTTP server whose requests upgrade by themselves, by an `Upgrader`. Requests without it are
 * wrapped.
 *
 * @category symbols
 * @since 0.1.0
 */
export const pending: unique symbol = Symbol.for("@effect-ws/core/HttpUpgrade/pending")

/**
 * The property by which a request says which host middleware has put in place of its own, such as
 * `HttpMiddleware.xForwardedHeaders` that of a trusted proxy; `undefined` if none has.
 *
 * **When to use**
 *
 * On an HTTP server whose requests make their headers when they are first read. Of others the
 * header `host` is read.
 *
 * @category symbols
 * @since 0.1.0
 */
export const changedHost: unique symbol = Symbol.for("@effect-ws/core/HttpUpgrade/changedHost")

interface Shown {
  readonly headers: { readonly [name: string]: string | undefined }
  readonly [changedHost]?: string | undefined
}

/** The host that a request was sent to, where that is not the one of its own head. */
export const shownHost = (request: Shown): string | undefined =>
  changedHost in request ? request[changedHost] : request.headers["host"]

/** The record of a request's upgrade. */
export const pendingOf = (request: object): PendingUpgrade | undefined =>
  (request as { readonly [pending]?: PendingUpgrade })[pending]

/** The upgrade of a request, as an HTTP server finds it. */
export const findUpgrade = <A>(
  find: (source: object) => A | undefined,
  request: { readonly source: object }
): A | undefined => {
  const key = pendingOf(request)?.key
  return (key === undefined ? undefined : find(key)) ?? find(request.source)
}
