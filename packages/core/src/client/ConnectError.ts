/**
 * Why a server could not be reached, in words that help.
 */
import { codeOf, reasonOf } from "../runtime/SystemCodes.ts"
import { IOError } from "../WebSocketError.ts"

/**
 * Why a server could not be reached, from the system's error or from what wraps it.
 *
 * **When to use**
 *
 * In a {@link Dialer} of your own.
 *
 * @category errors
 * @since 0.1.0
 */
export const connectError = (cause: unknown): IOError => {
  const code = codeOf(cause)
  const reason = reasonOf(code)
  return new IOError({
    phase: "connect",
    reason,
    detail: `The server could not be reached${code === undefined ? "" : ` (${code})`}: ` +
      (connectAdvice[reason] ?? "see the cause"),
    cause
  })
}

const connectAdvice: Partial<Record<IOError["reason"], string>> = {
  Refused: "nothing listens there; is it running, and is the port right?",
  Unresolved: "its name is unknown",
  Tls: "its certificate was not accepted; give the authority that signed it to whoever dials (ca)",
  Reset: "it cut the connection",
  TimedOut: "it does not answer"
}
