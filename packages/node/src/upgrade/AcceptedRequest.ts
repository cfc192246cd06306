/**
 * What a request keeps after it has become a connection: its target, its headers as they were sent, and the peer's
 * address, copied when it is accepted. Node's message and its socket would cost each connection 1.5 KiB.
 */
import type * as Http from "node:http"

/** The address of the peer, as on a socket. */
interface Peer {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly remoteFamily?: string | undefined
  readonly encrypted?: boolean | undefined
}

/** The part of a request that handlers use: Node's message before the accept, a copy after it. */
export interface Head {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly httpVersion: string
  readonly rawHeaders: ReadonlyArray<string>
  readonly headers: Http.IncomingHttpHeaders
  readonly socket: Peer
}

// Most handshakes are alike, so they share their strings: these, and those of the previous handshake, because clients
// of the same kind, page or proxy send the same.
const common = new Map(
  [
    "Host",
    "User-Agent",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Pragma",
    "no-cache",
    "Origin",
    "Connection",
    "Upgrade",
    "websocket",
    "Sec-WebSocket-Version",
    "13",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Extensions",
    "permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Protocol"
  ].map((text) => [text, text])
)

let lastAddress: string | undefined

const sharedAddress = (address: string | undefined): string | undefined =>
  address === lastAddress ? lastAddress : lastAddress = address

// The lines of an earlier copy. They are never changed, so other copies may share them.
let lastLines: ReadonlyArray<string> = []

/** A copy of `lines`, made of strings that other copies share. */
const shareLines = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.map((line, i) => line === lastLines[i] ? lastLines[i] : common.get(line) ?? line)

/** Where `lines` differ from the last ones: at one index at most, as where only the key differs, or at more. */
const difference = (lines: ReadonlyArray<string>): number | "nowhere" | "more" => {
  if (lines.length !== lastLines.length) return "more"
  let at: number | "nowhere" = "nowhere"
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] === lastLines[i]) continue
    if (at !== "nowhere") return "more"
    at = i
  }
  return at
}

/** A copy of a request that became a connection. */
export class AcceptedRequest implements Head {
  readonly url: string | undefined
  private readonly lines: ReadonlyArray<string>
  // The line that differs if the others are shared with another request: most likely its key.
  private readonly own: string | undefined
  private readonly ownAt: number
  private readonly remoteAddress: string | undefined
  private readonly remotePort: number | undefined
  private readonly isSecure: boolean

  constructor({ rawHeaders, socket, url }: Head) {
    const at = difference(rawHeaders)
    if (at === "more") lastLines = shareLines(rawHeaders)
    this.url = url
    this.lines = lastLines
    this.ownAt = typeof at === "number" ? at : -1
    this.own = rawHeaders[this.ownAt]
    this.remoteAddress = sharedAddress(socket.remoteAddress)
    this.remotePort = socket.remotePort
    this.isSecure = socket.encrypted === true
  }

  /** No other method asks for a WebSocket (RFC 6455 §4.1). */
  get method(): string {
    return "GET"
  }

  /** Only HTTP/1.1 is upgraded. */
  get httpVersion(): string {
    return "1.1"
  }

  get rawHeaders(): Array<string> {
    const { lines, own, ownAt } = this
    return own === undefined ? [...lines] : lines.with(ownAt, own)
  }

  get headers(): Http.IncomingHttpHeaders {
    return joinHeaders(this.rawHeaders)
  }

  get socket(): Peer {
    const { isSecure, remoteAddress, remotePort } = this
    // Not by `isIP`, which refuses some names of the interface behind a link-local address.
    const remoteFamily = remoteAddress === undefined ? undefined : remoteAddress.includes(":") ? "IPv6" : "IPv4"
    return { remoteAddress, remotePort, remoteFamily, ...(isSecure && { encrypted: true }) }
  }
}

// Of these only the first line counts, as the documentation of `message.headers` says.
const single: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent"
])

/** Headers as in Node's `message.headers`, made from their lines by the rules documented there. */
export const joinHeaders = (rawHeaders: ReadonlyArray<string>): Http.IncomingHttpHeaders => {
  const joined = new Map<string, string | Array<string>>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const value = rawHeaders[i + 1]!
    const before = joined.get(name)
    if (name === "set-cookie") joined.set(name, [...before ?? [], value])
    else if (before === undefined) joined.set(name, value)
    else if (!single.has(name)) joined.set(name, `${before as string}${name === "cookie" ? "; " : ", "}${value}`)
  }
  // Node loses this name.
  joined.delete("__proto__")
  return Object.fromEntries(joined)
}
