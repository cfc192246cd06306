/**
 * What a request keeps of Node's message once the connection has left HTTP: its headers as
 * they were sent, its target and the peer's address, for as long as the request lives, and
 * the way to cut the connection. Measured: the socket would cost each connection 1 KiB, the
 * message half of one; it is made again if it is asked for.
 */
import type { Transport } from "@effect-ws/core"
import { EventEmitter } from "node:events"
import * as Http from "node:http"
import type { Socket } from "node:net"

class LeftSocket {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  private readonly transport: Transport.Transport

  constructor(remoteAddress: string | undefined, remotePort: number | undefined, transport: Transport.Transport) {
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.transport = transport
  }

  get remoteFamily(): string | undefined {
    const { remoteAddress } = this
    if (remoteAddress === undefined) return undefined
    // `isIP` does not know every name of an interface that may stand behind a link-local one.
    return remoteAddress.includes(":") ? "IPv6" : "IPv4"
  }

  /** Still ends the connection. */
  destroy(): this {
    this.transport.destroy()
    return this
  }

  // What is set of a socket means nothing any more, and is no mistake either.
  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }
}

// Whoever listens hears nothing, as of any socket that is gone. Not by `extends`: an emitter
// has fields that nobody here needs.
Object.setPrototypeOf(LeftSocket.prototype, EventEmitter.prototype)

// One string for all connections, not one for each: what nearly every handshake says, and
// what the one before said, as do those of the same browser, of a page, or behind a proxy.
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

// Those of the last message that nobody else holds.
let lastLines: ReadonlyArray<string> = []

/**
 * Puts strings into `lines` that others have already, and tells where they differ from the
 * last: at one place at most, as where clients do not send cookies, or at more.
 */
const shareLines = (lines: Array<string>): number | "nowhere" | "more" => {
  let at: number | "nowhere" | "more" = lines.length === lastLines.length ? "nowhere" : "more"
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    const last = lastLines[i]
    if (line === last) {
      lines[i] = last
    } else {
      lines[i] = common.get(line) ?? line
      at = at === "nowhere" ? i : "more"
    }
  }
  return at
}

// What Node makes a message of, and its parser and `PendingUpgrade` add.
const plain = new Http.IncomingMessage(null as unknown as Socket)
const ordinaryNames = Object.keys(plain).length + 1
const ordinarySymbols = Object.getOwnPropertySymbols(plain).length + 1

// How a message is given its headers, of which it makes all else when it is asked.
const addHeaderLines: unknown = Reflect.get(Http.IncomingMessage.prototype, "_addHeaderLines")

/** What is assumed of a message and its socket. */
interface Internals {
  readonly joinDuplicateHeaders?: boolean
  readonly _eventsCount?: number
  readonly socket: { readonly server?: EventEmitter | undefined }
}

/**
 * Nobody has added anything to it, or waits for anything of it: nobody else was told of it, as
 * far as one sees. (To ask it for its symbols takes longer than all that is done with it, so that
 * is done only where a listener of someone's own may have called ours.)
 */
const isOrdinary = (message: Http.IncomingMessage, isFirst: boolean): boolean => {
  const { _eventsCount, joinDuplicateHeaders, socket: { server } } = message as Internals
  return typeof addHeaderLines === "function" && Object.getPrototypeOf(message) === Http.IncomingMessage.prototype &&
    joinDuplicateHeaders !== true && _eventsCount === 0 && server?.listenerCount("upgrade") === 1 &&
    Object.keys(message).length <= ordinaryNames &&
    (isFirst || Object.getOwnPropertySymbols(message).length <= ordinarySymbols)
}

/** What handlers look at of a message. */
export type Head = Pick<Http.IncomingMessage, "method" | "url" | "headers" | "rawHeaders" | "socket">

/** A message that can be made again. */
export class LeftMessage implements Head {
  readonly url: string
  private readonly lines: ReadonlyArray<string>
  // The one line that is its own where the others are shared: its key, most likely.
  private readonly own: string | undefined
  private readonly ownAt: number
  private readonly remoteAddress: string | undefined
  private readonly remotePort: number | undefined
  private readonly transport: Transport.Transport

  private constructor(
    url: string,
    lines: ReadonlyArray<string>,
    differs: number | "nowhere" | "more",
    { remoteAddress, remotePort }: Socket,
    transport: Transport.Transport
  ) {
    this.url = url
    this.ownAt = typeof differs === "number" ? differs : -1
    this.own = lines[this.ownAt]
    this.lines = differs === "more" ? lastLines = lines : lastLines
    this.remoteAddress = sharedAddress(remoteAddress)
    this.remotePort = remotePort
    this.transport = transport
  }

  get rawHeaders(): Array<string> {
    const { lines, own, ownAt } = this
    return own === undefined ? [...lines] : lines.with(ownAt, own)
  }

  /**
   * Lets a message go on without the socket that it came on, and without what all handshakes
   * say. One that handlers were shown stays the same. `isFirst`: it came from Node, by nobody else.
   */
  static leave(
    message: Http.IncomingMessage,
    transport: Transport.Transport,
    isShown: boolean,
    isFirst: boolean
  ): LeftMessage | Http.IncomingMessage {
    const { rawHeaders, socket, url } = message
    const differs = shareLines(rawHeaders)
    const isOurs = url !== undefined && !isShown && isOrdinary(message, isFirst)
    if (isOurs) return new LeftMessage(url, rawHeaders, differs, socket, transport)
    const left = new LeftSocket(socket.remoteAddress, socket.remotePort, transport)
    // Older names of the same.
    Object.assign(message, "client" in message ? { socket: left, client: left } : { socket: left })
    return message
  }

  get socket(): Socket {
    return new LeftSocket(this.remoteAddress, this.remotePort, this.transport) as object as Socket
  }

  get method(): string {
    return "GET"
  }

  /** By Node's rules. The request keeps what it makes of them, so the message goes again. */
  get headers(): Http.IncomingHttpHeaders {
    return this.message().headers
  }

  /** The message once more: a GET of HTTP/1.1 without a body, or it would be no WebSocket's. */
  message(): Http.IncomingMessage {
    const { rawHeaders, socket, url } = this
    const message = new Http.IncomingMessage(socket)
    Object.assign(message, {
      method: this.method,
      httpVersion: "1.1",
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      url,
      upgrade: true
    })
    Reflect.apply(addHeaderLines as (lines: Array<string>, count: number) => void, message, [rawHeaders, rawHeaders.length])
    message.complete = true
    // Nothing is read of it.
    message.push(null)
    return message
  }
}
