/** What the processes of a soak tell the one that started them. */
import type { Recorded } from "./histogram.ts"
import type { Holdings } from "./holdings.ts"
import type { Counts } from "./ledger.ts"

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
}

export interface FaultsReport {
  /** Connections of misbehaving peers by what they did. */
  readonly done: Readonly<Record<string, number>>
  readonly problems: ReadonlyArray<string>
}

/** Where a client process connects to, and with what. */
export interface ClientTask {
  readonly url: string
  readonly faultsUrl: string | undefined
  readonly first: number
  readonly connections: number
  readonly busy: number
  readonly idleInterval: number
  readonly rate: number
  readonly bytesPerSecond: number
  readonly inFlight: number
  readonly inFlightBytes: number
  readonly patience: number
  readonly faults: number
  readonly seed: number
}
