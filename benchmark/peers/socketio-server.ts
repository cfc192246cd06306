/**
 * Socket.IO 4 with one room, in which all are from the start: what one says goes to all, itself included; and orders are placed. Environment: PORT, and REDIS_URL for
 * several servers, by its adapter for Redis.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createAdapter } from "@socket.io/redis-adapter"
import { createClient } from "redis"
import { Server } from "socket.io"
import { type Order, placed } from "./order.ts"

const { PORT, REDIS_URL } = process.env

const http = createServer()
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false })

if (REDIS_URL !== undefined) {
  const publisher = createClient({ url: REDIS_URL })
  const subscriber = publisher.duplicate()
  await Promise.all([publisher.connect(), subscriber.connect()])
  io.adapter(createAdapter(publisher, subscriber))
}

io.on("connection", (socket) => {
  void socket.join("room")
  socket.on("say", (text: string) => io.to("room").emit("say", text))
  socket.on("place", (order: Order, acknowledge: (placed: object) => void) => acknowledge(placed(order)))
})

http.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
