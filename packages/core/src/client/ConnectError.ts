/**
 * Why a server could not be reached, with advice.
 */
import { chainOf, codeOf, reasonOf } from "../runtime/SystemCodes.ts"
import { IOError } from "../WebSocketError.ts"
import { tlsAdvice } from "./TlsAdvice.ts"

/**
 * Why a server could not be reached, from the system's error or from what wraps it.
 *
 * **When to use**
 *
 * In a `Dialer` of your own. `peer` names what was dialled if it is not the server itself, such as
 * "the proxy proxy.example:3128".
 *
 * @category errors
 * @since 0.1.0
 */
export const connectError = (cause: unknown, peer = "the server"): IOError => {
  const code = codeOf(cause)
  const reason = reasonOf(code)
  const name = code === undefined ? "" : ` (${code})`
  if (isNoHttp(code, cause)) {
    const detail = code?.endsWith("_OVERFLOW") === true
      ? `The head of ${peer}'s response is too large${name}`
      : `The response of ${peer} is not HTTP/1.1${name}; does it use TLS (wss://), or another protocol?`
    return new IOError({ phase: "handshake", reason, detail, cause })
  }
  if (isBadToUndici(code, cause)) {
    const detail = `The HTTP client dropped the connection after the server's response${name}: undici rejects a 100 Continue ` +
      "that it did not ask for. NodeWebSocketClient.layerDirect accepts it"
    return new IOError({ phase: "handshake", reason: "Aborted", detail, cause })
  }
  if (isFetch(cause)) {
    const detail = "The HTTP client is fetch, which cannot upgrade a request. Connect with NativeWebSocketClient, or with " +
      "NodeWebSocketClient of @effect-ws/node"
    return new IOError({ phase: "connect", reason: "Unknown", detail, cause })
  }
  const advice = code === undefined || reason !== "Tls" ? connectAdvice[reason] : tlsAdvice(code, messageOf(cause))
  const detail = `${capitalized(peer)} could not be reached${name}: ${advice ?? "see the cause"}`
  return new IOError({ phase: "connect", reason, detail, cause })
}

const capitalized = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

const connectAdvice: Partial<Record<IOError["reason"], string>> = {
  Refused: "nothing listens there; is it running, and is the port right?",
  Unresolved: "its name is unknown",
  Reset: "the connection was cut before a response; does the server want TLS (wss://), or a client certificate?",
  TimedOut: "it does not respond",
  Aborted: "this side stopped the attempt"
}

/** Errors of Node's and undici's parsers, which have no code if the first line is wrong. */
const isNoHttp = (code: string | undefined, cause: unknown): boolean =>
  code?.startsWith("HPE_") === true || chainOf(cause).some((error) => error.name === "HTTPParserError")

/** What Effect's client over fetch fails with, before it sends anything. */
const isFetch = (cause: unknown): boolean =>
  chainOf(cause).some(({ message }) => typeof message === "string" && message.includes("fetch cannot send an HTTP upgrade"))

/** undici's error for a 100 before the response. */
const isBadToUndici = (code: string | undefined, cause: unknown): boolean =>
  code === "UND_ERR_SOCKET" && chainOf(cause).some(({ message }) => message === "bad response")

/** The messages of the error and its causes. */
const messageOf = (cause: unknown): string => chainOf(cause).map(({ message }) => message).join(" ")
