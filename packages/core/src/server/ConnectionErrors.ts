/** Which failures of a handler are those of its connection, so that they are no failure of the handler. */
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

/** Whether nothing but the connection's end is the cause: a defect beside it is not hidden. */
export const isConnectionsOwn = (cause: Cause.Cause<unknown>): boolean =>
  Cause.hasFails(cause) &&
  cause.reasons.every((reason) =>
    reason._tag === "Interrupt" || (reason._tag === "Fail" && isConnectionError(reason.error))
  )
