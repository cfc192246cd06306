/**
 * What a request shows of its socket once the connection has left it for a transport of
 * its own: the peer's address, for as long as the request lives, and the way to cut the
 * connection. Measured: the socket would cost each connection 1 KiB.
 */
import type { Transport } from "@effect-ws/core"
import { EventEmitter } from "node:events"
import type * as Http from "node:http"
import type * as Net from "node:net"

class LeftSocket {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
  private readonly transport: Transport.Transport

  constructor({ remoteAddress, remoteFamily, remotePort }: Net.Socket, transport: Transport.Transport) {
    this.transport = transport
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.remoteFamily = remoteFamily
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

// What nearly every handshake says: one string for all connections, not one for each.
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

/** Lets a request go on without the socket that it came on, and without what all handshakes say. */
export const leaveSocket = (request: Http.IncomingMessage, transport: Transport.Transport): void => {
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i++) rawHeaders[i] = common.get(rawHeaders[i]!) ?? rawHeaders[i]!
  const left = new LeftSocket(request.socket, transport)
  // Older names of the same.
  Object.assign(request, "client" in request ? { socket: left, client: left } : { socket: left })
}
