// An echo server of the `ws` package, without its limit of fragments, which the cases with many of them exceed.
import { WebSocketServer } from "ws"

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: { threshold: 0 },
  maxPayload: 16 * 1024 * 1024,
  maxFragments: 0,
  maxBufferedChunks: 0
})
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }))
  socket.on("error", () => {})
})
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}/`))
