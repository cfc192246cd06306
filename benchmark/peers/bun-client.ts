/** Echo clients on Bun's own WebSocket, run by Bun. Environment: URL and CONNECTIONS. */
const { CONNECTIONS, URL } = process.env

for (let i = 0; i < Number(CONNECTIONS); i++) {
  const socket = new WebSocket(URL!)
  socket.binaryType = "arraybuffer"
  socket.addEventListener("message", ({ data }) => socket.send(data))
}
