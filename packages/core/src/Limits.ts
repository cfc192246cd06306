/**
 * Every limit and deadline of a connection with its default, in one place. Each
 * names the danger it stands against; none is infinite unless a caller says so.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * How a connection is bounded, as callers may write it. Sizes are bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The largest message that is received whole; a bigger one is refused with 1009
   * before memory is allocated for it. Raising it raises what one peer can make this
   * side hold. Default 1 MiB.
   */
  readonly maxMessageSize?: number | undefined
  /**
   * The largest message that is received as a stream of fragments. Its memory is
   * bounded whatever this says; the limit bounds how long one message may go on.
   * Default 64 GiB.
   */
  readonly maxStreamedMessageSize?: number | undefined
  /**
   * What each fragment of a message but the last is charged at least against its
   * limit, so that a flood of empty fragments ends. One with a larger payload costs
   * that: browsers send large messages in fragments. Default 64.
   */
  readonly fragmentCharge?: number | undefined
  /**
   * The most fragments of one message. Default 131,072.
   */
  readonly maxFragments?: number | undefined
  /**
   * Above this many bytes received and not yet pulled, reading pauses. Default 64 KiB.
   */
  readonly inboundHighWaterMark?: number | undefined
  /**
   * Above this many bytes accepted and not yet taken by the socket, `send` suspends.
   * Default 64 KiB.
   */
  readonly outboundHighWaterMark?: number | undefined
  /**
   * How long the opening handshake may take. Default 10 seconds.
   */
  readonly handshakeTimeout?: Duration.Input | undefined
  /**
   * A Ping every `interval` of which the Pong must come within `timeout`, or the peer
   * is declared gone: `IOError`, phase `keepalive`. While this side's own reader is
   * busy the timeout stands still. `false` turns it off: a peer that vanished without
   * a word is then never noticed. Default 20 seconds each.
   */
  readonly keepAlive?:
    | false
    | { readonly interval?: Duration.Input | undefined; readonly timeout?: Duration.Input | undefined }
    | undefined
  /**
   * How long the closing handshake may take before the connection is cut. Default 5
   * seconds.
   */
  readonly closeTimeout?: Duration.Input | undefined
  /**
   * How long the socket may take nothing of what waits to be written: a peer that
   * stopped reading. Default 30 seconds.
   */
  readonly stalledWriteTimeout?: Duration.Input | undefined
}

/**
 * {@link Options} with every default filled in, durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly maxMessageSize: number
  readonly maxStreamedMessageSize: number
  readonly fragmentCharge: number
  readonly maxFragments: number
  readonly inboundHighWaterMark: number
  readonly outboundHighWaterMark: number
  readonly handshakeTimeout: number
  readonly keepAlive: { readonly interval: number; readonly timeout: number } | undefined
  readonly closeTimeout: number
  readonly stalledWriteTimeout: number
}

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

/**
 * The defaults.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Limits = {
  maxMessageSize: MiB,
  maxStreamedMessageSize: 64 * GiB,
  fragmentCharge: 64,
  maxFragments: 131_072,
  inboundHighWaterMark: 64 * KiB,
  outboundHighWaterMark: 64 * KiB,
  handshakeTimeout: 10_000,
  keepAlive: { interval: 20_000, timeout: 20_000 },
  closeTimeout: 5_000,
  stalledWriteTimeout: 30_000
}

/**
 * The most connections that a server keeps open at once; one more is refused with
 * 503. Guards file descriptors and memory.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultMaxConnections = 100_000

/**
 * How much of the body of a refused handshake a client keeps, in bytes. Guards
 * against an endless error page.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxRefusalBody = 8 * KiB

const millis = (input: Duration.Input | undefined, fallback: number): number =>
  input === undefined ? fallback : Duration.toMillis(Duration.fromInputUnsafe(input))

const keepAlive = (input: Options["keepAlive"]): Limits["keepAlive"] => {
  if (input === false) return undefined
  const fallback = defaults.keepAlive!
  if (input === undefined) return fallback
  return {
    interval: millis(input.interval, fallback.interval),
    timeout: millis(input.timeout, fallback.timeout)
  }
}

/**
 * Fills in the defaults.
 *
 * **Example** (A stricter server)
 *
 * ```ts
 * import { Limits } from "@effect-ws/core"
 *
 * const limits = Limits.make({ maxMessageSize: 4096, closeTimeout: "1 second" })
 * console.log(limits.maxMessageSize, limits.closeTimeout) // 4096 1000
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options | undefined): Limits =>
  options === undefined ? defaults : {
    maxMessageSize: options.maxMessageSize ?? defaults.maxMessageSize,
    maxStreamedMessageSize: options.maxStreamedMessageSize ?? defaults.maxStreamedMessageSize,
    fragmentCharge: options.fragmentCharge ?? defaults.fragmentCharge,
    maxFragments: options.maxFragments ?? defaults.maxFragments,
    inboundHighWaterMark: options.inboundHighWaterMark ?? defaults.inboundHighWaterMark,
    outboundHighWaterMark: options.outboundHighWaterMark ?? defaults.outboundHighWaterMark,
    handshakeTimeout: millis(options.handshakeTimeout, defaults.handshakeTimeout),
    keepAlive: keepAlive(options.keepAlive),
    closeTimeout: millis(options.closeTimeout, defaults.closeTimeout),
    stalledWriteTimeout: millis(options.stalledWriteTimeout, defaults.stalledWriteTimeout)
  }
