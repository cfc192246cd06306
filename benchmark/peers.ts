/** The measured programs, each a process of its own. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import type { dialects } from "./load/topics.ts"
import type { Workload } from "./workloads.ts"

export interface Peer {
  readonly name: string
  /** What runs the file; the Node that runs the benchmark where nothing is said. */
  readonly runtime?: "bun"
  readonly file: string
  readonly env?: Readonly<Record<string, string>>
  /** How it is spoken to, where it has topics. */
  readonly dialect?: keyof typeof dialects
}

export const ours = "effect-ws"
/** The same program, held to what Node documents. */
export const portable = "effect-ws portable"
/** With what concerns the whole process, and is off until a program asks for it. */
export const tuned = "effect-ws tuned"
const ws = "ws"
const stock = "Effect's own"
const socketIo = "socket.io"

/** Whose cost the others are compared with. Over HTTP/2 it is Node's alone: no other peer speaks WebSockets there. */
export const baseOf = (workload: Workload): string => {
  if (workload.kind === "topic") return socketIo
  if (["recovery", "joins", "subscriptions"].includes(workload.kind)) return ours
  if (workload.transport === "http2") return http2Floor.name
  return workload.kind === "answers" && workload.program === "rpc" ? stock : ws
}

/** Where the binary of Bun lies, if this platform has one of its packages. */
export const bunBinary: string | undefined = (() => {
  const name = `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`
  try {
    const file = createRequire(import.meta.url).resolve(`${name}/bin/bun`)
    return existsSync(file) ? file : undefined
  } catch {
    return undefined
  }
})()

const bun = (file: string, env: Readonly<Record<string, string>> = {}): ReadonlyArray<Peer> =>
  bunBinary === undefined ? [] : [{ name: "Bun", runtime: "bun", file, env }]

const both = (file: string, env: Readonly<Record<string, string>> = {}): ReadonlyArray<Peer> => [
  { name: ours, file, env },
  { name: portable, file, env: { ...env, EFFECT_WS_PORTABLE: "1" } }
]

const servers = (mode: string, file: string): ReadonlyArray<Peer> => [
  { name: ws, file: "./peers/ws-server.ts", env: { MODE: mode } },
  ...both(file),
  ...bun("./peers/bun-server.ts", { MODE: mode })
]

/** The lower bound on Node: an echo of bytes after a handshake. */
const floor: Peer = { name: "node:net", file: "./peers/net-server.ts" }
const broadcastFloor: Peer = { name: floor.name, file: "./peers/net-broadcast.ts" }
const http2Floor: Peer = { name: "node:http2", file: "./peers/http2-server.ts" }

// From here on the memory of messages is what most of their time goes into.
const largeFrom = 16 * 1024

const echoServer = "../examples/echo-server.ts"
const ways = ["receive+send", "messages+send", "messages+sink", "batches+sendAll", "relay"]

/** What proxies pass messages on to. It is not measured. */
export const upstream: Peer = { name: "the proxies' upstream", file: "./peers/effect-ws-echo.ts" }

const tunedEcho: Peer = { name: tuned, file: "./peers/effect-ws-echo.ts", env: { TUNED: "true" } }

const topicsServer: ReadonlyArray<Peer> = both("./peers/effect-ws-topics.ts").map((peer) => ({ ...peer, dialect: "topics" }))

export const peersOf = (workload: Workload): ReadonlyArray<Peer> => {
  switch (workload.kind) {
    case "client":
      return [
        { name: ws, file: "./peers/ws-client.ts" },
        { name: "undici", file: "./peers/undici-client.ts" },
        ...both("./peers/effect-ws-client.ts"),
        ...bun("./peers/bun-client.ts")
      ]
    case "broadcast":
      return [...servers("broadcast", "../examples/broadcast-server.ts"), broadcastFloor]
    case "chat":
      return servers("chat", "./peers/effect-ws-chat.ts")
    case "feed":
      return servers("feed", "./peers/effect-ws-feed.ts")
    case "topic":
      return [
        { name: socketIo, file: "./peers/socketio-server.ts", dialect: "socket.io" },
        ...topicsServer,
        // What a delivery costs without positions, history and names.
        ...workload.redis === true ? [] : [
          { name: "broadcast", file: "../examples/broadcast-server.ts", dialect: "plain" } as const,
          { name: ws, file: "./peers/ws-server.ts", env: { MODE: "broadcast" }, dialect: "plain" } as const,
          { ...broadcastFloor, dialect: "plain" } as const
        ]
      ]
    case "recovery":
    case "joins":
    case "subscriptions":
      return topicsServer
    case "upgrades":
      return servers("echo", echoServer)
    case "memory":
      return [...servers("echo", echoServer), tunedEcho]
    case "answers":
      switch (workload.program) {
        case "proxy":
          return [
            { name: ws, file: "./peers/ws-proxy.ts" },
            ...both("./peers/effect-ws-proxy.ts"),
            ...bun("./peers/bun-proxy.ts"),
            { name: tuned, file: "./peers/effect-ws-proxy.ts", env: { TUNED: "true" } }
          ]
        case "json":
          return servers("json", "./peers/effect-ws-json.ts")
        case "rpc":
          return [
            { name: stock, file: "./peers/rpc-server.ts", env: { STOCK: "true" } },
            ...both("./peers/rpc-server.ts"),
            { name: socketIo, file: "./peers/socketio-server.ts", dialect: "socket.io" }
          ]
        case "ways":
          return [
            { name: ws, file: "./peers/ws-server.ts", env: { MODE: "echo" } },
            ...ways.map((way) => ({ name: way, file: "./peers/effect-ws-ways.ts", env: { WAY: way } }))
          ]
        case "echo": {
          const { deflated, size, transport } = workload
          if (transport === "http2") return [http2Floor, ...both(echoServer)]
          return [
            ...servers("echo", echoServer),
            ...size < largeFrom ? [] : [tunedEcho],
            ...transport === undefined && deflated !== true ? [floor] : []
          ]
        }
      }
  }
}
