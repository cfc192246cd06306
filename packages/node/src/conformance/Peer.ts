/**
 * The raw peer: one TCP connection on which the suite plays the client or the
 * server. It does the opening handshake itself, writes whatever octets a case
 * asks for, and collects what comes back until TCP ends.
 */
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import * as Tls from "node:tls"
import type { Negotiation } from "./cases/Case.ts"
import { Deflater } from "./wire/Deflater.ts"
import { Inflater } from "./wire/Inflater.ts"
import { type Agreement, chooseAnswer, format, judgeAnswer } from "./wire/Parameters.ts"
import { type Event, FrameReader, freshKey } from "./wire/Frames.ts"

export type Role = "client" | "server"

export type Noted = Exclude<Event, { readonly _tag: "Close" }> | { readonly _tag: "Timeout"; readonly name: string }

export interface CloseFrame {
  readonly code: number | undefined
  readonly reason: string
}

const accept = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

/** A connection whose opening handshake is done. */
export class Peer {
  /** Which part the suite plays; the subject plays the other. */
  readonly plays: Role
  readonly events: Array<Noted> = []
  readonly faults: Array<string> = []
  /** One mask key for the frame that is sent in parts; none when the suite plays the server. */
  readonly partKey: Uint8Array | undefined
  /** Present if permessage-deflate was agreed on. */
  readonly deflater: Deflater | undefined
  closeReceived: CloseFrame | undefined
  closeSent = false
  /** Whether the subject's Close came before the suite had sent one. */
  closedBySubject = false
  /** The subject's end of TCP: FIN, or a reset. */
  ended = false
  resetBy: string | undefined
  /** Both directions are gone. */
  gone = false
  private readonly socket: Net.Socket
  private readonly reader: FrameReader
  private readonly watchers = new Set<() => void>()

  constructor(plays: Role, socket: Net.Socket, early: Buffer, agreement?: Agreement) {
    this.plays = plays
    this.socket = socket
    this.partKey = plays === "client" ? freshKey() : undefined
    this.deflater = agreement && new Deflater(agreement[plays])
    const reader = new FrameReader(
      plays === "server",
      (event) => this.take(event),
      (fault) => this.faults.push(fault),
      agreement && new Inflater(agreement[plays === "client" ? "server" : "client"])
    )
    this.reader = reader
    socket.on("data", (chunk: Buffer) => {
      reader.push(chunk)
      this.changed()
    })
    socket.on("end", () => {
      if (reader.isInsideFrame) this.faults.push("TCP ended inside a frame")
      this.ended = true
      // The other direction ends as soon as the subject has ended its own.
      socket.end()
      this.changed()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.resetBy = error.code ?? error.message
    })
    socket.on("close", () => {
      this.ended = true
      this.gone = true
      this.changed()
    })
    socket.setNoDelay(true)
    if (early.length > 0) reader.push(early)
    socket.resume()
  }

  /** Over for the sender of a case: the subject has closed, on either layer. */
  get isClosing(): boolean {
    return this.closeReceived !== undefined || this.ended
  }

  /** How many of the subject's messages came compressed. */
  get inflated(): number {
    return this.reader.inflated
  }

  note(name: string): void {
    this.events.push({ _tag: "Timeout", name })
  }

  /** Waits for a condition on this peer, at most so long; says whether it was met. */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    if (condition()) return true
    return await new Promise((resolve) => {
      const finish = (met: boolean) => {
        this.watchers.delete(check)
        clearTimeout(timer)
        resolve(met)
      }
      const check = () => {
        if (condition()) finish(true)
      }
      // A busy loop runs timers before it reads sockets, so what has already arrived is read before giving up.
      const timer = setTimeout(() => setImmediate(() => setImmediate(() => finish(condition()))), ms)
      this.watchers.add(check)
    })
  }

  /** One TCP write. */
  async write(octets: Uint8Array): Promise<void> {
    if (this.socket.destroyed || this.socket.writableEnded || octets.length === 0) return
    if (!this.socket.write(octets)) {
      await Promise.race([once(this.socket, "drain"), once(this.socket, "close")]).catch(() => undefined)
    }
  }

  /** Several TCP writes, each read by a subject in this process before the next; stops when the subject has closed. */
  async writeChopped(octets: Uint8Array, size: number): Promise<void> {
    for (let from = 0; from < octets.length && !this.isClosing; from += size) {
      await this.write(octets.subarray(from, from + size))
      await turn()
    }
  }

  /** FIN, after everything that was written. */
  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private take(event: Event): void {
    if (event._tag !== "Close") {
      this.events.push(event)
    } else if (this.closeReceived === undefined) {
      this.closeReceived = { code: event.code, reason: event.reason }
      this.closedBySubject = !this.closeSent
    }
  }

  private changed(): void {
    for (const watcher of this.watchers) watcher()
  }
}

/** The head of a request or an answer. */
export interface Head {
  readonly lines: ReadonlyArray<string>
  /** The octets behind it: the first frames. */
  readonly early: Buffer
}

/** No head is longer; what is longer is none. */
const longestHead = 64 * 1024

/** Reads a head up to its empty line. */
export const readHead = (socket: Net.Socket, ms: number): Promise<Head> =>
  new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0)
    const timer = setTimeout(() => fail(new Error("no opening handshake in time")), ms)
    const stop = () => {
      clearTimeout(timer)
      socket.off("data", onData).off("error", fail).off("close", onClose)
    }
    const fail = (error: Error) => {
      stop()
      socket.destroy()
      reject(error)
    }
    const onClose = () => fail(new Error("TCP ended inside the opening handshake"))
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk])
      const end = seen.indexOf("\r\n\r\n")
      if (end < 0) return seen.length > longestHead ? fail(new Error("a head without an end")) : undefined
      stop()
      socket.pause()
      resolve({ lines: seen.subarray(0, end).toString("latin1").split("\r\n"), early: seen.subarray(end + 4) })
    }
    socket.on("data", onData).on("error", fail).on("close", onClose)
  })

const field = (lines: ReadonlyArray<string>, name: string): string | undefined => {
  const found = lines.slice(1).filter((line) => line.toLowerCase().startsWith(`${name}:`))
  // A field on several lines is one list (RFC 9110 §5.3).
  return found.length === 0 ? undefined : found.map((line) => line.slice(name.length + 1).trim()).join(", ")
}

const extensions = "sec-websocket-extensions"

/** What the server's head agrees on; throws what is wrong with it. */
const judgeHead = (
  lines: ReadonlyArray<string>,
  key: string,
  negotiation: Negotiation | undefined
): Agreement | undefined => {
  if (!lines[0]!.startsWith("HTTP/1.1 101")) throw new Error(`refused with ${lines[0]}`)
  if (field(lines, "sec-websocket-accept") !== accept(key)) throw new Error("a wrong Sec-WebSocket-Accept")
  const answer = field(lines, extensions)
  if (answer === undefined) return undefined
  if (negotiation === undefined) throw new Error("an extension that was not offered")
  return judgeAnswer(negotiation.offers, answer)
}

/** A server to connect to. */
export interface Target {
  readonly url: string
  /** For wss; certificates are verified unless this says otherwise. */
  readonly tls?: Tls.ConnectionOptions | undefined
  /** More lines for the request, such as credentials. */
  readonly headers?: ReadonlyArray<readonly [string, string]> | undefined
}

const dial = ({ tls, url }: Target): Net.Socket => {
  const { hostname, port, protocol } = new URL(url)
  const isSecure = protocol === "wss:" || protocol === "https:"
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname
  const to = { host, port: port === "" ? (isSecure ? 443 : 80) : Number(port), allowHalfOpen: true }
  if (!isSecure) return Net.connect(to)
  return Tls.connect({ ...tls, ...to, ...(Net.isIP(host) === 0 ? { servername: host } : {}) })
}

/** Plays the client: connects and asks for an upgrade, without extensions unless the case negotiates. */
export const connect = async (target: Target, ms: number, negotiation?: Negotiation): Promise<Peer> => {
  const { host, pathname, search } = new URL(target.url)
  const socket = dial(target)
  const key = randomBytes(16).toString("base64")
  socket.write(
    [
      `GET ${pathname}${search} HTTP/1.1`,
      `Host: ${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${key}`,
      "Sec-WebSocket-Version: 13",
      ...(negotiation === undefined ? [] : [`Sec-WebSocket-Extensions: ${negotiation.offers.map(format).join(", ")}`]),
      ...(target.headers ?? []).map(([name, value]) => `${name}: ${value}`),
      "\r\n"
    ].join("\r\n")
  )
  const { early, lines } = await readHead(socket, ms)
  try {
    return new Peer("client", socket, early, judgeHead(lines, key, negotiation))
  } catch (error) {
    socket.destroy()
    throw error
  }
}

export interface Accepted {
  /** The octets that came right behind the head. */
  readonly early: Buffer
  readonly agreement: Agreement | undefined
}

/** Answers a client's opening handshake whose head has been read; throws what is wrong with it. */
export const answerHead = (socket: Net.Socket, { early, lines }: Head, negotiation?: Negotiation): Accepted => {
  const refuse = (why: string): never => {
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    throw new Error(why)
  }
  const key = field(lines, "sec-websocket-key")
  if (!lines[0]!.startsWith("GET ") || key === undefined) return refuse(`not an opening handshake: ${lines[0]}`)
  const offer = field(lines, extensions)
  const answer = (): ReturnType<typeof chooseAnswer> => {
    if (negotiation === undefined || offer === undefined) return undefined
    try {
      return chooseAnswer(negotiation.answers, offer)
    } catch (error) {
      return refuse(`a wrong offer: ${(error as Error).message}`)
    }
  }
  const chosen = answer()
  socket.write(
    [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${accept(key)}`,
      ...(chosen === undefined ? [] : [`Sec-WebSocket-Extensions: ${chosen.header}`]),
      "\r\n"
    ].join("\r\n")
  )
  return { early, agreement: chosen?.agreement }
}

/** Answers a client's opening handshake on a fresh connection. */
export const acceptUpgrade = async (socket: Net.Socket, ms: number, negotiation?: Negotiation): Promise<Accepted> =>
  answerHead(socket, await readHead(socket, ms), negotiation)

export interface Listener {
  readonly url: string
  /** The one connection of a case. */
  readonly peer: Promise<Peer>
  readonly close: () => void
}

/** Plays the server: waits for one client on a port of its own; accepts no extension unless the case negotiates. */
export const listen = async (ms: number, negotiation?: Negotiation): Promise<Listener> => {
  const server = Net.createServer({ allowHalfOpen: true })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const accepted = new Promise<Net.Socket>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the client did not connect in time")), ms)
    server.once("connection", (socket) => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
  const peer = accepted.then(async (socket) => {
    const { agreement, early } = await acceptUpgrade(socket, ms, negotiation)
    return new Peer("server", socket, early, agreement)
  })
  // The runner may give up before it looks at this promise.
  peer.catch(() => undefined)
  const { port } = server.address() as Net.AddressInfo
  return { url: `ws://127.0.0.1:${port}/`, peer, close: () => server.close() }
}
