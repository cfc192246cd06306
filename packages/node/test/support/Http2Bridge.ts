/**
 * A server of raw HTTP/1.1 whose connections are streams of an HTTP/2 server: what speaks bytes to a
 * socket, such as the conformance suite, plays against HTTP/2 through it.
 */
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Http2 from "node:http2"
import * as Net from "node:net"

const acceptOf = (key: string): string => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

export interface Bridge {
  readonly url: string
  readonly close: () => Promise<void>
}

/** Bridges to an HTTP/2 server at `origin`, with prior knowledge where that is not TLS. */
export const bridge = async (origin: string, options: Http2.SecureClientSessionOptions = {}): Promise<Bridge> => {
  const session = Http2.connect(origin, options)
  session.on("error", () => {})
  await once(session, "remoteSettings")

  const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {})
    let head = ""
    const onData = (chunk: Buffer) => {
      head += chunk.toString("latin1")
      const end = head.indexOf("\r\n\r\n")
      if (end === -1) return
      socket.off("data", onData)
      socket.pause()
      const early = Buffer.from(head.slice(end + 4), "latin1")
      const [first = "", ...lines] = head.slice(0, end).split("\r\n")
      const headers: Record<string, string> = {}
      for (const line of lines) {
        const colon = line.indexOf(":")
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
      }
      const key = headers["sec-websocket-key"] ?? ""
      for (const name of ["host", "upgrade", "connection", "sec-websocket-key"]) delete headers[name]
      const stream = session.request(
        { ":method": "CONNECT", ":protocol": "websocket", ":path": first.split(" ")[1] ?? "/", ...headers },
        { endStream: false }
      )
      stream.on("error", () => socket.destroy())
      stream.on("close", () => stream.rstCode === Http2.constants.NGHTTP2_NO_ERROR ? socket.end() : socket.destroy())
      stream.once("response", (answer) => {
        const isOpen = answer[":status"] === 200
        const rest = Object.entries(answer).filter(([name]) => !name.startsWith(":")).map(([name, value]) => `${name}: ${String(value)}\r\n`)
        socket.write(
          (isOpen
            ? `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n`
            : `HTTP/1.1 ${answer[":status"]} -\r\n`) + `${rest.join("")}\r\n`
        )
        if (early.length > 0) stream.write(early)
        stream.pipe(socket)
        socket.pipe(stream)
        socket.on("close", () => stream.destroyed || stream.close(Http2.constants.NGHTTP2_CANCEL))
      })
    }
    socket.on("data", onData)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  return {
    url: `ws://127.0.0.1:${port}/`,
    close: async () => {
      session.destroy()
      server.close()
      await once(server, "close")
    }
  }
}
