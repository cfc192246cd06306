/** Both ends of a TLS connection in one process, through a relay that can cut it as a network would. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { RawPeer, until } from "./RawPeer.ts"
import type { Connected } from "./TransportPromises.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/tls/${name}`)

class SecurePeer extends RawPeer {
  private readonly cut: () => void

  constructor(socket: Net.Socket, cut: () => void) {
    super(socket)
    this.cut = cut
  }

  override reset(): void {
    this.cut()
  }
}

const listen = async (server: Net.Server): Promise<number> => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as Net.AddressInfo).port
}

/** The accepted end, of which nothing was read, and its peer. */
export const secureSockets: Effect.Effect<Connected, never, Scope.Scope> = Effect.gen(function*() {
  const all: Array<Net.Socket> = []
  const keep = <A extends Net.Socket>(socket: A): A => {
    all.push(socket)
    socket.on("error", () => {})
    return socket
  }
  const accepted: Array<Tls.TLSSocket> = []
  const credentials = { cert: file("server.pem"), key: file("server.key") }
  const server = Tls.createServer({ ...credentials, allowHalfOpen: true, noDelay: true }, (socket) => accepted.push(keep(socket)))
  const relayed: Array<Net.Socket> = []
  const relay = Net.createServer({ allowHalfOpen: true, noDelay: true })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const socket of all) socket.destroy()
      relay.close()
      server.close()
    })
  )
  const port = yield* Effect.promise(() => listen(server))
  relay.on("connection", (near) => {
    const far = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true })
    relayed.push(keep(far), keep(near))
    near.pipe(far).pipe(near)
  })
  const relayPort = yield* Effect.promise(() => listen(relay))
  const client = keep(Tls.connect({ host: "127.0.0.1", port: relayPort, ca: file("ca.pem"), servername: "localhost" }))
  client.allowHalfOpen = true
  yield* until("the connection", () => accepted.length === 1)
  return { socket: accepted[0]!, peer: new SecurePeer(client, () => relayed.forEach((socket) => socket.resetAndDestroy())) }
})
