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
import * as Deadlines from "../runtime/Deadlines.ts"

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
export class Attempt {
  /** `request.upgrade` has made a connection of it. */
  isAccepted = false
  /** Why `request.upgrade` has not. */
  refused: HandshakeError | undefined = undefined
  // Until it is answered: one that is a connection holds no alarm.
  private expiry: Expiry | undefined = undefined

  /** Gives the handler `timeout` milliseconds from now on. */
  begin(fiber: Fiber.Fiber<unknown, unknown>, timeout: number): void {
    this.allow(fiber, timeout)
    this.watch()
  }

  /**
   * Gives it that time from {@link watch} on, for a server that knows when it is worth
   * watching.
   */
  protected allow(fiber: Fiber.Fiber<unknown, unknown>, timeout: number): void {
    if (timeout === Infinity) return
    // An effect that is served within another, under another Clock, begins anew.
    this.end()
    this.expiry = new Expiry(this, Deadlines.of(fiber), timeout)
  }

  protected watch(): void {
    this.expiry?.start()
  }

  /** The request is answered, or a connection. */
  end(): void {
    this.expiry?.stop()
    this.expiry = undefined
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
}

class Expiry extends Deadlines.Alarm {
  private readonly attempt: Attempt
  // Where it is set: a route may run under another Clock than its server.
  private readonly deadlines: Deadlines.Deadlines
  private readonly timeout: number

  constructor(attempt: Attempt, deadlines: Deadlines.Deadlines, timeout: number) {
    super()
    this.attempt = attempt
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
    this.attempt.expire()
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
