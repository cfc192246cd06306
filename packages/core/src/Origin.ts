/**
 * Which pages may connect. A browser sends cookies with a WebSocket handshake from any page,
 * and no CORS rule prevents it: the server has to check the Origin header (RFC 6455
 * §10.2).
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { type Authority, parseAuthority } from "./http/Authority.ts"
import { refusal } from "./http/Refusal.ts"
import { type HeaderList, show } from "./http/Tokens.ts"
import type { HandshakeError } from "./WebSocketError.ts"

/**
 * What a policy can look at besides the origin.
 *
 * @category models
 * @since 0.1.0
 */
export interface OriginRequest {
  readonly headers: HeaderList
  readonly target?: string | undefined
  readonly secure?: boolean | undefined
}

/**
 * Allows every page of the world to connect with its visitor's cookies.
 *
 * **When to use**
 *
 * Only where a connection gives nothing that is not public, or where something that a
 * foreign page cannot know is checked before the first message.
 *
 * @category constants
 * @since 0.1.0
 */
export const unsafeAllowAny = "dangerouslyAllowAnyOrigin"

/**
 * Allows pages of the host that they connect to, and no others. The default.
 *
 * @category constants
 * @since 0.1.0
 */
export const sameHost = "sameHost"

/**
 * Which origins may connect.
 *
 * **Details**
 *
 * - {@link sameHost}: host and port of Origin and Host are equal. Where Host names no
 *   port, the default port of the origin's own scheme is meant, since a proxy may have
 *   ended TLS; where `secure` says that TLS ends here, it is 443. Behind a proxy that changes
 *   Host, a server has to be told to trust its `X-Forwarded-Host`, by Effect's
 *   `HttpMiddleware.xForwardedHeaders`.
 * - A list: the origin is one of these, such as `"https://app.example"`; scheme, host and
 *   port are compared. The server's own host is not allowed unless it is listed.
 * - A function: decides by itself, also about requests without an Origin header.
 * - {@link unsafeAllowAny}: everyone.
 *
 * Without an Origin header the first two allow: it is no browser. `null`, which a
 * sandboxed frame or a file sends, is refused unless the list has `"null"`.
 *
 * **Example** (Allowing two pages)
 *
 * ```ts
 * import type { Origin } from "@effect-ws/core"
 *
 * export const policy: Origin.OriginPolicy = ["https://app.example", "https://admin.app.example:8443"]
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type OriginPolicy =
  | typeof sameHost
  | typeof unsafeAllowAny
  | ReadonlyArray<string>
  | ((origin: string | undefined, request: OriginRequest) => boolean)

/**
 * Applies a policy to the Origin header of a request.
 *
 * **Details**
 *
 * `host` is the host that was asked for: the value of the Host header, or what a trusted proxy
 * says. A refusal has status 403 and says what was compared. A policy function that throws refuses
 * with 500: an origin is allowed only where the policy said so.
 *
 * @category checks
 * @since 0.1.0
 */
export const check = (
  policy: OriginPolicy,
  origin: string | undefined,
  host: string,
  request: OriginRequest
): Result.Result<void, HandshakeError> => {
  if (policy === unsafeAllowAny) return Result.succeed(undefined)
  if (typeof policy === "function") {
    try {
      if (policy(origin, request) === true) return Result.succeed(undefined)
    } catch (cause) {
      return Result.fail(refusal("OriginPolicyFailed", `the origin policy threw ${show(describe(cause))}`))
    }
  } else if (origin === undefined || isAllowed(policy, origin, host, request.secure === true)) {
    return Result.succeed(undefined)
  }
  return Result.fail(refusal("OriginRefused", explain(policy, origin, host, request.secure === true)))
}

/** What was compared, and what to do if it should have been allowed. */
const explain = (
  policy: Exclude<OriginPolicy, typeof unsafeAllowAny>,
  origin: string | undefined,
  host: string,
  secure: boolean
): string => {
  const page = origin === undefined ? "a request without Origin" : `Origin ${show(origin)}`
  if (policy !== sameHost) return `${page} is not allowed by the origin option`
  return `${page} is not of the same host as Host ${show(host)}${secure ? " with TLS" : ""}: allow it by the origin option, ` +
    "or let the proxy in between pass on Host, or trust its X-Forwarded-Host by HttpMiddleware.xForwardedHeaders"
}

const isAllowed = (
  policy: typeof sameHost | ReadonlyArray<string>,
  origin: string,
  host: string,
  secure: boolean
): boolean => {
  if (policy !== sameHost) return isListed(origin, policy)
  const parsed = parseOrigin(origin)
  const authority = parseAuthority(host)
  return parsed !== undefined && authority !== undefined && isSameHost(parsed, authority, secure)
}

const describe = (cause: unknown): string =>
  cause instanceof Error && typeof cause.message === "string" ? cause.message : typeof cause

export interface ParsedOrigin {
  /** In lower case. */
  readonly scheme: string
  readonly hostname: string
  /** The port written, or else the scheme's own; `undefined` where it has none. */
  readonly port: number | undefined
}

const defaultPort = (scheme: string): number | undefined =>
  scheme === "https" || scheme === "wss" ? 443 : scheme === "http" || scheme === "ws" ? 80 : undefined

const isLetter = (code: number): boolean => (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)

/** RFC 3986 §3.1 */
const isScheme = (text: string): boolean => {
  if (text.length > 64 || !isLetter(text.charCodeAt(0))) return false
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (!isLetter(code) && !(code >= 0x30 && code <= 0x39) && code !== 0x2b && code !== 0x2d && code !== 0x2e) {
      return false
    }
  }
  return true
}

/**
 * RFC 6454 §6.2: scheme "://" host [ ":" port ] and nothing else. `null`, a path, a
 * user, or two origins in one header are none.
 */
export const parseOrigin = (text: string): ParsedOrigin | undefined => {
  const end = text.indexOf("://")
  if (end === -1) return undefined
  const scheme = text.slice(0, end)
  if (!isScheme(scheme)) return undefined
  const authority = parseAuthority(text.slice(end + 3))
  if (authority === undefined) return undefined
  const lower = scheme.toLowerCase()
  return { scheme: lower, hostname: authority.hostname, port: authority.port ?? defaultPort(lower) }
}

/**
 * Whether an origin names the host and port that the request was sent to. A Host
 * without a port means the default port of a scheme that we may not know, since a
 * proxy may have ended TLS: then it is that of the origin's own scheme. Where TLS ends
 * here, it is 443.
 */
const isSameHost = (origin: ParsedOrigin, host: Authority, secure: boolean): boolean => {
  const usual = defaultPort(origin.scheme)
  if (usual === undefined) return false
  return origin.hostname === host.hostname && origin.port === (host.port ?? (secure ? 443 : usual))
}

/** Whether an origin is one of a list, each entry parsed like the origin itself. */
const isListed = (origin: string, allowed: ReadonlyArray<string>): boolean => {
  // Also how "null" is allowed, by writing it
  if (allowed.includes(origin)) return true
  const parsed = parseOrigin(origin)
  if (parsed === undefined) return false
  return allowed.some((entry) => {
    const other = parseOrigin(withoutSlash(entry))
    return other !== undefined && other.scheme === parsed.scheme &&
      other.hostname === parsed.hostname && other.port === parsed.port
  })
}

const withoutSlash = (entry: string): string => entry.endsWith("/") ? entry.slice(0, -1) : entry
