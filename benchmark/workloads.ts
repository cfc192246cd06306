/** What is measured, and on whom. */
import type { Content } from "./load/frames.ts"

interface Common {
  readonly name: string
  readonly about: string
}

export interface Messages extends Common {
  /** Who echoes: a server, a client of ours; or a server that sends what comes to all. */
  readonly kind: "server" | "client" | "broadcast"
  readonly connections: number
  readonly outstanding: number
  readonly content: Content
  readonly size: number
  readonly tls?: boolean
  readonly deflated?: boolean
}

export interface Upgrades extends Common {
  readonly kind: "upgrades"
  readonly atOnce: number
}

export interface Memory extends Common {
  readonly kind: "memory"
  readonly connections: number
}

export type Workload = Messages | Upgrades | Memory

const binary64 = { content: "binary", size: 64 } as const
const binary16k = { connections: 16, outstanding: 1, content: "binary", size: 16_384 } as const
const binary1m = { connections: 4, outstanding: 1, content: "binary", size: 1_048_576 } as const
const text1k = { outstanding: 8, size: 1024 } as const
const echo = { kind: "server", connections: 64 } as const

export const workloads: ReadonlyArray<Workload> = [
  { name: "pipelined", about: "64 connections, 32 outstanding, 64 B", ...echo, ...binary64, outstanding: 32 },
  { name: "text-1k", about: "64 connections, 8 outstanding, 1 KiB ASCII", ...echo, ...text1k, content: "ascii" },
  { name: "text-unicode-1k", about: "the same, characters of 1 to 4 bytes", ...echo, ...text1k, content: "unicode" },
  { name: "binary-16k", about: "16 connections, 1 outstanding, 16 KiB", ...echo, ...binary16k },
  { name: "binary-1m", about: "4 connections, 1 outstanding, 1 MiB", ...echo, ...binary1m },
  { name: "ping-pong-64", about: "64 connections, 1 outstanding, 64 B", ...echo, ...binary64, outstanding: 1 },
  {
    name: "broadcast-1000",
    about: "one of 1,000 sends 64 B to all, 8 outstanding; a message is one delivery",
    kind: "broadcast",
    connections: 1000,
    outstanding: 8,
    content: "ascii",
    size: 64
  },
  {
    name: "deflate-1k",
    about: "16 connections, 4 outstanding, 1 KiB JSON, every message compressed",
    ...echo,
    connections: 16,
    outstanding: 4,
    content: "ascii",
    size: 1024,
    deflated: true
  },
  {
    name: "client-64",
    about: "an echo client: 8 connections, 32 outstanding, 64 B",
    kind: "client",
    connections: 8,
    outstanding: 32,
    ...binary64
  },
  { name: "upgrade-rate", about: "connections opened and closed, 32 at once", kind: "upgrades", atOnce: 32 },
  { name: "tls-pipelined", about: "pipelined over TLS", ...echo, ...binary64, outstanding: 32, tls: true },
  { name: "tls-16k", about: "binary-16k over TLS", ...echo, ...binary16k, tls: true },
  {
    name: "idle-memory",
    about: "5,000 connections that send nothing: memory that each takes",
    kind: "memory",
    connections: 5000
  }
]

/** The one whose ratio to `base` is the result. */
export const ours = "effect-ws"
export const base = "ws"

export interface Peer {
  readonly name: string
  readonly file: string
  readonly env?: Readonly<Record<string, string>>
}

const echoServer = "../examples/echo-server.ts"
const broadcastServer = "../examples/broadcast-server.ts"

/** Where WebSockets end and Node begins: an echo of bytes, behind a handshake. */
const floor: Peer = { name: "node:net", file: "./peers/net-server.ts" }

export const peersOf = (workload: Workload): ReadonlyArray<Peer> => {
  if (workload.kind === "client") {
    return [
      { name: base, file: "./peers/ws-client.ts" },
      { name: "undici", file: "./peers/undici-client.ts" },
      { name: ours, file: "./peers/effect-ws-client.ts" }
    ]
  }
  const broadcasts = workload.kind === "broadcast"
  const servers: ReadonlyArray<Peer> = [
    { name: base, file: "./peers/ws-server.ts", env: { BROADCAST: String(broadcasts) } },
    { name: ours, file: broadcasts ? broadcastServer : echoServer }
  ]
  const raw = workload.kind === "server" && workload.tls !== true && workload.deflated !== true
  return raw ? [...servers, floor] : servers
}

export const unitOf = ({ kind }: Workload): string =>
  kind === "memory" ? "KiB/connection" : kind === "upgrades" ? "us/connection" : "us/message"
