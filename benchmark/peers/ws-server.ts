/**
 * A server on `ws`. Environment: PORT, COMPRESSION, TLS_CERT and TLS_KEY, and MODE: `echo`, `broadcast` (to all), `chat`
 * (to all others), `json` (see `order.ts`) or `feed` (see `tick.ts`).
 */
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { type RawData, type WebSocket, WebSocketServer } from "ws"
import { answer } from "./order.ts"
import { everyMillis, mostUnsent, next } from "./tick.ts"

const { COMPRESSION, MODE, PORT, TLS_CERT, TLS_KEY } = process.env

const http = TLS_CERT !== undefined && TLS_KEY !== undefined
  ? createSecureServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer()
const server = new WebSocketServer({
  server: http,
  perMessageDeflate: COMPRESSION === "true" && { threshold: 0 }
})

const tell = (clients: Iterable<WebSocket>, data: RawData, binary: boolean) => {
  for (const client of clients) client.send(data, { binary })
}

const others = function*(self: WebSocket) {
  for (const client of server.clients) if (client !== self) yield client
}

const modes: Readonly<Record<string, (socket: WebSocket, data: RawData, binary: boolean) => void>> = {
  echo: (socket, data, binary) => socket.send(data, { binary }),
  broadcast: (_, data, binary) => tell(server.clients, data, binary),
  chat: (socket, data, binary) => tell(others(socket), data, binary),
  json: (socket, data) => socket.send(answer(String(data))),
  feed: () => {}
}

const onMessage = modes[MODE ?? "echo"]!

server.on("connection", (socket) => {
  socket.on("error", () => {})
  socket.on("message", (data, binary) => onMessage(socket, data, binary))
})

if (MODE === "feed") {
  setInterval(() => {
    const tick = next()
    for (const client of server.clients) if (client.bufferedAmount < mostUnsent) client.send(tick)
  }, everyMillis)
}

http.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
