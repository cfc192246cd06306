/** Small proxies: one that does CONNECT, one of SOCKS5, and one that never answers. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Tls from "node:tls"

export interface TestProxy {
  readonly port: number
  /** What was asked for: the heads of CONNECT, or the addresses of SOCKS5. */
  readonly requests: ReadonlyArray<string>
  /** Connections with clients that are open. */
  readonly open: () => number
  /** How much clients have sent before their tunnels were open. */
  readonly bytes: () => number
}

interface Conversation {
  readonly socket: Net.Socket
  /** The next bytes, so many or until these. */
  readonly read: (until: number | string) => Promise<Buffer>
  readonly asked: (what: string) => void
}

interface Options {
  readonly login?: string | undefined
  /** A port of this machine to connect to, whatever is asked for. */
  readonly target?: number | undefined
}

const proxy = (
  serve: (conversation: Conversation) => Promise<void>,
  tls?: Tls.TlsOptions | undefined
): Effect.Effect<TestProxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<TestProxy & { readonly stop: () => void }>((resume) => {
      const requests: Array<string> = []
      const open = new Set<Net.Socket>()
      let bytes = 0
      const onSocket = (socket: Net.Socket) => {
        open.add(socket)
        socket.on("close", () => open.delete(socket))
        socket.on("error", () => {})
        let held = Buffer.alloc(0)
        let look = () => {}
        const collect = (chunk: Buffer) => {
          bytes += chunk.length
          held = Buffer.concat([held, chunk])
          look()
        }
        socket.on("data", collect)
        const read = (until: number | string) =>
          new Promise<Buffer>((resolve) => {
            look = () => {
              const end = typeof until === "number" ? until : held.indexOf(until) + until.length
              if (end > held.length || (typeof until === "string" && end < until.length)) return
              const part = held.subarray(0, end)
              held = held.subarray(end)
              look = () => {}
              resolve(part)
            }
            look()
          })
        serve({ socket, read, asked: (what) => requests.push(what) }).then(() => socket.off("data", collect), () => socket.destroy())
      }
      const server = tls === undefined ? Net.createServer(onSocket) : Tls.createServer(tls, onSocket)
      server.on("tlsClientError", () => {})
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        const stop = () => {
          for (const socket of open) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port, requests, open: () => open.size, bytes: () => bytes, stop }))
      })
    }),
    ({ stop }) => Effect.sync(stop)
  )

/** Joins a client with a server, and writes the answer once they are joined. */
const join = (near: Net.Socket, port: number, answer: Uint8Array | string) =>
  new Promise<void>((resolve, reject) => {
    const far = Net.connect({ host: "127.0.0.1", port })
    far.on("error", reject)
    near.on("close", () => far.destroy())
    far.on("close", () => near.destroy())
    far.once("connect", () => {
      near.write(answer)
      near.pipe(far).pipe(near)
      resolve()
    })
  })

/** A proxy that does CONNECT, or refuses it with a status. */
export const connectProxy = (
  { login, status, target, tls }: Options & { readonly status?: number | undefined; readonly tls?: Tls.TlsOptions | undefined }
) =>
  proxy(async ({ asked, read, socket }) => {
    const head = (await read("\r\n\r\n")).toString("latin1")
    asked(head)
    if (status !== undefined) {
      socket.write(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`)
      return
    }
    const expected = login === undefined ? undefined : `Proxy-Authorization: Basic ${Buffer.from(login).toString("base64")}\r\n`
    if (expected !== undefined && !head.includes(expected)) {
      socket.end("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n")
      return
    }
    const port = Number(head.slice(0, head.indexOf(" HTTP/")).split(":").at(-1))
    await join(socket, target ?? port, "HTTP/1.1 200 Connection established\r\n\r\n")
  }, tls)

/** A SOCKS5 proxy, or one that answers each request with a reply of refusal. */
export const socksProxy = ({ login, reply, target }: Options & { readonly reply?: number | undefined }) =>
  proxy(async ({ asked, read, socket }) => {
    const [version, count] = await read(2)
    if (version !== 5) {
      socket.end("what?\r\n\r\n")
      return
    }
    const methods = [...await read(count!)]
    const method = login === undefined ? 0 : 2
    if (!methods.includes(method)) {
      socket.end(Uint8Array.of(5, 255))
      return
    }
    socket.write(Uint8Array.of(5, method))
    if (login !== undefined) {
      const [, userLength] = await read(2)
      const user = await read(userLength!)
      const password = await read((await read(1))[0]!)
      socket.write(Uint8Array.of(1, `${user}:${password}` === login ? 0 : 1))
    }
    const [, , , kind] = await read(4)
    const address = await read(kind === 1 ? 4 : kind === 4 ? 16 : (await read(1))[0]!)
    const port = (await read(2)).readUInt16BE(0)
    const host = kind === 1
      ? [...address].join(".")
      : kind === 4
      ? address.toString("hex").match(/..../g)!.join(":")
      : address.toString("latin1")
    asked(`${host}:${port}`)
    if (reply !== undefined) {
      socket.write(Uint8Array.of(5, reply, 0, 1, 0, 0, 0, 0, 0, 0))
      return
    }
    // The address in the answer is a name, which has any length.
    const answer = Buffer.concat([Uint8Array.of(5, 0, 0, 3, 9), Buffer.from("localhost"), Uint8Array.of(0, 80)])
    await join(socket, target ?? port, answer)
  })

/** A proxy that accepts connections and says nothing. */
export const silentProxy = proxy(() => new Promise(() => {}))
