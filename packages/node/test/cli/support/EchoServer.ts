/** A server of the `ws` package, so that the tool is not tested with itself alone: an echo, and some paths that are none. */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import { type WebSocket, WebSocketServer } from "ws"

const tls = `${import.meta.dirname}/../../support/tls`

const serve = (socket: WebSocket, request: Http.IncomingMessage): void => {
  socket.on("error", () => undefined)
  switch (request.url) {
    case "/headers":
      return socket.send(JSON.stringify(request.headers))
    case "/goodbye":
      socket.send("goodbye")
      return socket.close(1008, "too long")
    case "/escape":
      return socket.send("a\u001B[2Jb")
    case "/endless": {
      const timer = setInterval(() => socket.send("endless"), 1)
      socket.on("close", () => clearInterval(timer))
      return
    }
    case "/unmasked":
      // A text frame with a reserved bit.
      Reflect.get(socket, "_socket").write(Buffer.from([0xa1, 0x01, 0x61]))
      return
    case "/binary":
      socket.on("message", (data) => socket.send(data, { binary: true }))
      return
    default:
      socket.on("message", (data, binary) => socket.send(data, { binary }))
  }
}

export const echoServer = async ({ isSecure = false } = {}) => {
  const server = isSecure
    ? Https.createServer({ cert: readFileSync(`${tls}/server.pem`), key: readFileSync(`${tls}/server.key`) })
    : Http.createServer()
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has("a") ? "a" : false)
  })
  sockets.on("connection", serve)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `${isSecure ? "wss" : "ws"}://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
    }
  }
}
