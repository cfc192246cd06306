/**
 * Where a browser's page came from, parsed and then compared (RFC 6454, RFC 6455
 * §10.2). The public face is `../Origin.ts`.
 */
import { type Authority, parseAuthority } from "./Authority.ts"

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
export const isSameHost = (origin: ParsedOrigin, host: Authority, secure: boolean): boolean => {
  const usual = defaultPort(origin.scheme)
  if (usual === undefined) return false
  return origin.hostname === host.hostname && origin.port === (host.port ?? (secure ? 443 : usual))
}

/** Whether an origin is one of a list, each entry parsed like the origin itself. */
export const isListed = (origin: string, allowed: ReadonlyArray<string>): boolean => {
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
