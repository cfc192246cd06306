/** What server and clients of a soak have in common: limits that lose nothing, and how a connection ended. */
import type { Limits } from "@effect-ws/core"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/**
 * Of the connections that are to lose nothing: on a machine that has no time for them they become slow, but no deadline
 * may make a fault of that.
 */
export const patient: Limits.Options = {
  maxMessageSize: 2 ** 20 + 100,
  handshakeTimeout: "3 minutes",
  closeTimeout: "3 minutes",
  stalledWriteTimeout: "3 minutes",
  keepAlive: { interval: "20 seconds", timeout: "3 minutes" }
}

/** How a connection ended, in a few words; nothing for a closing handshake. */
export const problemOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  if (typeof error === "object" && error !== null && "_tag" in error) {
    if (error._tag === "ConnectionClosed" && "info" in error && (error.info as { readonly clean: boolean }).clean) return undefined
    return `${String(error._tag)}: ${"message" in error ? String(error.message) : ""}`
  }
  return Cause.pretty(exit.cause)
}
