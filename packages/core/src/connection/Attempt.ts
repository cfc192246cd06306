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
  /** Where its alarm is set: a route may run under another Clock than its server. */
  private deadlines: Deadlines.Deadlines | undefined = undefined

  /** Gives the handler `timeout` milliseconds from now on. */
  begin(fiber: Fiber.Fiber<unknown, unknown>, timeout: number): void {
    this.allow(fiber, timeout)
    this.watch()
  }

  /**
   * Gives it that time from {@link watch} on, for a server that knows when it is worth
   * watching. Until then `due` holds how long that is.
   */
  protected allow(fiber: Fiber.Fiber<unknown, unknown>, timeout: number): void {
    if (timeout === Infinity) return
    // An effect that is served within another, under another Clock, begins anew.
    this.end()
    this.deadlines = Deadlines.of(fiber)
    this.due = timeout
  }

  protected watch(): void {
    this.deadlines?.set(this, this.deadlines.now() + this.due)
  }

  /** The request is answered, or a connection. */
  end(): void {
    this.deadlines?.set(this, Infinity)
    this.deadlines = undefined
  }

  /**
   * By what its server finds the upgrade, where that is not the request's `source`: to
   * ask for that would show it.
   */
  get key(): object | undefined {
    return undefined
  }

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

/** The upgrade of a request, as an HTTP server finds it. */
export const findOf = <A>(find: (source: object) => A | undefined, request: { readonly source: object }): A | undefined => {
  const key = attemptOf(request)?.key
  return (key === undefined ? undefined : find(key)) ?? find(request.source)
}

/** The attempt that a request is. */
export const attemptOf = (request: object): Attempt | undefined =>
  (request as { readonly [attempt]?: Attempt })[attempt]
