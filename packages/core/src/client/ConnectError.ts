/**
 * Why a server could not be reached, in words that help.
 */
import { errorCode } from "../socket/SocketTransport.ts"
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
  const code = errorCode(cause)
  const reason = code === undefined ? "Unknown" : connectReasons.get(code) ?? (isTls(code) ? "Tls" : "Unknown")
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

const connectReasons: ReadonlyMap<string, IOError["reason"]> = new Map([
  ["ECONNREFUSED", "Refused"],
  ["ENOTFOUND", "Unresolved"],
  ["EAI_AGAIN", "Unresolved"],
  ["ECONNRESET", "Reset"],
  ["EPIPE", "Reset"],
  ["UND_ERR_SOCKET", "Reset"],
  ["ETIMEDOUT", "TimedOut"],
  ["UND_ERR_CONNECT_TIMEOUT", "TimedOut"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "Tls"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "Tls"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "Tls"],
  ["EPROTO", "Tls"]
])

const isTls = (code: string): boolean =>
  code.startsWith("ERR_TLS_") || code.startsWith("ERR_SSL_") || code.startsWith("CERT_")
