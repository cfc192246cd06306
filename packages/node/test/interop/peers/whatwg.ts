/** The WebSocket of the web's standard, as undici and Node itself have it: a client. */
import type { Message } from "@effect-ws/core"
import { WebSocket as UndiciWebSocket } from "undici"
import { type Ability, type Closed, type Found, Inbox, type PeerClient, type PeerSocket, Refused } from "../peer.ts"

interface StandardSocket extends EventTarget {
  binaryType: string
  readonly protocol: string
  readonly send: (message: string | Uint8Array<ArrayBuffer>) => void
  readonly close: (code?: number, reason?: string) => void
}

type Construct = (
  url: string,
  init: { readonly protocols: Array<string>; readonly headers: Record<string, string> }
) => StandardSocket

// The standard knows neither pings, fragments nor the handshake; the headers are undici's addition.
const abilities: ReadonlySet<Ability> = new Set<Ability>(["requestHeaders", "emptyClose"])

const unable = (): never => {
  throw new Error("a WebSocket of the web's standard cannot do this")
}

const connect = (construct: Construct): PeerClient["connect"] => (url, { headers = {}, protocols = [] }) =>
  new Promise((resolve, reject) => {
    const socket = construct(url, { protocols: [...protocols], headers: { ...headers } })
    socket.binaryType = "arraybuffer"
    const messages = new Inbox<Message.Message>()
    const closed = new Promise<Closed>((settle) => {
      socket.addEventListener("close", (event) => {
        const { code, reason } = event as CloseEvent
        messages.end(`closed with ${code}`)
        settle({ code, reason })
      })
    })
    socket.addEventListener("message", (event) => {
      const { data } = event as MessageEvent<string | ArrayBuffer>
      messages.push(typeof data === "string" ? data : new Uint8Array(data))
    })
    socket.addEventListener("error", () => reject(new Refused(undefined)))
    const peer: PeerSocket = {
      get protocol() {
        return socket.protocol
      },
      headers: {},
      send: (outgoing) =>
        outgoing.forEach((message) => {
          if (typeof message === "string") socket.send(message)
          else if (message instanceof Uint8Array) socket.send(Uint8Array.from(message))
          else unable()
        }),
      ping: unable,
      close: (code, reason) => socket.close(code, reason),
      cut: unable,
      violate: unable,
      message: () => messages.take(),
      pong: unable,
      closed
    }
    socket.addEventListener("open", () => resolve(peer))
  })

const found = (name: string, construct: Construct): Found<PeerClient> => ({
  name,
  abilities,
  missing: undefined,
  start: async () => ({ connect: connect(construct), stop: async () => undefined })
})

export const undiciClient = found("undici", (url, init) => new UndiciWebSocket(url, init))

export const nodeClient = found(
  `Node ${process.versions.node}`,
  // The browser's type does not know that Node's takes headers as well.
  (url, init) => new WebSocket(url, init as unknown as Array<string>)
)
