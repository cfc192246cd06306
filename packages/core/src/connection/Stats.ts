/** The counters of a connection, as users read them. */
import * as Duration from "effect/Duration"
import type { Link } from "./Link.ts"
import type { Compression } from "./LinkHooks.ts"

/** The plain counters of one connection. */
export interface Stats {
  /** Messages that were received to their end, whether they were read or not. */
  readonly messagesReceived: number
  /** Messages that were accepted for sending. */
  readonly messagesSent: number
  /** Bytes of frames that arrived; those of the opening handshake are not counted. */
  readonly bytesReceived: number
  /** Bytes of frames that were handed to the transport. */
  readonly bytesSent: number
  /** Bytes that were received and not read yet. */
  readonly bytesUnread: number
  /** Bytes that were accepted for sending and that the transport has not taken. */
  readonly bytesUnsent: number
  /** The input and output of an extension that compresses; absent without one. */
  readonly compression: Compression | undefined
  /** The last round trip that was measured, by `ping` or by the keepalive. */
  readonly roundTrip: Duration.Duration | undefined
  /** How long ago the connection opened, or how long it was open. */
  readonly age: Duration.Duration
}

export const statsOf = (link: Link): Stats => {
  const { pings, protocol } = link
  return {
    messagesReceived: protocol.inbound.receivedMessages,
    messagesSent: protocol.outbound.sentMessages,
    bytesReceived: link.receivedBytes,
    bytesSent: link.sentBytes,
    bytesUnread: protocol.inbound.queuedBytes,
    bytesUnsent: link.bufferedBytes,
    compression: link.compression?.(),
    roundTrip: pings?.lastRoundTrip === undefined ? undefined : Duration.millis(pings.lastRoundTrip),
    age: Duration.millis((link.goneAt ?? link.deadlines.now()) - link.openedAt)
  }
}
