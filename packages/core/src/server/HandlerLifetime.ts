/** The lifetime of the fiber that handles a request which became a connection. */
import type * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/http/HttpServerError"
import { Lifetime, type Policy } from "../connection/Lifetime.ts"
import type { PendingUpgrade } from "./PendingUpgrade.ts"

export class HandlerLifetime extends Lifetime {
  // The fiber of the request or, if that has ended or is not known, the one that accepted.
  private readonly upgrade: PendingUpgrade | undefined
  private readonly fiber: Fiber.Fiber<unknown, unknown>

  constructor(policy: Policy, upgrade: PendingUpgrade | undefined, fiber: Fiber.Fiber<unknown, unknown>) {
    super(policy)
    this.upgrade = upgrade
    this.fiber = fiber
  }

  interrupt(): void {
    const request = this.upgrade?.fiber
    const isRunning = request !== undefined && request.pollUnsafe() === undefined
    // As the fiber of an ordinary request is interrupted whose client left.
    ;(isRunning ? request : this.fiber).interruptUnsafe(this.fiber.id, ClientAbort.annotation)
  }
}
