/** What the processes of a soak tell the one that started them. */
import type { Recorded } from "./histogram.ts"
import type { Holdings } from "./holdings.ts"
import type { Counts } from "./ledger.ts"
import type { Options } from "./options.ts"

/** What a server saw of a connection that has ended. */
export interface Account {
  readonly key: string
  readonly counts: Counts
  /** How many messages must have been sent, by the last that came. */
  readonly next: number
  readonly end: string
}

/** What a client saw of one that has ended. */
export interface Session {
  readonly key: string
  readonly sent: number
  readonly counts: Counts
  /** Why the end was not as it should be. */
  readonly problem: string | undefined
}

interface Report {
  readonly cpuMicros: number
  /** How long it waited for a CPU that others had. */
  readonly waitedMicros: number
  readonly holdings: Holdings
}

export interface ServerReport extends Report {
  /** Connections of any kind, and the handlers of ours. */
  readonly sockets: number
  readonly open: number
  readonly accounts: ReadonlyArray<Account>
  /** Of all handlers, since the start. */
  readonly handlers: HandlerCounts
  readonly accepted: ReadonlyArray<Accepted>
  readonly received: ReadonlyArray<Received>
  readonly ends: ReadonlyArray<HandlerEnd>
}

export const latencies = ["small", "large", "streamed", "ping", "connect"] as const
export type Latency = typeof latencies[number]

export interface ClientReport extends Report {
  readonly open: number
  /** Since the start: messages and bytes sent, and those that came back; pings answered. */
  readonly sent: number
  readonly sentBytes: number
  readonly received: number
  readonly receivedBytes: number
  readonly pings: number
  readonly kinds: Readonly<Record<string, number>>
  readonly ways: Readonly<Record<string, number>>
  readonly sessions: ReadonlyArray<Session>
  readonly latencies: Readonly<Record<Latency, Recorded>>
  /** How connections to misbehaving servers ended. */
  readonly faults: Readonly<Record<string, number>>
  /** What was sent to slow peers. */
  readonly accepted: ReadonlyArray<Accepted>
  readonly problems: ReadonlyArray<string>
}

export interface FaultsReport {
  /** Connections of misbehaving peers by what they did. */
  readonly done: Readonly<Record<string, number>>
  readonly problems: ReadonlyArray<string>
}

type Shared =
  | "connections" | "busy" | "idleInterval" | "rate" | "bytesPerSecond" | "inFlight" | "inFlightBytes" | "patience" | "faults"
  | "slowBytes" | "seed"

/** Where a client process connects to, and with what: its share of what all of them do. */
export interface ClientTask extends Pick<Options, Shared> {
  readonly url: string
  readonly faultsUrl: string | undefined
  /** The number of its first connection. */
  readonly first: number
  /** So many connections at a time send to slow peers: to a raw server, or to a handler of ours. */
  readonly uploads: number
  readonly slowUrl: string
}

/** What a sender to a slow peer knows: how much was accepted by `send`, and by `flush`; and how the connection closed. */
export interface Accepted {
  readonly key: string
  readonly end: "close" | "scope"
  readonly sent: number
  readonly flushed: number
  readonly clean: boolean
  readonly code: number
}

/** What a slow peer received. */
export interface Received {
  readonly key: string
  readonly pace: string
  readonly received: number
  /** Messages that were not the next ones. */
  readonly outOfPlace: number
  readonly end: "end of stream" | "reset"
}

/** Handlers of the server that clients leave: one that does nothing, one that sends and never reads, one that sends and drains, one that reads a message and then works, an echo. */
export type HandlerKind = "never" | "push" | "drained" | "job" | "echo"

/** A client left, at a time (milliseconds since 1970). */
export interface Departure {
  readonly key: string
  readonly kind: HandlerKind
  readonly way: "Close" | "FIN" | "RST"
  readonly at: number
}

/** A handler ended. */
export interface HandlerEnd {
  readonly key: string
  readonly at: number
}

export type HandlerCounts = Readonly<Record<string, { readonly started: number; readonly ended: number }>>

export interface GuestsTask {
  readonly ports: ReadonlyArray<number>
  readonly slow: number
  readonly slowBytes: number
  readonly subscribers: number
  readonly leaversPerSecond: number
  readonly seed: number
}

export interface GuestsReport {
  readonly received: ReadonlyArray<Received>
  readonly departures: ReadonlyArray<Departure>
  readonly problems: ReadonlyArray<string>
  /** Since the start. */
  readonly pushes: { readonly received: number; readonly lost: number; readonly pings: number }
}
