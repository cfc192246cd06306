/**
 * What a link and its neighbours know of each other, as narrow interfaces, so that no neighbour
 * imports the link; and the errors with which a link breaks if its transport gives none.
 */
import type { CloseInfo, CloseWith } from "../CloseCode.ts"
import type { Limits } from "../Limits.ts"
import type { Message } from "../Message.ts"
import type { Deadlines } from "../runtime/Deadlines.ts"
import { IOError, type ProtocolError } from "../WebSocketError.ts"
import type { LinkProtocol } from "./LinkProtocol.ts"

/** What a link needs of its transport, be it one of bytes or of messages. */
export interface LinkTransport {
  pause(): void
  resume(): void
  destroy(): void
  readonly unref?: (() => void) | undefined
}

/** What happens at a time, unless it is postponed. */
export interface Timer {
  /** When to look next; not at all while this is `undefined` or infinite. */
  readonly due: number | undefined
  onAlarm(now: number): void
}

/** What finds out that a peer vanished: Pings, or messages of the application. */
export interface KeepAlive extends Timer {
  start(now: number): void
  stop(): void
  /** Reading is paused, or goes on. */
  standStill(paused: boolean, now: number): void
}

/** The same by messages of the application. */
export interface MessageKeepAlive extends KeepAlive {
  /** A message arrived; returns whether it is an answer and nothing else. */
  takes(message: Message): boolean
}

/** The input and output of an extension that compresses. */
export interface Compression {
  readonly received: { readonly compressed: number; readonly uncompressed: number }
  readonly sent: { readonly compressed: number; readonly uncompressed: number }
}

/** A link as the meter, spans and log lines see it. */
export interface ObservedLink {
  readonly serial: number
  readonly protocol: LinkProtocol
  readonly extension: string | undefined
  readonly openedAt: number
  readonly goneAt: number | undefined
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly bufferedBytes: number
  /** What an extension took in and put out, where there is one that compresses. */
  compression?(): Compression | undefined
  readonly closeInfo: CloseInfo
  readonly readFailure: ProtocolError | IOError | undefined
  readonly broken: IOError | undefined
  observer: LinkObserver | undefined
}

/** A link as its deadlines see it: the keepalive, and what watches its progress. */
export interface TimedLink {
  readonly protocol: LinkProtocol
  readonly limits: Limits
  readonly deadlines: Deadlines
  readonly observer: LinkObserver | undefined
  readonly isOpen: boolean
  /** Reading is paused. */
  readonly isPaused: boolean
  /** Messages wait above the mark, so that this side reads little or nothing. */
  readonly isStanding: boolean
  /** The same, with a reader that is busy with something else. */
  readonly isBusy: boolean
  /** The transport has not taken the last write. */
  readonly isBlocked: boolean
  readonly broken: IOError | undefined
  readonly gone: boolean
  readonly receivedBytes: number
  readonly sentBytes: number
  /** Bytes in both directions but for those of Pings and Pongs. */
  readonly traffic: number
  /** Writes that the transport took later: the peer has made room for them. */
  readonly takenWrites: number
  /** Bytes of the last write that the transport has not passed on, where it knows. */
  readonly pendingBytes: number
  flush(): void
  close(code: number, reason: string): void
  break(error: IOError): void
  updateAlarm(): void
}

/** Observes one connection or several. */
export interface LinkObserver {
  /** The Pong of a Ping arrived, this many milliseconds later. */
  readonly onRoundTrip: (millis: number) => void
  /** The transport is closed, and it is decided how the connection ended. */
  readonly onGone: (link: ObservedLink) => void
  /** Nothing is counted any more: all input is decoded or dropped. */
  readonly onDisposed: (link: ObservedLink) => void
}

/**
 * Holds a connection until its transport is closed. A connection has at most one owner, which is
 * called without a closure, because each of many idle connections would keep one.
 */
export interface LinkOwner {
  /** The code and reason with which the owner is about to end the connection. They come before those of its scope. */
  closeWith?(hooks: LinkHooks): CloseWith | undefined
  /** The transport is closed. */
  onGone(hooks: LinkHooks): void
}

/** The reader of a connection as its link sees it. */
export interface ReaderHooks {
  /** There is a reader: it has begun to read and has not ended. */
  readonly isReading: boolean
  /** The reader waits for input. */
  readonly isWaiting: boolean
  /** Something arrived, or the end was reached: wakes the reader if it waits for that. */
  onReadable(): void
}

/** The writer of a connection as its link sees it. */
export interface WriterHooks {
  /** Suspended senders wait for their turn, or a message is being sent fragment by fragment. */
  readonly hasWaiting: boolean
  /** Senders may continue, or never will. */
  onWritable(): void
  /** A Close is about to be sent: messages that were accepted and not encoded go before it. */
  beforeClose(): void
}

/** The effects of a connection as its link sees them. */
export interface LinkHooks {
  readonly reader: ReaderHooks
  readonly writer: WriterHooks
  /** The connection is closing or closed, or its reader has moved since. */
  onEnding(hasReaderMoved: boolean): void
}

/** The peer, or the transport, ended without a Close, and without an error. */
export const endedWithoutClose = (cause?: unknown): IOError =>
  new IOError({
    phase: "read",
    reason: "EndOfStream",
    detail: "The connection ended without a Close frame (1006): a process ended, a proxy cut it, or a side broke the protocol",
    ...(cause === undefined ? undefined : { cause })
  })

/** The peer does not show that it is there. */
export const keepAliveTimedOut = (what: string, timeout: number): IOError =>
  new IOError({
    phase: "keepalive",
    reason: "TimedOut",
    detail: `The peer did not answer ${what} within ${timeout} ms (keepAlive): connect again to go on`
  })

/** The peer's Close, or its end of stream, did not arrive in time. */
export const closeTimedOut = (closeTimeout: number): IOError =>
  new IOError({
    phase: "close",
    reason: "TimedOut",
    detail: `The closing handshake took longer than ${closeTimeout} ms (closeTimeout)`
  })
