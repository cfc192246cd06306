/** An echo server on `ws`. Environment: PORT, BROADCAST, COMPRESSION, TLS_CERT and TLS_KEY. */
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"

const { BROADCAST, COMPRESSION, PORT, TLS_CERT, TLS_KEY } = process.env

const http = TLS_CERT !== undefined && TLS_KEY !== undefined
  ? createSecureServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer()
const server = new WebSocketServer({
  server: http,
  perMessageDeflate: COMPRESSION === "true" && { threshold: 0 }
})

server.on("connection", (socket) => {
  socket.on("error", () => {})
  socket.on("message", (data, binary) => {
    if (BROADCAST !== "true") return socket.send(data, { binary })
    for (const client of server.clients) client.send(data, { binary })
  })
})

http.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
