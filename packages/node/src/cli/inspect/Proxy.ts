/**
 * Stands between clients and a server, passes every byte on as it arrives, and reports it. In a request it changes the
 * `Host`, the path `/` and the given headers. Everything else passes unchanged, masks, compression and mistakes included.
 */
import { once } from "node:events"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { encode, type Head, HeadReader, statusOf, withHeader } from "./Head.ts"
import type { Side } from "./Observation.ts"

export interface ProxyOptions {
  readonly host: string
  readonly port: number
  readonly target: URL
  readonly tls: Tls.ConnectionOptions
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly onHead: (connection: number, from: Side, head: Head) => void
  readonly onBytes: (connection: number, from: Side, bytes: Uint8Array) => void
  readonly onEnd: (connection: number, from: Side, how: string) => void
}

export interface Proxy {
  readonly port: number
  readonly close: () => void
}

const isSecure = ({ protocol }: URL): boolean => protocol === "wss:" || protocol === "https:"

const dial = ({ target, tls }: ProxyOptions): Net.Socket => {
  const host = target.hostname.startsWith("[") ? target.hostname.slice(1, -1) : target.hostname
  const port = target.port === "" ? (isSecure(target) ? 443 : 80) : Number(target.port)
  const to = { host, port, allowHalfOpen: true }
  if (!isSecure(target)) return Net.connect(to)
  return Tls.connect({ ...tls, ...to, ...(Net.isIP(host) === 0 ? { servername: host } : {}) })
}

/** The request for the server: with its own host, and with its own path if the client asks for `/`. */
const forTarget = (head: Head, { headers, target }: ProxyOptions): Head => {
  const [method, path, ...rest] = head.start.split(" ")
  const own = `${target.pathname}${target.search}`
  const start = path === "/" && own !== "/" ? [method, own, ...rest].join(" ") : head.start
  return [["Host", target.host] as const, ...headers].reduce(
    (changed, [name, value]) => withHeader(changed, name, value),
    { ...head, start }
  )
}

const relay = (client: Net.Socket, connection: number, options: ProxyOptions): void => {
  const server = dial(options)
  const ended = new Set<Side>()
  const isOver = { client: false, server: false }
  const sockets = { client, server }
  const other = { client: "server", server: "client" } as const

  const end = (from: Side, how: string) => {
    if (ended.has(from)) return
    ended.add(from)
    options.onEnd(connection, from, how)
  }

  const pass = (from: Side, bytes: Uint8Array) => {
    const to = sockets[other[from]]
    if (bytes.length === 0 || to.destroyed) return
    if (!to.write(bytes)) {
      sockets[from].pause()
      to.once("drain", () => sockets[from].resume())
    }
  }

  const readers = { client: new HeadReader(), server: new HeadReader() }
  const isBehindHead = { client: false, server: false }

  const onHead = (from: Side, head: Head): void => {
    const passed = from === "client" ? forTarget(head, options) : head
    options.onHead(connection, from, passed)
    pass(from, encode(passed))
    const status = statusOf(head)
    // Interim responses such as 103 may precede the final one (RFC 9110 §15.2).
    isBehindHead[from] = from === "client" || status === undefined || status === 101 || status >= 200
  }

  const onData = (from: Side, chunk: Uint8Array): void => {
    let rest = chunk
    while (!isBehindHead[from] && rest.length > 0) {
      const read = readers[from].push(rest)
      if (read === undefined) return
      if (read === "too long") {
        client.destroy()
        server.destroy()
        return
      }
      onHead(from, read.head)
      rest = read.rest
    }
    if (rest.length === 0) return
    options.onBytes(connection, from, rest)
    pass(from, rest)
  }

  for (const from of ["client", "server"] as const) {
    const socket = sockets[from]
    socket.setNoDelay(true)
    socket.on("data", (chunk: Buffer) => onData(from, chunk))
    socket.on("end", () => {
      end(from, "ended TCP")
      sockets[other[from]].end()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end(from, `${error.code ?? error.message}`)
      if (from === "server" && !isBehindHead.server && !client.destroyed) {
        const body = `effect-ws inspect: ${options.target.host} cannot be reached: ${error.message}\n`
        client.end(
          `HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
            `Connection: close\r\n\r\n${body}`
        )
      }
    })
    socket.on("close", () => {
      isOver[from] = true
      end(from, "closed")
      // A reset on one side becomes a reset on the other, after everything pending has been written.
      const peer = sockets[other[from]]
      if (!isOver[other[from]] && !peer.writableEnded) peer.end()
      if (isOver[other[from]]) return
      if (socket.errored !== null && isBehindHead.server) peer.resetAndDestroy()
    })
  }
}

/** Listens until `close` is called. */
export const start = async (options: ProxyOptions): Promise<Proxy> => {
  const sockets = new Set<Net.Socket>()
  let connections = 0
  const server = Net.createServer({ allowHalfOpen: true }, (client) => {
    sockets.add(client)
    client.on("close", () => sockets.delete(client))
    relay(client, ++connections, options)
  })
  server.listen(options.port, options.host)
  await once(server, "listening")
  return {
    port: (server.address() as Net.AddressInfo).port,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}
