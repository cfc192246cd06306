/** The lifetime of what handles a request that became a connection: the fiber of the request. */
import type * as Fiber from "effect/Fiber"
import { ClientAbort } from "effect/http/HttpServerError"
import { Lifetime, type Policy } from "../connection/Lifetime.ts"
import type { PendingUpgrade } from "./PendingUpgrade.ts"

export class HandlerLifetime extends Lifetime {
  // Of the request and, where that has ended or is not known, the one that accepted.
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
    // As that of an ordinary request is whose client went away.
    ;(isRunning ? request : this.fiber).interruptUnsafe(this.fiber.id, ClientAbort.annotation)
  }
}
