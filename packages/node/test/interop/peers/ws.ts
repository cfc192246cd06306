/** `ws`, as a client and as a server. */
import type { Message } from "@effect-ws/core"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { type RawData, WebSocket, WebSocketServer } from "ws"
import {
  type Ability,
  type Closed,
  type Deflate,
  type Found,
  Inbox,
  type Outgoing,
  type PeerClient,
  type PeerServer,
  type PeerSocket,
  Refused
} from "../peer.ts"
import { violationBytes } from "./violations.ts"

const abilities: ReadonlySet<Ability> = new Set<Ability>([
  "ping",
  "fragments",
  "requestHeaders",
  "seenHeaders",
  "refusalStatus",
  "keepsBom",
  "deflateParameters",
  "emptyClose",
  "cut",
  "violations"
])

const maxPayload = 8 * 1024 * 1024

const deflateOf = ({ level, ...parameters }: Deflate) => ({
  ...parameters,
  threshold: 0,
  ...(level === undefined ? undefined : { zlibDeflateOptions: { level } })
})

const messageOf = (data: RawData, isBinary: boolean): Message.Message => {
  if (!Buffer.isBuffer(data)) throw new Error("ws gave what it does by another binaryType only")
  return isBinary ? new Uint8Array(data) : data.toString("utf8")
}

const send = (socket: WebSocket, message: Outgoing): void => {
  if (typeof message === "string" || message instanceof Uint8Array) {
    socket.send(message)
    return
  }
  const { fragments, ping } = message
  fragments.forEach((fragment, index) => {
    socket.send(fragment, { fin: index + 1 === fragments.length })
    if (index === 0 && ping !== undefined) socket.ping(ping)
  })
}

const headersOf = (headers: NodeJS.Dict<string | Array<string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

interface Handshaken {
  readonly headers: Record<string, string>
  readonly duplex: Duplex
}

/** Listens from the first moment: `ws` keeps nothing for later. */
const wrap = (socket: WebSocket, masked: boolean, handshaken: () => Handshaken): PeerSocket => {
  const messages = new Inbox<Message.Message>()
  const pongs = new Inbox<Uint8Array>()
  socket.on("message", (data, isBinary) => messages.push(messageOf(data, isBinary)))
  socket.on("pong", (data) => pongs.push(new Uint8Array(data)))
  socket.on("error", () => undefined)
  const closed = new Promise<Closed>((resolve) => {
    socket.on("close", (code, reason) => {
      messages.end(`closed with ${code}`)
      pongs.end(`closed with ${code}`)
      resolve({ code, reason: reason.toString("utf8") })
    })
  })
  return {
    get protocol() {
      return socket.protocol
    },
    get headers() {
      return handshaken().headers
    },
    send: (outgoing) => outgoing.forEach((message) => send(socket, message)),
    ping: (payload) => socket.ping(payload),
    close: (code, reason) => socket.close(code, reason),
    cut: () => socket.terminate(),
    violate: (violation) => void handshaken().duplex.write(violationBytes(violation, masked)),
    message: () => messages.take(),
    pong: () => pongs.take(),
    closed
  }
}

export const wsClient: Found<PeerClient> = {
  name: "ws",
  abilities,
  missing: undefined,
  start: async () => ({
    connect: (url, { deflate, headers = {}, protocols = [] }) =>
      new Promise((resolve, reject) => {
        const perMessageDeflate = deflate === undefined ? true : deflateOf(deflate)
        const socket = new WebSocket(url, [...protocols], { headers, maxPayload, perMessageDeflate })
        let handshaken: Handshaken | undefined
        socket.on("upgrade", (response) => {
          handshaken = { headers: headersOf(response.headers), duplex: response.socket }
        })
        socket.on("unexpected-response", (_request, response) => {
          response.destroy()
          reject(new Refused(response.statusCode))
        })
        socket.on("error", reject)
        const peer = wrap(socket, true, () => handshaken!)
        socket.on("open", () => resolve(peer))
      }),
    stop: async () => undefined
  })
}

export const wsServer: Found<PeerServer> = {
  name: "ws",
  abilities,
  missing: undefined,
  start: async () => ({
    listen: async ({ deflate, protocols = [], refuse }) => {
      const server = new WebSocketServer({
        host: "127.0.0.1",
        port: 0,
        maxPayload,
        perMessageDeflate: deflate === undefined ? false : deflateOf(deflate),
        handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
        verifyClient: (_info, verdict) =>
          refuse === undefined ? verdict(true) : verdict(false, refuse, "no entry")
      })
      const sockets = new Inbox<PeerSocket>()
      server.on("connection", (socket, request) => {
        const handshaken = { headers: headersOf(request.headers), duplex: request.socket }
        sockets.push(wrap(socket, false, () => handshaken))
      })
      await once(server, "listening")
      const { port } = server.address() as AddressInfo
      return {
        url: `ws://127.0.0.1:${port}/`,
        accept: () => sockets.take(),
        close: async () => {
          for (const client of server.clients) client.terminate()
          server.close()
          await once(server, "close")
        }
      }
    },
    stop: async () => undefined
  })
}
