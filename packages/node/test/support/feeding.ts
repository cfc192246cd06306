/**
 * A feed in a process of its own, to be killed, stopped and started again: `HOST PORT`. It prints its port as a line of
 * JSON, and sends every client `<pid>:0`, `<pid>:1` and so on, one each 10 milliseconds.
 */
import { WebSocketServer } from "ws"

const [, , host = "127.0.0.1", port = "0"] = process.argv

const server = new WebSocketServer({ host, port: Number(port) })
server.on("listening", () => {
  const address = server.address()
  process.stdout.write(`${JSON.stringify({ port: typeof address === "object" ? address?.port : undefined })}\n`)
})
server.on("connection", (socket) => {
  let next = 0
  const timer = setInterval(() => socket.send(`${process.pid}:${next++}`), 10)
  socket.on("close", () => clearInterval(timer)).on("error", () => {})
})
