/**
 * A WebSocket connection as a scoped resource: messages in as a `Stream`, messages
 * out by effects or a `Sink`, control frames, closing and keepalive handled, and
 * every way it can end a typed error.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual, type LazyArg } from "effect/Function"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Capabilities } from "./Capabilities.ts"
import type { CloseCodeFor, CloseInfo } from "./CloseCode.ts"
import { Connection, TypeId } from "./connection/Connection.ts"
import { FiberLifetime, makePolicy, outlivedBy, type OnDisconnect } from "./connection/Lifetime.ts"
import * as Opening from "./connection/Opening.ts"
import type { IncomingMessage, ReceiveError } from "./connection/Pieces.ts"
import type { ControlFrame } from "./connection/PingEffects.ts"
import * as Relay from "./connection/Relay.ts"
import type { Stats } from "./connection/Stats.ts"
import type { SendError } from "./connection/Sending.ts"
import type { HeaderList } from "./http/Tokens.ts"
import * as Limits from "./Limits.ts"
import type { Message, Sendable } from "./Message.ts"
import type { Transform } from "./MessageExtension.ts"
import type { Heartbeat, MessageTransport } from "./MessageTransport.ts"
import type * as Observability from "./Observability.ts"
import type { Transport } from "./Transport.ts"
import { ConnectionClosed, type InvalidArgument, type IOError, type ProtocolError, type Unsupported } from "./WebSocketError.ts"

export {
  /**
   * Marks the connections of this library; see {@link isWebSocket}.
   *
   * @category symbols
   * @since 0.1.0
   */
  TypeId
} from "./connection/Connection.ts"
export type { OnDisconnect } from "./connection/Lifetime.ts"
export type {
  /**
   * A Ping or Pong as `controls` shows it.
   *
   * @category models
   * @since 0.1.0
   */
  ControlFrame
} from "./connection/PingEffects.ts"
export type {
  /**
   * A message received as a `Stream` of its fragments: of strings that end at code
   * point boundaries, or of bytes. The pieces follow the network, not the frames.
   *
   * @category models
   * @since 0.1.0
   */
  IncomingMessage,
  /**
   * What can end a wait for one message.
   *
   * @category errors
   * @since 0.1.0
   */
  ReceiveError
} from "./connection/Pieces.ts"
export type {
  /**
   * The plain counters of one connection, as `stats` reads them. They go on to be
   * readable after its end.
   *
   * @category models
   * @since 0.1.0
   */
  Stats
} from "./connection/Stats.ts"
export type {
  /**
   * What can keep a message from being sent.
   *
   * @category errors
   * @since 0.1.0
   */
  SendError
} from "./connection/Sending.ts"

/**
 * An open connection, made by `WebSocketClient.connect`, `WebSocketServer.accept` or
 * {@link make}.
 *
 * **Details**
 *
 * Sending, in order and with backpressure: an effect completes once its message is
 * accepted under the outbound high-water mark, and one whose payload is sent
 * uncopied (a server's binary message above 8 KiB) once the socket has taken it. Every wait
 * can be interrupted at once. A payload belongs to the connection until its `send` has
 * completed, or, where that was interrupted, until `flush` has; it must not be changed
 * before. Lone surrogates in text are sent as U+FFFD.
 *
 * Receiving: one reader at a time; a second one dies at once. A reader that is interrupted
 * or stops early loses nothing: what it was not given is there for the next reader.
 *
 * A connection is *open* while messages flow, *closing* once a Close frame was sent or
 * received, *closed* once both were or the connection broke, and *released* once its
 * transport is gone and nothing of it is held any more.
 *
 * **Gotchas**
 *
 * The peer's Close is processed after all earlier messages have been read, so that what the
 * reader still sends goes out first. A program that stops reading has it answered at the
 * close deadline (5 seconds by default); `closing` tells at once.
 *
 * A program that never reads a connection holds up its peer: run `drain`.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocket {
  readonly [TypeId]: typeof TypeId
  /** Which end of the connection this is. */
  readonly role: "client" | "server"
  /**
   * Distinguishes the connections of this process; `websocket.connection.id` in spans and
   * log lines.
   */
  readonly id: number
  /** The subprotocol that was negotiated (RFC 6455 §1.9). */
  readonly subprotocol: string | undefined
  /** The name of the extension that was negotiated, such as `permessage-deflate`. */
  readonly extension: string | undefined
  /** What this connection can do. All of it, unless it runs on a platform's own WebSocket. */
  readonly capabilities: Capabilities
  /**
   * On a client, the headers of the answer that accepted the connection, such as cookies: each
   * line as it was received, names in lower case. Empty on a server.
   */
  readonly responseHeaders: HeaderList

  /**
   * All messages until the connection ends, one at a time. A closing handshake ends the
   * stream normally. A stream that stops early (`Stream.take`, a failure, an interruption)
   * leaves the rest to the next reader.
   */
  readonly messages: Stream.Stream<Message, ProtocolError | IOError>
  /**
   * The same as `messages` in arrays: each element is what had arrived, at least one message. The
   * fast path for programs that work on many small messages.
   */
  readonly batches: Stream.Stream<NonEmptyReadonlyArray<Message>, ProtocolError | IOError>
  /**
   * Reads all messages and drops them, until the connection ends. For programs that only
   * send: a connection that nobody reads holds up its peer, and hides its Pings and its end.
   */
  readonly drain: Effect.Effect<void, ProtocolError | IOError>
  /** The next message. */
  readonly receive: Effect.Effect<Message, ReceiveError>
  /**
   * The next message piece by piece, in bounded memory however large it is. What is
   * left unread is dropped when the next message is pulled.
   */
  readonly receiveStream: Effect.Effect<IncomingMessage, ReceiveError>
  /** All messages that have arrived, or else the next ones: what `batches` is made of. */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<Message>, ProtocolError | IOError>

  /** Sends a message: text for a string, binary for bytes, or one that `Message.prepare` made for many. */
  readonly send: (message: Sendable) => Effect.Effect<void, SendError>
  /** Sends a text message. */
  readonly sendText: (text: string) => Effect.Effect<void, SendError>
  /** Sends a binary message. */
  readonly sendBinary: (bytes: Uint8Array) => Effect.Effect<void, SendError>
  /**
   * Sends a message at once if there is room for it under the outbound high-water mark and
   * nobody waits before it, and says whether it did. Not an effect: a fan-out can send to
   * many connections in one run of JavaScript, which nothing can interrupt. Binary payloads are
   * copied where they would go out uncopied. `false` also after the end.
   */
  readonly offerUnsafe: (message: Sendable) => boolean
  /** Sends messages in order, in as few writes as can be. */
  readonly sendAll: (messages: Iterable<Sendable>) => Effect.Effect<void, SendError>
  /**
   * Sends one text message from a stream of fragments, in bounded memory. Other
   * messages wait until it ends. If the stream fails, or the effect is interrupted,
   * after its first fragment the connection is closed with 1011. A platform without
   * fragments (`capabilities.fragments`) collects them and sends one message; other messages
   * go meanwhile, and a stream that fails sends nothing.
   */
  readonly sendTextStream: <E, R>(fragments: Stream.Stream<string, E, R>) => Effect.Effect<void, SendError | E, R>
  /** The same for a binary message. */
  readonly sendBinaryStream: <E, R>(
    fragments: Stream.Stream<Uint8Array, E, R>
  ) => Effect.Effect<void, SendError | E, R>
  /** Sends every message that flows into it. Its end leaves the connection open. */
  readonly sink: Sink.Sink<void, Sendable, never, SendError>
  /** Waits until the socket has taken everything that was sent. */
  readonly flush: Effect.Effect<void, SendError>
  /**
   * How many messages were dropped so far because the peer takes too little; 0 where
   * `slowConsumer` does not say to drop.
   */
  readonly dropped: Effect.Effect<number>

  /**
   * Sends a Ping and waits for its Pong; returns the round trip. A Pong settles the
   * earlier pings too (RFC 6455 §5.5.3). The token is at most 125 bytes; without one
   * a fresh one is made. Fails with `Unsupported` where `capabilities.ping` is false.
   */
  readonly ping: (token?: Uint8Array) => Effect.Effect<Duration.Duration, SendError | InvalidArgument | Unsupported>
  /** Sends a Ping and does not wait for its Pong. */
  readonly sendPing: (token?: Uint8Array) => Effect.Effect<void, SendError | InvalidArgument | Unsupported>
  /**
   * Pings and Pongs of the peer, from now until the connection ends. Pings were
   * answered already. An observer that falls behind misses the oldest of 64.
   */
  readonly controls: Stream.Stream<ControlFrame>

  /**
   * Performs the closing handshake, behind everything that was accepted before it,
   * and returns how the connection closed. Without a code the Close is empty. Closing
   * again only waits.
   *
   * It waits for senders before it, for the peer to take what was sent, and for the peer's
   * Close; a peer that takes and says nothing for `closeTimeout` is not waited for any
   * longer (`clean` is then `false`), nor is anybody for more than `closeLimit`. An
   * interruption ends the wait and not the closing.
   */
  readonly close: (code?: number, reason?: string) => Effect.Effect<CloseInfo, InvalidArgument>
  /**
   * Closes as another connection closed, for a proxy that stands between two: with its code
   * and reason; with an empty Close where it had no code (1005); and without a Close, by
   * dropping the connection, where it ended without one (1006). A code that this role may not
   * send becomes 1011.
   */
  readonly closeAs: (info: CloseInfo) => Effect.Effect<CloseInfo>
  /**
   * Waits until the connection is closing or closed: at once when the peer's Close or the end of
   * its stream arrives, before the reader comes to it. Tells what is known by then.
   */
  readonly closing: Effect.Effect<CloseInfo>
  /**
   * Waits until the connection has closed, one way or another, and tells how. It does not read:
   * while messages wait that nobody reads, the peer's Close is processed after `closeTimeout`
   * only. `drain` reads them.
   */
  readonly closed: Effect.Effect<CloseInfo>

  /** What the connection has counted so far: messages, bytes, the last round trip. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * Whether a value is a connection of this library.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWebSocket = (input: unknown): input is WebSocket =>
  typeof input === "object" && input !== null && TypeId in input

/**
 * Sends all that one connection receives into another, until the first ends.
 *
 * **When to use**
 *
 * For proxies, and for an echo (a connection into itself). It is faster than
 * `Stream.run(from.batches, to.sink)`, since no fiber is woken while there is room, and large binary
 * messages cost no new memory.
 *
 * **Details**
 *
 * The memory of binary messages of 2 KiB or more is used again for later ones, by all relays of the
 * process: up to 32 MiB are kept for that, and freed after some seconds without use. No program sees
 * these messages: one that is left to the next reader gets memory of its own. Where `to` has an
 * extension (compression), or is a WebSocket of the platform, which may keep what they are given, each
 * message has memory of its own.
 *
 * A message that was read and not accepted by `to` when the effect is interrupted is there for
 * the next reader of `from`. The end of `from` leaves `to` open: `to.closeAs(yield* from.closed)`
 * hands it on.
 *
 * **Example** (A proxy)
 *
 * ```ts
 * import { WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * const pass = (from: WebSocket.WebSocket, to: WebSocket.WebSocket) =>
 *   WebSocket.relay(from, to).pipe(
 *     Effect.ignore,
 *     Effect.andThen(Effect.flatMap(from.closed, to.closeAs))
 *   )
 *
 * export const Proxy = WebSocketServer.handle((downstream) =>
 *   Effect.gen(function*() {
 *     const upstream = yield* WebSocketClient.connect("ws://127.0.0.1:9001/feed")
 *     yield* Effect.all([pass(downstream, upstream), pass(upstream, downstream)], { concurrency: 2 })
 *   })
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const relay = (
  from: WebSocket,
  to: WebSocket
): Effect.Effect<void, ProtocolError | IOError | SendError> =>
  from instanceof Connection && to instanceof Connection
    ? Relay.relay(from.reader, to.writer)
    : Stream.runForEach(from.batches, (batch) => to.sendAll(batch))

/**
 * Runs an effect while a connection is there: it is interrupted when the connection has
 * ended, and then fails as the connection's reader would.
 *
 * **When to use**
 *
 * On a client, for what makes no sense without its connection: a feed, a job, a timer. What
 * handles a connection on a server is interrupted by `onDisconnect` of its options.
 *
 * **Details**
 *
 * By the rules of {@link OnDisconnect}: an effect that reads goes on until it has read all
 * messages that arrived before the end, and for a grace of 5 seconds after that; one that does
 * not read is interrupted as soon as the connection is closed. Its finalizers run in every
 * case.
 *
 * **Example** (A client that comes back)
 *
 * ```ts
 * import { WebSocket, WebSocketClient } from "@effect-ws/core"
 * import { Effect, Schedule } from "effect"
 *
 * export const beat = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("wss://feed.example/beat")
 *   yield* Effect.repeat(ws.send("still here"), Schedule.spaced("1 minute")).pipe(
 *     WebSocket.whileConnected(ws)
 *   )
 * }).pipe(Effect.scoped, Effect.retry(Schedule.spaced("5 seconds")))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const whileConnected: {
  (ws: WebSocket, options?: { readonly onDisconnect?: OnDisconnect | undefined }): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ReceiveError, R>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    ws: WebSocket,
    options?: { readonly onDisconnect?: OnDisconnect | undefined }
  ): Effect.Effect<A, E | ReceiveError, R>
} = /*#__PURE__*/ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    ws: WebSocket,
    options?: { readonly onDisconnect?: OnDisconnect | undefined }
  ): Effect.Effect<A, E | ReceiveError, R> => {
    const policy = makePolicy(options?.onDisconnect)
    if (policy === undefined) return self
    if (!(ws instanceof Connection)) {
      return Effect.raceFirst(self, Effect.flatMap(ws.closed, (info) => Effect.fail(new ConnectionClosed({ info }))))
    }
    return Effect.flatMap(Effect.forkChild(self, { startImmediately: true }), (fiber) => {
      const lifetime = new FiberLifetime(policy, fiber)
      const leave = outlivedBy(ws, lifetime)
      const ended = Effect.flatMap(Fiber.await(fiber), (exit): Effect.Effect<A, E | ReceiveError> =>
        lifetime.isOver && Exit.hasInterrupts(exit) ? Effect.fail(ws.failure) : exit)
      return Effect.ensuring(
        Effect.onInterrupt(ended, () => Fiber.interrupt(fiber)),
        Effect.sync(leave)
      )
    })
  }
)

/**
 * How a connection is made from a transport.
 *
 * **Details**
 *
 * - `subprotocol`: the one that the handshake negotiated.
 * - `extension`: opens the extension that the handshake negotiated.
 * - `responseHeaders`: those of the answer that accepted, on a client.
 * - `closeCodeFor`: the code to close with where the scope ends with a typed failure, or
 *   `{ code, reason }`; default 1011. A success closes with 1000, an interruption with 1001, a defect
 *   with 1011.
 * - `observability`: what differs from `Observability.CurrentOptions`.
 * - `attributes`: what else the span and the log lines say, such as an address. Asked
 *   only where there are any.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Limits.Options {
  readonly role: "client" | "server"
  readonly subprotocol?: string | undefined
  readonly extension?: LazyArg<Transform> | undefined
  readonly responseHeaders?: HeaderList | undefined
  readonly closeCodeFor?: CloseCodeFor | undefined
  readonly observability?: Observability.Options | undefined
  readonly attributes?: LazyArg<Readonly<Record<string, unknown>>> | undefined
}

/**
 * Makes a connection from a transport on which the opening handshake is done.
 *
 * **When to use**
 *
 * For a transport of your own. `WebSocketClient.connect` and `WebSocketServer.accept`
 * call it for you.
 *
 * **Details**
 *
 * The connection reads by itself from here on, up to the inbound high-water mark.
 * Releasing the scope performs the closing handshake within the close deadline, with
 * the code that the exit maps to, and drops the transport.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (transport: Transport, options: Options): Effect.Effect<WebSocket, never, Scope.Scope> =>
  Effect.suspend(() => Opening.make(transport, limitsOf(transport, options), options))

/**
 * How a connection is made on a platform's own WebSocket: see {@link Options}.
 *
 * **Details**
 *
 * - `extension`: the name of the extension that the platform negotiated.
 * - `heartbeat`: a keepalive by messages, every `keepAlive.interval`. Without it there is none.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageOptions extends Omit<Options, "extension"> {
  readonly extension?: string | undefined
  readonly heartbeat?: Heartbeat | undefined
}

/**
 * Makes a connection on a WebSocket that frames messages by itself, on which the opening
 * handshake is done.
 *
 * **When to use**
 *
 * For a platform's WebSocket that this library does not know. `NativeWebSocketClient` and the
 * servers for Deno, Bun and Workers call it for you.
 *
 * **Details**
 *
 * As {@link make}, as far as `transport.capabilities` go. Limits that concern frames have no
 * effect: the platform keeps its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMessages = (
  transport: MessageTransport,
  options: MessageOptions
): Effect.Effect<WebSocket, never, Scope.Scope> =>
  Effect.suspend(() => Opening.makeMessages(transport, limitsOf(transport, options), options))

/** Limits that cannot be read are the caller's to see, but leave no transport behind. */
const limitsOf = (transport: { readonly destroy: () => void }, options: Limits.Options): Limits.Limits => {
  try {
    return Limits.make(options)
  } catch (defect) {
    transport.destroy()
    throw defect
  }
}
