/**
 * The URLs of WebSockets (RFC 6455 §3, and the http and https that WHATWG allows).
 */
import * as Result from "effect/Result"
import type { HandshakeError, HandshakeRule } from "../WebSocketError.ts"
import { parseUrl } from "../http/Authority.ts"
import { invalidRequest } from "../http/Refusal.ts"
import { hasControl, show } from "../http/Tokens.ts"

const refuse = (rule: HandshakeRule, detail?: string): Result.Result<never, HandshakeError> =>
  Result.fail(invalidRequest(rule, detail))

/**
 * Parses a WebSocket's URL and gives the http or https URL that its handshake is sent to.
 *
 * **Details**
 *
 * ws becomes http, wss becomes https. A fragment is refused (RFC 6455 §3), and so are
 * a user or password, which that grammar does not have. Control characters are
 * refused, since a URL parser drops some of them in silence. Names are brought to
 * ASCII and default ports dropped by the platform's URL parser.
 *
 * **Example** (Resolving a relative URL)
 *
 * ```ts
 * import { Handshake } from "@effect-ws/core"
 * import { Result } from "effect"
 *
 * const url = Handshake.normalizeUrl("/ticks", "wss://feed.example/")
 * console.log(Result.map(url, (url) => url.href)) // https://feed.example/ticks
 * ```
 *
 * @category client
 * @since 0.1.0
 */
export const normalizeUrl = (url: string | URL, base?: string | URL): Result.Result<URL, HandshakeError> => {
  const text = typeof url === "string" ? url : url.href
  const baseText = base === undefined || typeof base === "string" ? base : base.href
  if (hasControl(text) || (baseText !== undefined && hasControl(baseText))) {
    return refuse("UrlInvalid", "the URL has a control character")
  }
  const parsed = parseUrl(text, baseText)
  if (parsed === undefined) return refuse("UrlInvalid")
  const scheme = httpScheme(parsed.protocol)
  if (scheme === undefined) return refuse("UrlScheme", `${show(parsed.protocol)} is none of ws, wss, http and https`)
  // An empty fragment is seen in href only; elsewhere the parser escapes the character
  if (parsed.href.includes("#")) return refuse("UrlFragment")
  if (parsed.username !== "" || parsed.password !== "") return refuse("UrlCredentials")
  parsed.protocol = scheme
  return Result.succeed(parsed)
}

const httpScheme = (protocol: string): string | undefined =>
  protocol === "ws:" || protocol === "http:"
    ? "http:"
    : protocol === "wss:" || protocol === "https:"
    ? "https:"
    : undefined

/**
 * Fails where a secure URL was asked for and the answer came from an insecure one,
 * as after a redirect (RFC 6455 §10.6).
 *
 * @category client
 * @since 0.1.0
 */
export const checkDowngrade = (asked: string | URL, ended: string | URL): Result.Result<void, HandshakeError> => {
  if (!isSecure(urlOf(asked))) return Result.succeed(undefined)
  const end = urlOf(ended)
  // The origin only: a path or query may hold secrets
  return isSecure(end)
    ? Result.succeed(undefined)
    : refuse("Downgraded", `the secure URL asked for ended on ${show(end === undefined ? "no URL" : end.origin)}`)
}

const urlOf = (url: string | URL): URL | undefined => typeof url === "string" ? parseUrl(url) : url

const isSecure = (url: URL | undefined): boolean => url !== undefined && httpScheme(url.protocol) === "https:"
