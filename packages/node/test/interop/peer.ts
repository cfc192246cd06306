/** What a real peer must be able to do here, whatever it is made of. */
import type { Message } from "@effect-ws/core"

/** What some peers cannot do; a behaviour that needs it is not asked of them. */
export type Ability =
  /** Pings, and shows the Pong. */
  | "ping"
  /** Sends a message in several frames. */
  | "fragments"
  /** Sends headers of the caller's choice with its request. */
  | "requestHeaders"
  /** Shows the headers of the other side's handshake. */
  | "seenHeaders"
  /** Shows the status of a refusal. */
  | "refusalStatus"
  /** Keeps a BOM that begins a text (undici's decoder takes it away). */
  | "keepsBom"
  /** Compresses with parameters of the caller's choice. */
  | "deflateParameters"
  /** Closes with an empty Close frame. */
  | "emptyClose"
  /** Drops the connection without a Close. */
  | "cut"
  /** Sends what breaks a rule. */
  | "violations"

/** What a peer sends: a whole message, or one in frames, with a Ping behind the first if asked. */
export type Outgoing =
  | Message.Message
  | { readonly fragments: ReadonlyArray<string> | ReadonlyArray<Uint8Array>; readonly ping?: Uint8Array }

export type Violation = "InvalidUtf8" | "ContinuationUnexpected"

export interface Closed {
  readonly code: number
  readonly reason: string
}

export interface PeerSocket {
  /** The subprotocol; empty for none. */
  readonly protocol: string
  /** Those of the request (seen by a server) or of the 101 (by a client), names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly send: (messages: ReadonlyArray<Outgoing>) => void
  readonly ping: (payload: Uint8Array) => void
  readonly close: (code?: number, reason?: string) => void
  readonly cut: () => void
  readonly violate: (violation: Violation) => void
  /** The next message; rejects where the connection ends before. */
  readonly message: () => Promise<Message.Message>
  /** The payload of the next Pong. */
  readonly pong: () => Promise<Uint8Array>
  readonly closed: Promise<Closed>
}

/** A client that was refused. */
export class Refused extends Error {
  readonly status: number | undefined

  constructor(status: number | undefined) {
    super(`refused with ${status ?? "an unknown status"}`)
    this.status = status
  }
}

/** How a peer is to compress: what it offers as a client, what it answers with as a server. */
export interface Deflate {
  readonly serverNoContextTakeover?: boolean
  readonly clientNoContextTakeover?: boolean
  readonly serverMaxWindowBits?: number
  readonly clientMaxWindowBits?: number
  readonly level?: number
}

export interface ConnectOptions {
  readonly protocols?: ReadonlyArray<string>
  readonly headers?: Readonly<Record<string, string>>
  /** Default: as the peer does by itself. */
  readonly deflate?: Deflate | undefined
}

export interface PeerClient {
  /** Rejects with `Refused`. */
  readonly connect: (url: string, options: ConnectOptions) => Promise<PeerSocket>
  readonly stop: () => Promise<void>
}

export interface ListenOptions {
  readonly protocols?: ReadonlyArray<string>
  /** Default: as the peer does by itself. */
  readonly deflate?: Deflate | undefined
  /** Refuses every request with this status and the body `no entry`. */
  readonly refuse?: number
}

export interface PeerListener {
  readonly url: string
  /** The next connection. */
  readonly accept: () => Promise<PeerSocket>
  readonly close: () => Promise<void>
}

export interface PeerServer {
  readonly listen: (options: ListenOptions) => Promise<PeerListener>
  readonly stop: () => Promise<void>
}

/** How a peer comes by; `missing` says why it does not. */
export interface Found<A> {
  readonly name: string
  readonly abilities: ReadonlySet<Ability>
  readonly missing: string | undefined
  readonly start: () => Promise<A>
}

/** What arrives before it is asked for. */
export class Inbox<A> {
  private readonly items: Array<A> = []
  private readonly takers: Array<{ readonly resolve: (item: A) => void; readonly reject: (error: Error) => void }> = []
  private error: Error | undefined

  push(item: A): void {
    const taker = this.takers.shift()
    if (taker === undefined) this.items.push(item)
    else taker.resolve(item)
  }

  end(why: string): void {
    this.error = new Error(why)
    for (const taker of this.takers.splice(0)) taker.reject(this.error)
  }

  take(): Promise<A> {
    if (this.items.length > 0) return Promise.resolve(this.items.shift()!)
    if (this.error !== undefined) return Promise.reject(this.error)
    return new Promise((resolve, reject) => this.takers.push({ resolve, reject }))
  }
}
