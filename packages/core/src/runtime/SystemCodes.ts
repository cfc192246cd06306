/**
 * Maps the codes by which operating systems, Node, undici and OpenSSL name their errors, such
 * as `ECONNRESET`, to the reasons of an `IOError`.
 */
import { IOError, type IOPhase, type IOReason } from "../WebSocketError.ts"

/** An error and its causes, the outermost first. */
export const chainOf = (
  error: unknown
): ReadonlyArray<{ readonly name?: unknown; readonly message?: unknown; readonly code?: unknown }> => {
  const chain: Array<object> = []
  let current = error
  // Bounded, because an error can be its own cause.
  while (chain.length < 8 && typeof current === "object" && current !== null) {
    chain.push(current)
    current = "cause" in current ? current.cause : "reason" in current ? current.reason : undefined
  }
  return chain
}

/** The code of an error, or of the error that caused it. */
export const codeOf = (error: unknown): string | undefined =>
  chainOf(error).map(({ code }) => code).find((code) => typeof code === "string")

const codes: { readonly [R in IOReason]?: ReadonlyArray<string> } = {
  // The second: there is no Unix socket of that name.
  Refused: ["ECONNREFUSED", "ENOENT"],
  Unresolved: ["ENOTFOUND", "ENODATA", "ESERVFAIL", "EREFUSED"],
  Reset: [
    "ECONNRESET",
    "ECONNABORTED",
    "EPIPE",
    "EHOSTUNREACH",
    "EHOSTDOWN",
    "ENETUNREACH",
    "ENETDOWN",
    "ENETRESET",
    "ERR_STREAM_PREMATURE_CLOSE",
    "UND_ERR_SOCKET"
  ],
  TimedOut: [
    "ETIMEDOUT",
    "ERR_SOCKET_CONNECTION_TIMEOUT",
    "ERR_TLS_HANDSHAKE_TIMEOUT",
    "UND_ERR_CONNECT_TIMEOUT",
    "UND_ERR_HEADERS_TIMEOUT"
  ],
  Aborted: ["ABORT_ERR", "ECANCELED", "UND_ERR_ABORTED", "UND_ERR_CLOSED", "UND_ERR_DESTROYED"],
  // What OpenSSL finds wrong with a certificate and does not begin as those below.
  Tls: ["EPROTO", "HOSTNAME_MISMATCH", "INVALID_CA", "INVALID_PURPOSE", "PATH_LENGTH_EXCEEDED", "UNSPECIFIED"]
}

const reasons: ReadonlyMap<string, IOReason> = new Map(
  Object.entries(codes).flatMap(([reason, list]) => list.map((code) => [code, reason as IOReason] as const))
)

// X509_V_ERR_… without that, and OpenSSL's errors by Node's rule, alerts of the peer among them.
const prefixes: ReadonlyArray<readonly [prefix: string, reason: IOReason]> = [
  ["EAI_", "Unresolved"],
  ["ERR_TLS_", "Tls"],
  ["ERR_SSL_", "Tls"],
  ["ERR_OSSL_", "Tls"],
  ["CERT_", "Tls"],
  ["CRL_", "Tls"],
  ["UNABLE_TO_", "Tls"],
  ["ERROR_IN_", "Tls"],
  ["DEPTH_ZERO_", "Tls"],
  ["SELF_SIGNED_", "Tls"]
]

/** The reason that a code means. */
export const reasonOf = (code: string | undefined): IOReason =>
  code === undefined
    ? "Unknown"
    : reasons.get(code) ?? prefixes.find(([prefix]) => code.startsWith(prefix))?.[1] ?? "Unknown"

/** Turns a system error into an `IOError`, by its code or that of its cause. */
export const toIOError = (phase: IOPhase, cause: Error): IOError =>
  new IOError({ phase, reason: reasonOf(codeOf(cause)), detail: `The connection failed: ${cause.message}`, cause })
