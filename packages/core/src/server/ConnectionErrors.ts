/** The failures of a handler that are the end of its connection, and not a failure of the handler. */
import * as Cause from "effect/Cause"
import type { ConnectionClosed, IOError, ProtocolError } from "../WebSocketError.ts"

/**
 * What a handler may leave unhandled: the connection's own end and errors are logged
 * at Debug and are not the handler's failure.
 *
 * @category errors
 * @since 0.1.0
 */
export type ConnectionError = ConnectionClosed | ProtocolError | IOError

/** Whether an error is one of them. */
export const isConnectionError = (error: unknown): error is ConnectionError =>
  typeof error === "object" && error !== null && "_tag" in error &&
  (error._tag === "ConnectionClosed" || error._tag === "ProtocolError" || error._tag === "IOError")

/** Whether the connection's end is the only cause. A defect besides it is not hidden. */
export const isConnectionsOwn = (cause: Cause.Cause<unknown>): boolean =>
  Cause.hasFails(cause) &&
  cause.reasons.every((reason) =>
    reason._tag === "Interrupt" || (reason._tag === "Fail" && isConnectionError(reason.error))
  )
