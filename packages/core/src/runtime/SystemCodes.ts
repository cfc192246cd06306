/**
 * The codes by which operating systems, Node, undici and OpenSSL name their errors, such as
 * `ECONNRESET`, as the reasons of an `IOError`: the one table of them.
 */
import { IOError, type IOPhase, type IOReason } from "../WebSocketError.ts"

/** The code of an error, or of the error that caused it. */
export const codeOf = (error: unknown): string | undefined => {
  let current = error
  // A cause may, in theory, cause itself.
  for (let depth = 0; depth < 8 && typeof current === "object" && current !== null; depth++) {
    if ("code" in current && typeof current.code === "string") return current.code
    current = "cause" in current ? current.cause : "reason" in current ? current.reason : undefined
  }
  return undefined
}

const reasons: ReadonlyMap<string, IOReason> = new Map([
  ["ECONNREFUSED", "Refused"],
  ["ENOTFOUND", "Unresolved"],
  ["EAI_AGAIN", "Unresolved"],
  ["ECONNRESET", "Reset"],
  ["ECONNABORTED", "Reset"],
  ["EPIPE", "Reset"],
  ["ERR_STREAM_PREMATURE_CLOSE", "Reset"],
  ["UND_ERR_SOCKET", "Reset"],
  ["ETIMEDOUT", "TimedOut"],
  ["UND_ERR_CONNECT_TIMEOUT", "TimedOut"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "Tls"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "Tls"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "Tls"],
  ["EPROTO", "Tls"]
])

const tlsPrefixes = ["ERR_TLS_", "ERR_SSL_", "CERT_"]

/** The reason that a code stands for. */
export const reasonOf = (code: string | undefined): IOReason =>
  code === undefined
    ? "Unknown"
    : reasons.get(code) ?? (tlsPrefixes.some((prefix) => code.startsWith(prefix)) ? "Tls" : "Unknown")

/** An error of the system's as an `IOError`, by its code or that of its cause. */
export const toIOError = (phase: IOPhase, cause: Error): IOError =>
  new IOError({ phase, reason: reasonOf(codeOf(cause)), detail: `The connection failed: ${cause.message}`, cause })
