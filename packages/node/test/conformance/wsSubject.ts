/** The `ws` package as a subject: it tests the suite, not the library. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from "ws"
import type { ClientSubject, ServerSubject } from "../../src/conformance/Runner.ts"

// Cases 9.3.1 and 9.4.1 have 65,536 fragments, more than ws takes unless told.
const limits = { perMessageDeflate: false, maxPayload: 16 * 1024 * 1024, maxFragments: 65_536 }

const echo = (socket: WebSocket): void => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
  // A violation is reported here as well; the suite sees it on the wire.
  socket.on("error", () => undefined)
}

export const wsServer = async (
  options: ServerOptions = {}
): Promise<ServerSubject & { readonly close: () => void }> => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...limits, ...options })
  server.on("connection", echo)
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  return { url: `ws://127.0.0.1:${port}/`, close: () => server.close() }
}

export const wsClient = (options: ClientOptions = {}): ClientSubject => ({
  connect: async (url) => {
    const socket = new WebSocket(url, { ...limits, ...options })
    echo(socket)
    await new Promise((resolve) => socket.on("close", resolve))
  }
})
