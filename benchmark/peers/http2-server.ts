/**
 * Extended CONNECT, then an echo of bytes, masked as they are: what Node's HTTP/2 itself costs.
 * Environment: PORT, TLS_CERT, TLS_KEY.
 */
import { readFileSync } from "node:fs"
import { createSecureServer } from "node:http2"
import type { AddressInfo } from "node:net"

const { PORT, TLS_CERT, TLS_KEY } = process.env

const server = createSecureServer({
  cert: readFileSync(TLS_CERT!),
  key: readFileSync(TLS_KEY!),
  settings: { enableConnectProtocol: true }
})

server.on("stream", (stream) => {
  stream.respond({ ":status": 200 })
  stream.on("error", () => {})
  stream.on("data", (chunk) => stream.write(chunk))
})

server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on wss://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
