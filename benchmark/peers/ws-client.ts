/** Echo clients on `ws`. Environment: URL and CONNECTIONS. */
import { WebSocket } from "ws"

const { CONNECTIONS, URL } = process.env

for (let i = 0; i < Number(CONNECTIONS); i++) {
  const socket = new WebSocket(URL!, { perMessageDeflate: false })
  socket.on("message", (data, binary) => socket.send(data, { binary }))
}
