/**
 * One request that asks for an upgrade: what has become of it, and until when its handler
 * must have answered, with the connection or with a refusal. One that is never answered
 * holds a socket, and none of the deadlines of an open connection is there yet.
 *
 * It is found by the request, as long as that lives, so that what surrounds a handler can
 * be made once for all requests.
 */
import type * as Fiber from "effect/Fiber"
import type { HandshakeError } from "../WebSocketError.ts"
import * as Deadlines from "./Deadlines.ts"

/**
 * What has become of one request for an upgrade.
 *
 * **When to use**
 *
 * As the base of an HTTP server's own record of such a request; see `HttpUpgrade.attempt`.
 *
 * @category models
 * @since 0.1.0
 */
export class Attempt extends Deadlines.Alarm {
  /** `request.upgrade` has made a connection of it. */
  isAccepted = false
  /** Why `request.upgrade` has not. */
  refused: HandshakeError | undefined = undefined

  /**
   * Its time is over, whatever has been answered; see `WebSocketServer.Upgrade`. Does
   * nothing of itself.
   */
  expire(): void {}

  onAlarm(): void {
    this.expire()
  }
}

/**
 * The property by which a request leads to its {@link Attempt}.
 *
 * **When to use**
 *
 * On an HTTP server whose requests upgrade by themselves, by an `Upgrader`. Requests that
 * lack it are wrapped.
 *
 * @category symbols
 * @since 0.1.0
 */
export const attempt: unique symbol = Symbol.for("@effect-ws/core/HttpUpgrade/attempt")

/** The attempt that a request is. */
export const attemptOf = (request: object): Attempt | undefined =>
  (request as { readonly [attempt]?: Attempt })[attempt]

/** Gives the handler `timeout` milliseconds from now on. */
export const begin = (fiber: Fiber.Fiber<unknown, unknown>, one: Attempt, timeout: number): void => {
  if (timeout === Infinity) return
  const deadlines = Deadlines.of(fiber)
  deadlines.set(one, deadlines.now() + timeout)
}

/** The request is answered, or a connection: no deadline is left of the attempt that it is. */
export const end = (fiber: Fiber.Fiber<unknown, unknown>, request: object): void => {
  const one = attemptOf(request)
  if (one !== undefined) Deadlines.of(fiber).set(one, Infinity)
}
