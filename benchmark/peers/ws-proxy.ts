/** A proxy on `ws`: what a connection sends goes to one of its own to UPSTREAM, and back. Environment: PORT and UPSTREAM. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { WebSocket, WebSocketServer } from "ws"

const { PORT, UPSTREAM } = process.env

const http = createServer()

const pass = (from: WebSocket, to: WebSocket) => {
  from.on("error", () => {})
  from.on("close", () => to.terminate())
  from.on("message", (data, binary) => to.send(data, { binary }))
}

new WebSocketServer({ server: http, perMessageDeflate: false }).on("connection", (downstream) => {
  const upstream = new WebSocket(UPSTREAM!, { perMessageDeflate: false })
  downstream.pause()
  upstream.on("open", () => downstream.resume())
  pass(downstream, upstream)
  pass(upstream, downstream)
})

http.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
