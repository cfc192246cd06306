/**
 * Hosts and ports (RFC 3986 §3.2), parsed by hand until only the host name is left, which the
 * platform's URL parser then normalises (case, IDNA, IPv4 and IPv6 forms). Whatever such a
 * parser would repair or drop is refused before.
 */
import { isDigit } from "./Tokens.ts"

export interface Authority {
  readonly hostname: string
  /** `undefined` where none was written. */
  readonly port: number | undefined
}

// RFC 3986 §3.2.2: unreserved, pct-encoded and sub-delims; the brackets and colons of an IP literal
const hostCodes = new Uint8Array(128)
for (const char of "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%!$&'()*+,;=") {
  hostCodes[char.charCodeAt(0)] = 1
}
const literalCodes = new Uint8Array(128)
for (const char of "0123456789abcdefABCDEF:.") literalCodes[char.charCodeAt(0)] = 1

const allIn = (codes: Uint8Array, text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 128 || codes[code] === 0) return false
  }
  return text.length > 0
}

// DNS names have at most 253 characters; IDNA and percent-encoding may triple them
const maxLength = 1024

/** The URL parser as a total function. */
export const parseUrl = (text: string, base?: string): URL | undefined => {
  try {
    return new URL(text, base)
  } catch {
    return undefined
  }
}

/** uri-host [ ":" port ]; an empty port means none (RFC 3986 §3.2.3). */
export const parseAuthority = (text: string): Authority | undefined => {
  if (text.length > maxLength) return undefined
  if (last?.text === text) return last.authority
  const authority = parse(text)
  last = { text, authority }
  return authority
}

// Most requests to a server name the same host, and the URL parser costs 2 us.
let last: { readonly text: string; readonly authority: Authority | undefined } | undefined

const parse = (text: string): Authority | undefined => {
  const isLiteral = text.startsWith("[")
  const hostEnd = isLiteral ? text.indexOf("]") + 1 : text.includes(":") ? text.indexOf(":") : text.length
  const host = text.slice(0, hostEnd)
  if (isLiteral ? !allIn(literalCodes, host.slice(1, -1)) : !allIn(hostCodes, host)) return undefined
  const port = hostEnd === text.length ? undefined : parsePort(text, hostEnd)
  if (port === -1) return undefined
  const url = parseUrl(`http://${host}/`)
  return url === undefined ? undefined : { hostname: url.hostname, port }
}

/** [ ":" *DIGIT ]: -1 where malformed. */
const parsePort = (text: string, from: number): number | undefined => {
  if (text[from] !== ":" || text.length - from > 6) return -1
  let port = 0
  for (let i = from + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (!isDigit(code)) return -1
    port = port * 10 + code - 0x30
  }
  return port > 65535 ? -1 : text.length === from + 1 ? undefined : port
}
