/** Servers that misbehave towards our clients, by their path. */
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import type * as Net from "node:net"

const head = (key: string, accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")): string =>
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  `Sec-WebSocket-Accept: ${accept}\r\n\r\n`

const reset = (socket: Net.Socket) => () => socket.resetAndDestroy()

const said = (...bytes: ReadonlyArray<number>) => (socket: Net.Socket, key: string): void => {
  socket.write(head(key))
  socket.write(Buffer.from(bytes), reset(socket))
}

type Misbehaviour = (socket: Net.Socket, key: string) => void

/** What each does once it has read the request. */
export const misbehaviours: Readonly<Record<string, Misbehaviour>> = {
  "resets at once": (socket) => socket.resetAndDestroy(),
  "never answers": () => {},
  "resets within its answer": (socket, key) => void socket.write(head(key).slice(0, 60), reset(socket)),
  "answers nonsense": (socket) => socket.end("220 mail.example ESMTP\r\n"),
  "refuses": (socket) => socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"),
  "has another key": (socket) => void socket.write(head("", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
  "resets after its 101": said(),
  "resets within a frame": said(0x81, 0x09, 0x63, 0x75, 0x74),
  "resets within a message": said(0x01, 0x03, 0x63, 0x75, 0x74),
  "half-closes": (socket, key) => {
    socket.write(head(key))
    socket.end(Buffer.from([0x81, 0x02, 0x68, 0x69]))
  },
  "breaks a rule": (socket, key) => {
    socket.write(head(key))
    socket.write(Buffer.from([0xf1, 0x00]))
  },
  "declares too much": (socket, key) => {
    socket.write(head(key))
    socket.write(Buffer.from([0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]))
  },
  "closes and leaves": said(0x88, 0x02, 0x03, 0xe9),
  "closes and stays": (socket, key) => {
    socket.write(head(key))
    socket.write(Buffer.from([0x88, 0x02, 0x03, 0xe9]))
  },
  "never says a word": (socket, key) => void socket.write(head(key)),
  "trickles": (socket, key) => {
    const answer = head(key)
    let at = 0
    const timer = setInterval(() => {
      if (at < answer.length) socket.write(answer[at++]!)
    }, 50)
    socket.once("close", () => clearInterval(timer))
  }
}
