/** The handshake, then an echo of bytes, masked as they are: what Node itself costs. Environment: PORT. */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const server = createServer()

server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] ?? ""
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  const head = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`].join("\r\n")
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n\r\n`)
  socket.on("error", () => {})
  socket.on("data", (chunk) => socket.write(chunk))
})

server.listen(Number(process.env["PORT"]), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
