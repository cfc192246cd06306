/**
 * A peer that lives elsewhere, in another process or in a page: commands as JSON go
 * there, events come back. `support/peer.py` and `support/page.html` are the other ends.
 */
import type { Message } from "@effect-ws/core"
import {
  type Closed,
  type ConnectOptions,
  Inbox,
  type ListenOptions,
  type Outgoing,
  type PeerListener,
  type PeerSocket,
  Refused
} from "../peer.ts"
import { violationBytes } from "./violations.ts"

type Payload = { readonly text: string } | { readonly binary: string }

/** `id` is that of a connection; a client's are ours, a server's its own. */
export type Event =
  | { readonly event: "listening"; readonly port: number }
  | {
    readonly event: "open"
    readonly id: number
    readonly protocol: string
    readonly headers: Readonly<Record<string, string>>
  }
  | { readonly event: "refused"; readonly id: number; readonly status?: number }
  | { readonly event: "message"; readonly id: number; readonly message: Payload }
  | { readonly event: "pong"; readonly id: number; readonly payload: string }
  | { readonly event: "closed"; readonly id: number; readonly code: number; readonly reason: string }

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

const encode = (message: Message.Message): Payload =>
  typeof message === "string" ? { text: message } : { binary: base64(message) }

const encodeOutgoing = (message: Outgoing) =>
  typeof message === "string" || message instanceof Uint8Array
    ? encode(message)
    : {
      fragments: message.fragments.map(encode),
      ...(message.ping === undefined ? undefined : { ping: base64(message.ping) })
    }

interface Waiting {
  readonly resolve: (socket: PeerSocket) => void
  readonly reject: (error: Error) => void
}

interface Remembered {
  readonly messages: Inbox<Message.Message>
  readonly pongs: Inbox<Uint8Array>
  readonly close: (closed: Closed) => void
}

export class Remote {
  private readonly command: (command: object) => void
  private readonly masked: boolean
  private readonly sockets = new Map<number, Remembered>()
  private readonly connecting = new Map<number, Waiting>()
  private readonly accepted = new Inbox<PeerSocket>()
  private readonly ports = new Inbox<number>()
  private last = 0

  constructor(role: "client" | "server", command: (command: object) => void) {
    this.masked = role === "client"
    this.command = command
  }

  connect(url: string, { deflate, headers = {}, protocols = [] }: ConnectOptions): Promise<PeerSocket> {
    const id = ++this.last
    return new Promise((resolve, reject) => {
      this.connecting.set(id, { resolve, reject })
      this.command({ op: "connect", id, url, protocols, headers, deflate: deflate ?? null })
    })
  }

  async listen({ deflate, protocols = [], refuse }: ListenOptions): Promise<PeerListener> {
    this.command({ op: "listen", protocols, refuse: refuse ?? null, deflate: deflate ?? null })
    const port = await this.ports.take()
    return {
      url: `ws://127.0.0.1:${port}/`,
      accept: () => this.accepted.take(),
      close: async () => this.command({ op: "stop" })
    }
  }

  onEvent(event: Event): void {
    if (event.event === "listening") {
      this.ports.push(event.port)
      return
    }
    const { id } = event
    switch (event.event) {
      case "open": {
        const socket = this.open(id, event.protocol, event.headers)
        const waiting = this.connecting.get(id)
        if (waiting === undefined) this.accepted.push(socket)
        else waiting.resolve(socket)
        return
      }
      case "refused":
        this.connecting.get(id)?.reject(new Refused(event.status))
        return
      case "message": {
        const { message } = event
        this.sockets.get(id)?.messages.push("text" in message ? message.text : bytesOf(message.binary))
        return
      }
      case "pong":
        this.sockets.get(id)?.pongs.push(bytesOf(event.payload))
        return
      case "closed":
        this.sockets.get(id)?.close({ code: event.code, reason: event.reason })
        this.sockets.delete(id)
        return
    }
  }

  private open(id: number, protocol: string, headers: Readonly<Record<string, string>>): PeerSocket {
    const messages = new Inbox<Message.Message>()
    const pongs = new Inbox<Uint8Array>()
    const closed = new Promise<Closed>((resolve) => {
      this.sockets.set(id, {
        messages,
        pongs,
        close: (closed) => {
          messages.end(`closed with ${closed.code}`)
          pongs.end(`closed with ${closed.code}`)
          resolve(closed)
        }
      })
    })
    return {
      protocol,
      headers,
      send: (outgoing) => this.command({ op: "send", id, messages: outgoing.map(encodeOutgoing) }),
      ping: (payload) => this.command({ op: "ping", id, payload: base64(payload) }),
      close: (code, reason) => this.command({ op: "close", id, code: code ?? null, reason: reason ?? "" }),
      cut: () => this.command({ op: "cut", id }),
      violate: (violation) => this.command({ op: "raw", id, bytes: base64(violationBytes(violation, this.masked)) }),
      message: () => messages.take(),
      pong: () => pongs.take(),
      closed
    }
  }
}
