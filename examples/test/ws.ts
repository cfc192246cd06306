/** `ws` from npm as the other side, with messages that can be awaited. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"
import { WebSocket, WebSocketServer } from "ws"

/** The messages of a socket, in order; text as a string, binary as a Buffer. */
export class Peer {
  readonly socket: WebSocket
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #messages: Array<string | Buffer> = []
  #wake = () => {}

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on("message", (data: Buffer, binary) => {
      this.#messages.push(binary ? data : data.toString())
      this.#wake()
    })
    this.closed = new Promise((resolve) =>
      socket.on("close", (code, reason) => {
        resolve({ code, reason: reason.toString() })
        this.#wake()
      })
    )
    socket.on("error", () => {})
  }

  /** The next message. */
  async next(): Promise<string | Buffer> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) return message
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error("closed before a message came")
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  send(message: string | Uint8Array) {
    this.socket.send(message)
  }
}

export const connect = async (url: string): Promise<Peer> => {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  onTestFinished(() => socket.terminate())
  const peer = new Peer(socket)
  await once(socket, "open")
  return peer
}

/** A server on a free port, closed when the test is over. */
export const listen = async (
  onPeer: (peer: Peer, path: URL) => void,
  options: { readonly verifyClient?: () => boolean } = {}
): Promise<string> => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", maxPayload: 64 * 1024 * 1024, ...options })
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  await once(server, "listening")
  server.on("connection", (socket, request) =>
    onPeer(new Peer(socket), new URL(request.url ?? "/", "http://127.0.0.1")))
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Bytes on the wire that no WebSocket library would send. */
export const sendRaw = (peer: Peer, bytes: Uint8Array) => {
  const { socket } = peer as unknown as { socket: { _socket: { write: (bytes: Uint8Array) => void } } }
  socket._socket.write(bytes)
}
