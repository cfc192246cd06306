/** Opens the load generator's connections: as a client of the measured server, or as the server of measured clients. */
import { createHash, randomBytes } from "node:crypto"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { Link, type LinkOptions } from "./link.ts"

/** How a connection reaches the measured server: `http2` is a stream of the one session that all share (RFC 8441). */
export type Transport = "tcp" | "tls" | "http2"

export interface Address {
  readonly port: number
  readonly transport: Transport
  /** The certificate to trust, of a transport with TLS. */
  readonly ca?: Buffer | undefined
  /** Default `/`. */
  readonly path?: string | undefined
  readonly subprotocol?: string | undefined
}

const headEnd = "\r\n\r\n"

// Read into by all connections in turn: what is counted need not be allocated.
const shared = Buffer.allocUnsafeSlow(256 * 1024)

const request = ({ path = "/", subprotocol }: Address, deflated: boolean): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Version: 13",
    ...deflated ? ["Sec-WebSocket-Extensions: permessage-deflate"] : [],
    ...subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`],
    headEnd
  ].join("\r\n").slice(0, -2)

/** Collects the head of an HTTP message; gives it with the bytes that follow it. */
const headReader = () => {
  let collected = ""
  return (chunk: Buffer): { readonly head: string; readonly rest: Buffer } | undefined => {
    collected += chunk.toString("latin1")
    const end = collected.indexOf(headEnd)
    if (end < 0) return undefined
    return { head: collected.slice(0, end), rest: Buffer.from(collected.slice(end + headEnd.length), "latin1") }
  }
}

const checkAnswer = (head: string, deflated: boolean): void => {
  if (!head.startsWith("HTTP/1.1 101")) throw new Error(`the server refused: ${head.split("\r\n", 1)[0]}`)
  if (/^sec-websocket-extensions:/im.test(head) !== deflated) {
    throw new Error(deflated ? "the server does not compress" : "the server compresses unasked")
  }
}

const sessions = new Map<number, Promise<Http2.ClientHttp2Session>>()

/** The session to a server, which ends with the server's process. */
const sessionTo = ({ ca, port }: Address): Promise<Http2.ClientHttp2Session> => {
  const open = (): Promise<Http2.ClientHttp2Session> =>
    new Promise((resolve, reject) => {
      const session = Http2.connect(`https://127.0.0.1:${port}`, { ca })
      session.on("error", reject)
      session.on("close", () => sessions.delete(port))
      session.once("remoteSettings", () => resolve(session))
    })
  const session = sessions.get(port) ?? open()
  sessions.set(port, session)
  return session
}

const dialOverHttp2 = async (address: Address, options: LinkOptions): Promise<Link> => {
  const session = await sessionTo(address)
  return await new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/",
      "sec-websocket-version": "13"
    }, { endStream: false })
    stream.on("error", reject)
    stream.once("response", (headers) => {
      if (headers[":status"] !== 200) return reject(new Error(`the server refused: ${headers[":status"]}`))
      const link = new Link(stream, options)
      stream.on("data", (chunk: Buffer) => link.receive(chunk))
      resolve(link)
    })
  })
}

/** Connects, and resolves with the connection once it is a WebSocket. */
export const dial = (address: Address, options: LinkOptions): Promise<Link> =>
  address.transport === "http2" ? dialOverHttp2(address, options) : dialOverHttp1(address, options)

const dialOverHttp1 = (address: Address, options: LinkOptions): Promise<Link> =>
  new Promise((resolve, reject) => {
    const { ca, port, transport } = address
    const read = headReader()
    let link: Link | undefined
    const onBytes = (chunk: Buffer): void => {
      if (link !== undefined) return link.receive(chunk)
      const answer = read(chunk)
      if (answer === undefined) return
      try {
        checkAnswer(answer.head, options.deflated)
      } catch (error) {
        socket.destroy()
        return reject(error)
      }
      link = new Link(socket, options)
      resolve(link)
      if (answer.rest.length > 0) link.receive(answer.rest)
    }
    const where = { host: "127.0.0.1", port, noDelay: true }
    const open = (): Net.Socket => {
      if (transport === "tls") return Tls.connect({ ...where, ca }).on("data", onBytes)
      const callback = (count: number) => {
        onBytes(shared.subarray(0, count))
        return true
      }
      return Net.connect({ ...where, onread: { buffer: shared, callback } })
    }
    const socket = open()
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("the server ended a connection before it answered")))
    socket.write(request(address, options.deflated))
  })

export interface Host {
  readonly port: number
  /** Resolves when so many clients have connected. */
  readonly links: Promise<ReadonlyArray<Link>>
  readonly close: () => void
}

const accept = (head: string): string => {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? ""
  const digest = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${digest}`
  ].join("\r\n") + headEnd
}

/** Answers the handshake of a client; `take` gets the bytes that come after it. */
const upgrade = (socket: Duplex, take: () => (chunk: Buffer) => void): void => {
  const read = headReader()
  let onBytes: ((chunk: Buffer) => void) | undefined
  socket.on("data", (chunk: Buffer) => {
    if (onBytes !== undefined) return onBytes(chunk)
    const asked = read(chunk)
    if (asked === undefined) return
    socket.write(accept(asked.head))
    onBytes = take()
    if (asked.rest.length > 0) onBytes(asked.rest)
  })
}

/** A server for measured clients; each gets frames of its own from `options`. */
export const host = (connections: number, options: () => LinkOptions): Promise<Host> =>
  new Promise((resolve, reject) => {
    const links: Array<Link> = []
    const all = Promise.withResolvers<ReadonlyArray<Link>>()
    const server = Net.createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {})
      upgrade(socket, () => {
        const link = new Link(socket, options())
        links.push(link)
        if (links.length === connections) all.resolve(links)
        return (chunk) => link.receive(chunk)
      })
    })
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      resolve({ port, links: all.promise, close: () => server.close() })
    })
  })
