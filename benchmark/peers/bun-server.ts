/** Bun's own server, run by Bun. The environment is that of `ws-server.ts`. */
import { answer } from "./order.ts"
import { everyMillis, mostUnsent, next } from "./tick.ts"

interface Socket {
  readonly send: (message: string | Uint8Array, compress: boolean) => number
  readonly publish: (topic: string, message: string | Uint8Array, compress: boolean) => number
  readonly subscribe: (topic: string) => void
}

interface Server {
  readonly port: number
  readonly upgrade: (request: Request) => boolean
  readonly publish: (topic: string, message: string | Uint8Array, compress: boolean) => number
}

/** What is used of Bun, whose types are not installed. */
interface Bun {
  readonly file: (path: string) => unknown
  readonly serve: (options: object) => Server
}

const { COMPRESSION, MODE, PORT, TLS_CERT, TLS_KEY } = process.env
const compress = COMPRESSION === "true"
const { file, serve } = (globalThis as unknown as { readonly Bun: Bun }).Bun
const room = "all"

const modes: Readonly<Record<string, (socket: Socket, message: string | Uint8Array) => void>> = {
  echo: (socket, message) => void socket.send(message, compress),
  broadcast: (_, message) => void server.publish(room, message, compress),
  chat: (socket, message) => void socket.publish(room, message, compress),
  json: (socket, message) => void socket.send(answer(String(message)), compress),
  feed: () => {}
}

const onMessage = modes[MODE ?? "echo"]!

const server = serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  ...TLS_CERT !== undefined && TLS_KEY !== undefined && { tls: { cert: file(TLS_CERT), key: file(TLS_KEY) } },
  fetch: (request: Request, server: Server) =>
    server.upgrade(request) ? undefined : new Response("a WebSocket request is needed", { status: 426 }),
  websocket: {
    maxPayloadLength: 16 * 1024 * 1024,
    // Above this Bun drops what it is to send; only the feed may lose anything.
    backpressureLimit: MODE === "feed" ? mostUnsent : 1024 * 1024 * 1024,
    idleTimeout: 0,
    sendPings: false,
    // One context for each connection, as the others have.
    perMessageDeflate: compress && { compress: "dedicated", decompress: "dedicated" },
    open: (socket: Socket) => socket.subscribe(room),
    message: onMessage
  }
})

if (MODE === "feed") setInterval(() => server.publish(room, next(), false), everyMillis)

console.log(`listening on ws://127.0.0.1:${server.port}`)
