/**
 * What a connection can do, as data. A connection over bytes can do everything; one over the platform's
 * own WebSocket (of a browser, Deno, Bun or Workers) can do what that platform offers.
 *
 * @since 0.1.0
 */

/**
 * What a connection can do.
 *
 * **Details**
 *
 * - `ping`: Pings can be sent and their Pongs seen. Without it `ping` and `sendPing` fail with
 *   `Unsupported`, `controls` shows nothing, and there is no keepalive by Pings: see
 *   `MessageTransport.Heartbeat`.
 * - `inboundBackpressure`: reading can be paused, so that a peer that is faster than the reader
 *   is held back. Without it unread messages are kept, up to `Limits.Options.maxUnread`.
 * - `outboundBackpressure`: how the connection learns that there is room again: `"told"` by the
 *   transport, `"polled"`, by checking how much is buffered while a sender waits, or `"none"`: the
 *   platform takes everything and reports nothing (Workers).
 * - `fragments`: a message can be sent in fragments. Without it `sendTextStream` and
 *   `sendBinaryStream` collect the whole message and then send it.
 * - `closeCodes`: `"all"` that RFC 6455 allows, or `"application"`: 1000 and 3000 to 4999. Where
 *   only these can be sent, another code is sent with 3000 added: 1011 as 4011.
 * - `orderedClose`: the peer's Close is answered after all earlier messages have been read, so that
 *   what the reader still sends goes out. Without it the platform answers at once.
 * - `drop`: a connection can be dropped at once, without a Close. Without it the peer is sent a Close
 *   with 1011 (or 4011) where this side breaks a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  readonly ping: boolean
  readonly inboundBackpressure: boolean
  readonly outboundBackpressure: "told" | "polled" | "none"
  readonly fragments: boolean
  readonly closeCodes: "all" | "application"
  readonly orderedClose: boolean
  readonly drop: boolean
}

/**
 * What connections over bytes can do: everything.
 *
 * @category constants
 * @since 0.1.0
 */
export const everything: Capabilities = {
  ping: true,
  inboundBackpressure: true,
  outboundBackpressure: "told",
  fragments: true,
  closeCodes: "all",
  orderedClose: true,
  drop: true
}
