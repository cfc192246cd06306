/** Echo clients on undici's WebSocket, which is Node's own. Environment: URL and CONNECTIONS. */
import { WebSocket } from "undici"

const { CONNECTIONS, URL } = process.env

for (let i = 0; i < Number(CONNECTIONS); i++) {
  const socket = new WebSocket(URL!)
  socket.binaryType = "arraybuffer"
  socket.addEventListener("message", ({ data }) => socket.send(data))
}
