/** What is measured. */
import type { Content } from "./load/contents.ts"
import type { Transport } from "./load/dial.ts"

interface Common {
  readonly name: string
  readonly about: string
  /** Default `tcp`. */
  readonly transport?: Transport
}

/** Messages that the load generator builds, sends and compares. */
interface Messages extends Common {
  readonly connections: number
  readonly outstanding: number
  readonly content: Content
  readonly size: number
  readonly deflated?: boolean
  /** Bytes of a fragment; default: each message is one frame. */
  readonly fragment?: number
}

/**
 * What a measured server does with a message: sends it back; sends it back by one of the ways that our interface has;
 * passes it on to another server, and back what that answers; parses JSON, changes it and sends that back; answers a call
 * of Effect RPC.
 */
export type Program = "echo" | "ways" | "proxy" | "json" | "rpc"

/** Each message has one answer. With a `rate`, so many are sent a second and their latencies are recorded. */
export interface Answers extends Messages {
  readonly kind: "answers"
  readonly program: Program
  readonly rate?: number
}

/** The measured process is a client, or rather as many as there are connections, that echoes what our server sends. */
export interface Clients extends Messages {
  readonly kind: "client"
}

/** What one connection sends goes to all, itself included. */
export interface Broadcast extends Messages {
  readonly kind: "broadcast"
}

/** What a member sends goes to all others; so many of them talk. */
export interface Chat extends Messages {
  readonly kind: "chat"
  readonly talkers: number
}

/** The server sends ticks by its own clock; half of the connections read slowly. */
export interface Feed extends Common {
  readonly kind: "feed"
  readonly connections: number
  /** Ticks a second, and bytes of one. */
  readonly rate: number
  readonly size: number
}

export interface Upgrades extends Common {
  readonly kind: "upgrades"
  readonly atOnce: number
}

export interface Memory extends Common {
  readonly kind: "memory"
  readonly connections: number
}

/** One publishes, all that have joined the topic get it; with `redis` through a second server. */
export interface Topic extends Common {
  readonly kind: "topic"
  readonly connections: number
  readonly outstanding: number
  readonly size: number
  readonly redis?: boolean
}

/** All connections come back at once behind a position, and get what they missed. */
export interface Recovery extends Common {
  readonly kind: "recovery"
  readonly connections: number
  readonly missed: number
  readonly size: number
}

/** All connections become members of a topic at once, of which some others are told. */
export interface Joins extends Common {
  readonly kind: "joins"
  readonly connections: number
  readonly watchers: number
}

/** The memory of subscriptions: each connection has so many. */
export interface Subscriptions extends Common {
  readonly kind: "subscriptions"
  readonly connections: number
  readonly each: number
}

export type MessageWorkload = Answers | Clients | Broadcast | Chat
export type TopicWorkload = Topic | Recovery | Joins | Subscriptions
export type Workload = MessageWorkload | TopicWorkload | Feed | Upgrades | Memory

const binary64 = { content: "binary", size: 64 } as const
const binary16k = { connections: 16, outstanding: 1, content: "binary", size: 16_384 } as const
const binary1m = { connections: 4, outstanding: 1, content: "binary", size: 1_048_576 } as const
const fragments = { connections: 4, outstanding: 1, size: 4_194_304, fragment: 1024 } as const
const text1k = { outstanding: 8, size: 1024 } as const
const json1k = { connections: 16, outstanding: 4, size: 1024, deflated: true } as const
const order = { content: "order", size: 512 } as const
const echo = { kind: "answers", program: "echo", connections: 64 } as const

export const workloads: ReadonlyArray<Workload> = [
  // Echoes: what the library itself costs.
  { name: "pipelined", about: "echo: 64 connections, 32 outstanding, 64 B", ...echo, ...binary64, outstanding: 32 },
  { name: "ping-pong-64", about: "echo: 64 connections, 1 outstanding, 64 B", ...echo, ...binary64, outstanding: 1 },
  { name: "text-1k", about: "echo: 64 connections, 8 outstanding, 1 KiB ASCII", ...echo, ...text1k, content: "ascii" },
  { name: "text-unicode-1k", about: "the same, characters of 1 to 4 bytes", ...echo, ...text1k, content: "unicode" },
  { name: "binary-16k", about: "echo: 16 connections, 1 outstanding, 16 KiB", ...echo, ...binary16k },
  { name: "binary-1m", about: "echo: 4 connections, 1 outstanding, 1 MiB", ...echo, ...binary1m },
  { name: "fragments-text", about: "echo: 4 connections, 4 MiB text in fragments of 1 KiB", ...echo, ...fragments, content: "ascii" },
  { name: "fragments-binary", about: "the same, binary", ...echo, ...fragments, content: "binary" },
  {
    name: "deflate-1k",
    about: "echo: 16 connections, 4 outstanding, 1 KiB JSON, every message compressed",
    ...echo,
    ...json1k,
    content: "json"
  },
  { name: "tls-pipelined", about: "pipelined over TLS", ...echo, ...binary64, outstanding: 32, transport: "tls" },
  { name: "tls-16k", about: "binary-16k over TLS", ...echo, ...binary16k, transport: "tls" },
  {
    name: "http2-64",
    about: "pipelined over HTTP/2: 64 streams of one session",
    ...echo,
    ...binary64,
    outstanding: 32,
    transport: "http2"
  },
  {
    name: "client-64",
    about: "an echo client: 8 connections, 32 outstanding, 64 B",
    kind: "client",
    connections: 8,
    outstanding: 32,
    ...binary64
  },
  {
    name: "ways-64",
    about: "pipelined, by each of the ways to read and to send",
    ...echo,
    program: "ways",
    ...binary64,
    outstanding: 32
  },

  // Work: what servers do with messages.
  {
    name: "proxy-16k",
    about: "a proxy before an echo, which each connection has one to: 16 connections, 1 outstanding, 16 KiB",
    ...echo,
    ...binary16k,
    program: "proxy"
  },
  {
    name: "json",
    about: "orders of 512 B: parsed, changed, sent back; 64 connections, 8 outstanding",
    ...echo,
    program: "json",
    ...order,
    outstanding: 8
  },
  {
    name: "json-deflate",
    about: "the same with 16 connections, 4 outstanding, compressed",
    ...echo,
    program: "json",
    ...json1k,
    content: "order"
  },
  {
    name: "json-tls",
    about: "json over TLS",
    ...echo,
    program: "json",
    ...order,
    outstanding: 8,
    transport: "tls"
  },
  {
    name: "json-at-10k",
    about: "json, 10,000 messages a second on 1,000 connections: latencies",
    kind: "answers",
    program: "json",
    connections: 1000,
    ...order,
    outstanding: 1,
    rate: 10_000
  },
  {
    name: "rpc",
    about: "calls of Effect RPC with an order: 16 connections, 16 outstanding",
    kind: "answers",
    program: "rpc",
    connections: 16,
    content: "call",
    size: 256,
    outstanding: 16
  },
  {
    name: "chat-200",
    about: "20 of 201 members of a room say 100 B to the 200 others; a message is one delivery",
    kind: "chat",
    connections: 201,
    talkers: 20,
    outstanding: 1,
    content: "unicode",
    size: 100
  },
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
    name: "feed-5000",
    about: "10 ticks of 512 B a second to 5,000 connections, half of which read slowly; a message is one delivery",
    kind: "feed",
    connections: 5000,
    rate: 10,
    size: 512
  },

  // Topics.
  {
    name: "topic-1000",
    about: "1,000 subscribers of a topic, 64 B, 8 outstanding; a message is one delivery",
    kind: "topic",
    connections: 1000,
    outstanding: 8,
    size: 64
  },
  {
    name: "topic-redis-500",
    about: "two servers on one Redis: published on one, 500 subscribers on the other; the CPU of both, a delivery",
    kind: "topic",
    connections: 500,
    outstanding: 32,
    size: 64,
    redis: true
  },
  {
    name: "recovery-5000",
    about: "5,000 clients that come back at once and missed 100 publications of 64 B each; a message is one delivery",
    kind: "recovery",
    connections: 5000,
    missed: 100,
    size: 64
  },
  ...[250, 500, 1000].map((connections) => ({
    name: `join-${connections}`,
    about: `${connections} clients join a topic at once, 10 others are told who is there; a message is one member`,
    kind: "joins" as const,
    connections,
    watchers: 10
  })),
  {
    name: "subscriptions-100k",
    about: "100,000 subscriptions of 1,000 connections to 100 topics: memory that each takes",
    kind: "subscriptions",
    connections: 1000,
    each: 100
  },

  // Connections.
  { name: "upgrade-rate", about: "connections opened and closed, 32 at once", kind: "upgrades", atOnce: 32 },
  {
    name: "idle-memory",
    about: "5,000 connections that send nothing: memory that each takes",
    kind: "memory",
    connections: 5000
  }
]

/** The same with fewer connections, where there are hundreds, and with another rate where one is fixed. */
export const adapted = (workload: Workload, scale: number, rate: number | undefined): Workload => {
  if (workload.kind === "upgrades") return workload
  const connections = workload.connections < 200 ? workload.connections : Math.max(2, Math.round(workload.connections * scale))
  const scaled = workload.kind === "chat"
    ? { ...workload, connections, talkers: Math.min(workload.talkers, connections) }
    : { ...workload, connections }
  return rate !== undefined && "rate" in scaled ? { ...scaled, rate } : scaled
}

export const unitOf = ({ kind }: Workload): string =>
  kind === "subscriptions" ? "B/subscription" : kind === "memory" ? "KiB/connection" : kind === "upgrades" ? "us/connection" : kind === "joins" ? "us/member" : "us/message"
