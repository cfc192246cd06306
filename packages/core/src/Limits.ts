/**
 * Every limit and deadline of a connection with its default, in one place. Each names the
 * danger that it guards against. Only `idleTimeout` is infinite by default.
 *
 * **Details**
 *
 * There is no limit on the size of a frame: the length that a frame declares is compared
 * with the limit of its message before anything is allocated, and a message that is read as
 * a stream is delivered as it arrives, whatever its frames declare.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { InvalidArgument } from "./WebSocketError.ts"

/**
 * What happens to a message when the peer takes less than is sent, so that more than the
 * outbound high-water mark waits.
 *
 * **Details**
 *
 * - `"suspend"`: `send` waits until there is room. Nothing is lost, and one slow peer can hold
 *   up a sender.
 * - `"dropNewest"`: the message is dropped. `send` succeeds.
 * - `"dropOldest"`: the message is kept back, and the oldest of the kept messages are dropped
 *   until these take no more than the mark. `send` succeeds.
 * - `{ close, after, maxBytes }`: messages are kept back, and `send` succeeds, until more
 *   has waited than the mark allows for as long as `after` says (default 5 seconds), or
 *   more than `maxBytes` are kept back (default 1 MiB). Then the connection is closed with
 *   this code, 1008 (a rule of yours) or 1013 (try again later), what is kept back is
 *   dropped, and `send` fails with `ConnectionClosed`. So one burst never closes a
 *   connection whose peer reads at once.
 *
 * `WebSocket.dropped` counts dropped messages. A control frame or part of a message is never
 * dropped, and a dropped message was not compressed.
 *
 * **Gotchas**
 *
 * All but `"suspend"` copy binary messages above 8 KiB on servers, because their sender does
 * not wait. A message sent by `sendTextStream` or `sendBinaryStream`, and one so large that it
 * is compressed in slices, waits for room between its fragments whatever the policy is, and
 * other messages wait after it.
 *
 * @category models
 * @since 0.1.0
 */
export type SlowConsumer =
  | "suspend"
  | "dropNewest"
  | "dropOldest"
  | {
    readonly close: 1008 | 1013
    readonly after?: Duration.Input | undefined
    readonly maxBytes?: number | undefined
  }

/**
 * Limits and deadlines of a connection, as callers write them. Sizes are bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The largest message that is received whole. A larger one is refused with 1009 before
   * memory is allocated for it. Raising it raises the memory that one peer can take. Default
   * 1 MiB.
   */
  readonly maxMessageSize?: number | undefined
  /**
   * The largest message that is received as a stream of fragments. Its memory is bounded
   * anyway; this limit bounds how long one message can last. Default 64 GiB.
   */
  readonly maxStreamedMessageSize?: number | undefined
  /**
   * How many fragments one message may have. `max` is their number, 131,072 by default.
   * `charge` is how many bytes each fragment but the last counts at least against the limit of
   * its message, so that a flood of empty fragments ends; 64 by default. A larger fragment
   * counts its payload only, because browsers send large messages in fragments.
   */
  readonly fragments?: { readonly max?: number | undefined; readonly charge?: number | undefined } | undefined
  /**
   * How many Pings and unsolicited Pongs the peer may send: `max` of them within
   * `interval`; one more breaks the connection with 1008. Pongs that answer this side's
   * Pings are not counted. Guards against floods of frames that cost work and an answer and
   * that no other limit counts. They are counted in windows that begin with a frame, so two
   * full windows can follow each other. Default 1,000 in 10 seconds.
   */
  readonly controlFrames?:
    | { readonly max?: number | undefined; readonly interval?: Duration.Input | undefined }
    | undefined
  /**
   * Above this many bytes received and not yet read by the program, reading pauses. Default
   * 64 KiB.
   */
  readonly inboundHighWaterMark?: number | undefined
  /**
   * Above this many bytes accepted and not yet taken by the socket, `send` waits, or does what
   * `slowConsumer` says. Default 64 KiB.
   */
  readonly outboundHighWaterMark?: number | undefined
  /**
   * What happens to a message for a peer that takes too little; see {@link SlowConsumer}. Any
   * receiver can hold up a broadcast that waits for its slowest one; `stalledWriteTimeout` ends
   * that only if nothing is taken at all. Default `"suspend"`.
   */
  readonly slowConsumer?: SlowConsumer | undefined
  /**
   * How fast a message that was begun must arrive: `bytes` of it, or all of it, within
   * each `timeout`. A message that makes less progress breaks the connection with 1008.
   * Guards the memory of a message that was begun (as much as its first frame declares)
   * against peers that do not continue. It does not apply to a message that is read with
   * `receiveStream`, which is delivered as it arrives. While this side does not read, the
   * timeout is suspended. Default 64 KiB in 60 seconds: about 1 KiB a second, which the slowest
   * links reach. A `timeout` of infinity turns it off.
   */
  readonly messageProgress?:
    | { readonly bytes?: number | undefined; readonly timeout?: Duration.Input | undefined }
    | undefined
  /**
   * How long a connection may go without a message, or a part of one, in either direction
   * before it is closed with 1001. Pings and Pongs do not count. Off by default: `keepAlive`
   * finds peers that vanished, and a subscriber may wait long for the next event. Turn it on
   * where idle peers take resources that others need. The Close is sent at most a quarter of
   * this time later.
   */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How long the opening handshake may take: on a client until the answer is checked.
   * On a server `NodeHttpServer.Options` has the deadlines of a request's head and of
   * its handler, with this default. Default 10 seconds.
   */
  readonly handshakeTimeout?: Duration.Input | undefined
  /**
   * A Ping every `interval`, whose Pong must arrive within `timeout`. Otherwise the connection
   * breaks with `IOError`, phase `keepalive`. Bytes that the peer takes or sends in the meantime
   * count as life and start the timeout anew, because a Pong can follow a large message on a
   * slow link. While reading is paused (see `unreadTimeout`) and this side does not look for
   * more, the timeout is suspended and Pings are sent all the same: once a peer has left, the
   * second of them cannot be written, however much waits to be read before its end. `false`
   * turns keepalive off: a peer that vanished is then never noticed. Default 20 seconds each.
   */
  readonly keepAlive?:
    | false
    | { readonly interval?: Duration.Input | undefined; readonly timeout?: Duration.Input | undefined }
    | undefined
  /**
   * How long the peer may be silent once this side has sent its Close, before the closing
   * handshake has failed: bytes that it takes or sends start the timeout anew, so that a slow
   * peer gets everything that was sent. Also how long the peer's Close waits for a busy reader
   * or sender before it is answered, and how long `close` waits for its turn. Default 5
   * seconds.
   */
  readonly closeTimeout?: Duration.Input | undefined
  /**
   * How long all of closing may take, whatever the peer does. A peer that did not answer the
   * Close is sent the end of the stream, and until this time has passed its input is read and
   * dropped: a socket that is destroyed with unread input sends a reset, which makes the peer
   * lose what it has not read yet. Default 60 seconds.
   */
  readonly closeLimit?: Duration.Input | undefined
  /**
   * How many bytes may have been received and not be read on a platform that cannot hold back its
   * peer (`Capabilities.inboundBackpressure`): a page's WebSocket, for one. One more message ends
   * the connection: its reader gets the messages that arrived before, then a `ProtocolError` with
   * code 1008. A single message is bounded by `maxMessageSize` alone. Elsewhere
   * `inboundHighWaterMark` bounds them. Default 16 MiB.
   */
  readonly maxUnread?: number | undefined
  /**
   * How long reading may be paused because the program takes nothing while more waits than
   * `inboundHighWaterMark`. Then the connection is closed with 1011. In the meantime this side
   * looks for Pings, Pongs and the end of the stream after the messages that wait, and reads up
   * to the mark once more for that. Where more than that has arrived, this is also the limit for
   * noticing a host that vanished and an end of stream of a peer that still reads. A handler
   * that does not want to read should run `WebSocket.drain`. Default 5 minutes.
   */
  readonly unreadTimeout?: Duration.Input | undefined
  /**
   * How long the socket may take nothing of the bytes that wait to be written. Guards against a
   * peer that stopped reading. Default 30 seconds.
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
  readonly fragments: { readonly max: number; readonly charge: number }
  readonly controlFrames: { readonly max: number; readonly interval: number }
  readonly inboundHighWaterMark: number
  readonly outboundHighWaterMark: number
  readonly slowConsumer:
    | Exclude<SlowConsumer, object>
    | { readonly close: 1008 | 1013; readonly after: number; readonly maxBytes: number }
  readonly messageProgress: { readonly bytes: number; readonly timeout: number }
  readonly idleTimeout: number
  readonly handshakeTimeout: number
  readonly keepAlive: { readonly interval: number; readonly timeout: number } | undefined
  readonly closeTimeout: number
  readonly closeLimit: number
  readonly maxUnread: number
  readonly unreadTimeout: number
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
  fragments: { max: 131_072, charge: 64 },
  controlFrames: { max: 1000, interval: 10_000 },
  inboundHighWaterMark: 64 * KiB,
  outboundHighWaterMark: 64 * KiB,
  slowConsumer: "suspend",
  messageProgress: { bytes: 64 * KiB, timeout: 60_000 },
  idleTimeout: Infinity,
  handshakeTimeout: 10_000,
  keepAlive: { interval: 20_000, timeout: 20_000 },
  closeTimeout: 5_000,
  closeLimit: 60_000,
  maxUnread: 16 * MiB,
  unreadTimeout: 300_000,
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
 * How many addresses a server remembers for the rate of their upgrades, besides those that
 * have connections. Guards against a peer with many addresses; one with more than this can
 * make the server forget its first.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultRememberedAddresses = 10_000

/**
 * What all connections of a process may hold together, see `MemoryBudget`: the bytes before
 * reading pauses, the milliseconds before connections are closed, and which of them first.
 * Guards against many connections that each stay within their limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultMemoryBudget = { bytes: GiB, grace: 2000, shed: "largest" } as const

/**
 * How much of the body of a refused handshake a client keeps, in bytes. Guards against an
 * endless error page.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxRefusalBody = 8 * KiB

/**
 * The part of one process of a limit that several processes share, rounded up.
 *
 * **Details**
 *
 * Limits are counted in each process. A system balances its connections over the processes that
 * serve a port, so that each gets about as many; the parts together allow at most one more for each
 * process than the limit. Throws `InvalidArgument` where `processes` is not a whole number from 1 on.
 *
 * **Example** (A limit of one's own)
 *
 * ```ts
 * import { Limits } from "@effect-ws/core"
 *
 * console.log(Limits.share(10_000, 8)) // 1250
 * console.log(Limits.share(3, 8)) // 1
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const share = (limit: number, processes = 1): number => {
  if (Number.isSafeInteger(processes) && processes >= 1) return Math.ceil(limit / processes)
  throw new InvalidArgument({ argument: "processes", detail: `${processes}; it is a whole number from 1 on` })
}

/**
 * Options in place of those of `fallback` that they name, and so within each group of them. A number is a size, or a time in
 * milliseconds; another value in the place of a number is a time. What is below 0 counts as 0, and so does NaN.
 */
const filled = <A extends object>(options: object | undefined, fallback: A): A => {
  if (options === undefined) return fallback
  // Names and types of the two belong together (`Options` and `Limits`), which no type of a loop can say.
  const given = options as Readonly<Record<string, unknown>>
  const result = { ...fallback } as Record<string, unknown>
  for (const name of Object.keys(fallback)) {
    const value = given[name]
    const other = result[name]
    if (value === undefined) continue
    if (typeof value === "number") result[name] = value > 0 ? value : 0
    else if (typeof other === "number") result[name] = Duration.toMillis(value as Duration.Input)
    else result[name] = typeof value === "object" && typeof other === "object" ? filled(value!, other!) : value
  }
  return result as A
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
export const make = (options: Options | undefined): Limits => {
  if (options === undefined) return defaults
  const { keepAlive, slowConsumer } = options
  const limits = filled(options, defaults)
  return {
    ...limits,
    keepAlive: keepAlive === false ? undefined : limits.keepAlive,
    slowConsumer: typeof slowConsumer !== "object"
      ? limits.slowConsumer
      : filled(slowConsumer, { close: slowConsumer.close, after: 5_000, maxBytes: MiB })
  }
}

/**
 * Limits and deadlines of topics, as callers write them. Sizes are characters of JSON text but where they say bytes.
 *
 * **Details**
 *
 * Of a process: `presence` but its `size`, `recent` and `linger`. The others are those of each connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopicOptions {
  /**
   * To how many topics one connection may be subscribed. As many it may join, and as many watch. Guards memory and
   * subscriptions of the broker. Default 256.
   */
  readonly subscriptions?: number | undefined
  /**
   * How many requests of one connection may be under way. While they are, nothing more is read from it. Guards the broker,
   * and memory. Default 32.
   */
  readonly calls?: number | undefined
  /**
   * What one connection may publish and signal: values of at most `size` characters, larger ones are refused, those of the
   * program itself too; `count` of them at once and as many again over each `interval`, evenly. What is above the rate is not
   * refused, but read later, so that its order stays. Default 65,536 characters, 1,000 a second.
   */
  readonly publish?:
    | {
      readonly size?: number | undefined
      readonly count?: number | undefined
      readonly interval?: Duration.Input | undefined
    }
    | undefined
  /**
   * How many publications a subscriber may get from history when it comes back. Of more it misses the oldest and is told of a
   * gap. Guards the broker against subscribers that always ask for everything. Default 10,000.
   */
  readonly recovery?: number | undefined
  /**
   * A snapshot has at most `size` characters; a subscriber that asks for a larger one is refused. Clients take messages up to
   * their `maxMessageSize`, and a character has up to 3 bytes. Default 262,144.
   */
  readonly snapshot?: { readonly size?: number | undefined } | undefined
  /**
   * Who is present: what is told of a member has at most `size` characters; above `listed` members only their number is told;
   * a member whose connection has ended is present for another `grace`; changes are told together, `lump` after the first.
   * Guards against lists that cost the square of their length. Default 2,048 characters, 1,000 members, 3 seconds, 500 ms.
   */
  readonly presence?:
    | {
      readonly size?: number | undefined
      readonly listed?: number | undefined
      readonly grace?: Duration.Input | undefined
      readonly lump?: Duration.Input | undefined
    }
    | undefined
  /**
   * The latest publications that a process holds for subscribers that are slow or come back: `count` of each topic, and in
   * all about `bytes`. The others are read from the broker. Default 256 and 64 MiB.
   */
  readonly recent?: { readonly count?: number | undefined; readonly bytes?: number | undefined } | undefined
  /**
   * How long a process stays subscribed to a topic that it does not need any more, for those who come back: `topics` of them
   * at most. Default 10 seconds, 1,000 topics.
   */
  readonly linger?: { readonly time?: Duration.Input | undefined; readonly topics?: number | undefined } | undefined
  /**
   * Where a connection authenticates itself by a message: `within` this time; and before its claims expire it is given
   * `notice`, or half of the time that they last if that is less. Otherwise it is closed with 4401. Default 10 seconds, 30
   * seconds.
   */
  readonly authentication?:
    | { readonly within?: Duration.Input | undefined; readonly notice?: Duration.Input | undefined }
    | undefined
}

/**
 * {@link TopicOptions} with every default filled in, durations in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopicLimits {
  readonly subscriptions: number
  readonly calls: number
  readonly publish: { readonly size: number; readonly count: number; readonly interval: number }
  readonly recovery: number
  readonly snapshot: { readonly size: number }
  readonly presence: { readonly size: number; readonly listed: number; readonly grace: number; readonly lump: number }
  readonly recent: { readonly count: number; readonly bytes: number }
  readonly linger: { readonly time: number; readonly topics: number }
  readonly authentication: { readonly within: number; readonly notice: number }
}

/**
 * The defaults of topics.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultTopics: TopicLimits = {
  subscriptions: 256,
  calls: 32,
  publish: { size: 64 * KiB, count: 1000, interval: 1000 },
  recovery: 10_000,
  snapshot: { size: 256 * KiB },
  presence: { size: 2 * KiB, listed: 1000, grace: 3000, lump: 500 },
  recent: { count: 256, bytes: 64 * MiB },
  linger: { time: 10_000, topics: 1000 },
  authentication: { within: 10_000, notice: 30_000 }
}

/**
 * Fills in the defaults of topics.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeTopics = (options: TopicOptions = {}, fallback: TopicLimits = defaultTopics): TopicLimits =>
  filled(options, fallback)
