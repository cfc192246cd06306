import type { Link } from "./Link.ts"

/** Who keeps account of a connection: of several of them, or of this one only. */
export interface LinkObserver {
  /** The Pong of a Ping came, this many milliseconds later. */
  readonly onRoundTrip: (millis: number) => void
  /** The transport is closed, and how the connection ended is settled. */
  readonly onGone: (link: Link) => void
  /** Nothing is counted any more: what had arrived is decoded or unwanted. */
  readonly onDisposed: (link: Link) => void
}

/**
 * Who holds a connection until it is gone: one at most, told without a closure, since each
 * of many idle connections would keep it.
 */
export interface LinkOwner {
  /** The transport is closed. */
  onGone(link: Link): void
}

/** What the effects of a connection are told. */
export interface LinkHooks {
  /** Something arrived for the reader, or its end was reached. */
  onReadable(): void
  /** The transport has taken the last write. */
  onWriteTaken(): void
  /** Senders may go on, or never will. */
  onWritable(): void
  /** Whether suspended senders wait for their turn. */
  hasWaitingSenders(): boolean
}

export const noHooks: LinkHooks = {
  onReadable: () => {},
  onWriteTaken: () => {},
  onWritable: () => {},
  hasWaitingSenders: () => false
}
