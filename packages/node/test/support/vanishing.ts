/**
 * Peers on a host that is about to vanish: `clients HOST PORT COUNT` connects that often in each phase, `server HOST`
 * answers by path. They print a line of JSON when they are ready, and never act of their own accord again.
 */
import { createHash } from "node:crypto"
import * as Net from "node:net"

const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`)

const request = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: there\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

const switching = (key: string): string =>
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
  `${createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")}\r\n\r\n`

// Masked with zeros, which change nothing.
const frames = {
  half: Buffer.from([0x81, 0x89, 0, 0, 0, 0, 0x63, 0x75, 0x74]),
  fragment: Buffer.from([0x01, 0x83, 0, 0, 0, 0, 0x63, 0x75, 0x74])
}

interface Phase {
  readonly path: string
  readonly cut?: number
  readonly then?: Uint8Array
  /** Reads nothing behind so many bytes. */
  readonly pauses?: boolean
}

const phases: ReadonlyArray<Phase> = [
  { path: "/idle" },
  { path: "/idle", cut: 60 },
  { path: "/idle", then: frames.half },
  { path: "/idle", then: frames.fragment },
  { path: "/flood", pauses: true },
  { path: "/closing" }
]

const connect = (host: string, port: number, phase: Phase): Promise<void> =>
  new Promise((resolve) => {
    const socket = Net.connect({ host, port, noDelay: true })
    // What happens to those that vanished is not theirs to tell.
    socket.on("error", () => {})
    socket.on("connect", () => {
      socket.write(request(phase.path).slice(0, phase.cut))
      if (phase.cut !== undefined) resolve()
    })
    socket.once("data", () => {
      if (phase.pauses === true) socket.pause()
      if (phase.then === undefined) resolve()
      else socket.write(phase.then, () => resolve())
    })
  })

const serve = (host: string): Promise<number> =>
  new Promise((resolve) => {
    const server = Net.createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", (chunk) => {
        const head = chunk.toString("latin1")
        if (head.startsWith("GET /stall ")) return
        if (head.startsWith("GET /flood ")) socket.pause()
        const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? ""
        socket.write(switching(key))
        if (head.startsWith("GET /half ")) socket.write(Buffer.from([0x81, 0x09, 0x63, 0x75, 0x74]))
      })
    })
    server.listen(0, host, () => resolve((server.address() as Net.AddressInfo).port))
  })

const [, , mode, host = "", port = "", count = ""] = process.argv
if (mode === "server") {
  say({ port: await serve(host) })
} else {
  for (const phase of phases) await Promise.all(Array.from({ length: Number(count) }, () => connect(host, Number(port), phase)))
  say({ connected: phases.length * Number(count) })
}
