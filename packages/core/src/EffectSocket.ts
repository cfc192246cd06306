/**
 * Connections as Effect's `Socket` and back, for code that uses that interface: RPC, cluster,
 * DevTools, GraphQL.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { toEffect, type Value } from "./client/Value.ts"
import { EventSocket } from "./socket/EventSocket.ts"
import { FailablePull, type Fork } from "./socket/FailablePull.ts"
import { openError, SocketSession } from "./socket/SocketSession.ts"
import * as SocketTransport from "./socket/SocketTransport.ts"
import * as Opening from "./connection/Opening.ts"
import type { SendError } from "./connection/Sending.ts"
import { acquiring } from "./connection/TransportScope.ts"
import * as Limits from "./Limits.ts"
import type { Message } from "./Message.ts"
import { portable, type Primitives } from "./Primitives.ts"
import * as ReconnectingClient from "./ReconnectingClient.ts"
import type * as WebSocket from "./WebSocket.ts"
import * as WebSocketClient from "./WebSocketClient.ts"
import type { HandshakeError, IOError, ProtocolError } from "./WebSocketError.ts"

/**
 * Makes a `Socket` from a connection that is acquired for each reader.
 *
 * **When to use**
 *
 * To pass a connection to code that takes a `Socket`. For a URL use {@link makeSocket}, for a client
 * that comes back {@link makeReconnectingSocket}.
 *
 * **Details**
 *
 * It works as `Socket.fromWebSocket` does, and more:
 *
 * - Reading pulls from the connection: above its inbound mark the peer is held back.
 *   Closing the reader's scope fails a pull that waits (1006) and closes the connection.
 * - Every end is an error: `SocketCloseError` with the peer's code and reason, 1005 for a
 *   Close without a code, 1006 where there was no Close (the `IOError` is its `cause`);
 *   `SocketReadError` of a `ProtocolError`; `SocketOpenError` of whatever `acquire` fails
 *   with.
 * - Writing completes once the connection has accepted the message under its outbound
 *   mark. While there is no connection it waits for the next one. What the end of the
 *   connection cuts off is reported where it is read; where nobody reads, and where the
 *   message is at fault, by `SocketWriteError`.
 * - A `CloseEvent` begins the closing handshake with its code and reason and does not
 *   wait for the peer's.
 *
 * **Gotchas**
 *
 * Releasing the reader waits for the peer's Close, at most for the `closeTimeout`.
 *
 * **Example** (Handing a route's connection to code that is written against `Socket`)
 *
 * ```ts
 * import { EffectSocket, WebSocketServer } from "@effect-ws/core"
 * import { Effect } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import type { Socket } from "effect/socket"
 *
 * export const route = (serve: (socket: Socket.Socket) => Effect.Effect<void>) =>
 *   HttpRouter.add(
 *     "GET",
 *     "/feed",
 *     Effect.gen(function*() {
 *       const socket = yield* EffectSocket.toSocket(WebSocketServer.accept({ selectSubprotocol: ["feed.v1"] }))
 *       yield* serve(socket)
 *       return HttpServerResponse.empty()
 *     })
 *   )
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toSocket = <E, R>(
  acquire: Effect.Effect<WebSocket.WebSocket, E, R>
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.map(Effect.context<Exclude<R, Scope.Scope>>(), (context) => {
    const connected = Latch.makeUnsafe(false)
    let current: SocketSession | undefined

    const reader = Effect.gen(function*() {
      const ws = yield* Effect.mapError(acquire, openError)
      const session = new SocketSession(ws, Effect.runForkWith(yield* Effect.context<never>()))
      // Runs before the connection is released, which takes time.
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (current === session) {
            current = undefined
            connected.closeUnsafe()
          }
          session.release()
        })
      )
      current = session
      connected.openUnsafe()
      return { pull: session.pull, upgrade: Socket.SocketUpgradeError.unsupported }
    }).pipe(
      Effect.updateContext((input: Context.Context<Scope.Scope>) =>
        Context.merge(context, input) as Context.Context<R | Scope.Scope>
      )
    )

    /** Runs `f` on the connection, once there is one. */
    const withSession = (
      f: (session: SocketSession) => Effect.Effect<void, Socket.SocketError>
    ): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? connected.whenOpen(withSession(f)) : f(current))

    return Socket.make({
      reader,
      writer: Effect.succeed({
        write: (chunk) => withSession((session) => session.write(chunk)),
        writeAll: (chunks) => withSession((session) => session.writeAll(chunks))
      })
    })
  })

/**
 * Makes a connection over any `Socket` on which the opening handshake is done: a TCP
 * connection, a Unix socket, a pair in memory.
 *
 * **Details**
 *
 * The scope holds the connection and the socket. `primitives` are those of the platform,
 * by default portable ones. Fails with `IOError` if the socket does not open.
 *
 * **Gotchas**
 *
 * A `Socket` over a platform's WebSocket is no stream of bytes: the connection breaks with `IOError` once it
 * delivers text, and a peer that sends none cannot be told from a silent one. Use `NativeWebSocketClient`.
 *
 * **Example** (A connection between two programs that need no handshake)
 *
 * ```ts
 * import { EffectSocket } from "@effect-ws/core"
 * import { Effect } from "effect"
 * import { Socket } from "effect/socket"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* EffectSocket.fromSocket(yield* Socket.Socket, { role: "client" })
 *   yield* ws.send("hello")
 *   return yield* ws.receive
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromSocket = (
  socket: Socket.Socket,
  options: WebSocket.Options & { readonly primitives?: Primitives | undefined }
): Effect.Effect<WebSocket.WebSocket, IOError, Scope.Scope> =>
  acquiring(
    SocketTransport.make(socket, options.primitives ?? portable),
    (transport) => Opening.make(transport, Limits.make(options), options)
  )

/**
 * An open connection as a `Channel` of messages: its input is sent, and received messages are its
 * output.
 *
 * **Details**
 *
 * It ends with the closing handshake. The end of the input leaves the connection open. A failure of
 * the input, and of a send while the connection is open, fails the channel.
 *
 * **Example** (Answering each message)
 *
 * ```ts
 * import { EffectSocket, type WebSocket } from "@effect-ws/core"
 * import { Stream } from "effect"
 *
 * export const answers = (ws: WebSocket.WebSocket, questions: Stream.Stream<string>) =>
 *   questions.pipe(Stream.pipeThroughChannel(EffectSocket.toChannel(ws)))
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toChannel = <IE = never>(
  ws: WebSocket.WebSocket
): Channel.Channel<
  NonEmptyReadonlyArray<Message>,
  ProtocolError | IOError | IE,
  void,
  NonEmptyReadonlyArray<Message>,
  IE
> =>
  Channel.fromTransform(Effect.fnUntraced(function*(
    upstream: Pull.Pull<NonEmptyReadonlyArray<Message>, IE, unknown>,
    scope: Scope.Scope
  ) {
    const fork: Fork = Effect.runForkWith(yield* Effect.context<never>())
    const reader = new FailablePull<NonEmptyReadonlyArray<Message>, ProtocolError | IOError | IE | Cause.Done<void>>(
      yield* Scope.provide(Stream.toPull(ws.messages), scope),
      fork
    )
    yield* upstream.pipe(
      Effect.flatMap((messages) => Effect.mapError(ws.sendAll(messages), (error) => new Unsent(error))),
      Effect.forever({ disableYield: true }),
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          const failure = Cause.findError(cause)
          // The reader reports how the connection ended.
          if (failure._tag === "Success" && (failure.success instanceof Unsent || Cause.isDone(failure.success))) return
          reader.fail(Effect.failCause(cause as Cause.Cause<IE>))
        })
      ),
      Effect.forkIn(scope)
    )
    return reader.pull as Pull.Pull<NonEmptyReadonlyArray<Message>, ProtocolError | IOError | IE>
  }))

/** Distinguishes a failure of a send from one of the input. */
class Unsent {
  readonly error: SendError
  constructor(error: SendError) {
    this.error = error
  }
}

/**
 * How a `Socket` connects.
 *
 * **Details**
 *
 * The options of `WebSocketClient.connect`, and the names that `Socket.makeWebSocket` has for three of
 * them: `protocols` is `subprotocols`, `openTimeout` is `handshakeTimeout`, `highWaterMark` is
 * `inboundHighWaterMark`. `headers` and `subprotocols` may be Effects, which run for each connection,
 * so that each has a fresh token. Their failure is the cause of a `SocketOpenError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SocketOptions<E = never, R = never>
  extends Omit<WebSocketClient.ConnectOptions, "headers" | "subprotocols">
{
  readonly headers?: Value<WebSocketClient.ConnectOptions["headers"], E, R>
  readonly subprotocols?: Value<WebSocketClient.ConnectOptions["subprotocols"], E, R>
  readonly protocols?: Value<WebSocketClient.ConnectOptions["subprotocols"], E, R>
  readonly openTimeout?: WebSocketClient.ConnectOptions["handshakeTimeout"]
  readonly highWaterMark?: number | undefined
}

/** Connects once the effects for URL, headers and subprotocols have run. */
const connectAnew = <E, R>(
  url: Value<string | URL, E, R>,
  { headers, highWaterMark, openTimeout, protocols, subprotocols, ...options }: SocketOptions<E, R> = {}
): Effect.Effect<WebSocket.WebSocket, E | HandshakeError | IOError, R | WebSocketClient.Connector | Scope.Scope> =>
  Effect.gen(function*() {
    return yield* WebSocketClient.connect(yield* toEffect(url), {
      ...options,
      headers: yield* toEffect(headers),
      subprotocols: yield* toEffect(subprotocols ?? protocols),
      handshakeTimeout: options.handshakeTimeout ?? openTimeout,
      inboundHighWaterMark: options.inboundHighWaterMark ?? highWaterMark
    })
  })

/**
 * Makes a `Socket` that connects to a URL for each reader.
 *
 * **Details**
 *
 * Use it instead of `Socket.makeWebSocket`: it has headers and subprotocols, keepalive, compression,
 * and writes that wait for a slow peer. {@link toSocket} describes how it behaves. `url`, `headers`
 * and `subprotocols` may be Effects, which run for each reader.
 *
 * **Gotchas**
 *
 * A reader that fails stays failed. Code that acquires another one at once, again and again, floods a
 * server that restarts: give it the socket of {@link makeReconnectingSocket}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSocket = <E = never, R = never>(
  url: Value<string | URL, E, R>,
  options?: SocketOptions<E, R>
): Effect.Effect<Socket.Socket, never, WebSocketClient.Connector | Exclude<R, Scope.Scope>> =>
  toSocket(connectAnew(url, options))

/**
 * Provides the `Socket` of {@link makeSocket}, for `RpcClient.layerProtocolSocket` and
 * everything else that asks for one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = <E = never, R = never>(
  url: Value<string | URL, E, R>,
  options?: SocketOptions<E, R>
): Layer.Layer<Socket.Socket, never, WebSocketClient.Connector | Exclude<R, Scope.Scope>> =>
  Layer.effect(Socket.Socket, makeSocket(url, options))

/**
 * Makes a `Socket` over a client that comes back: each reader gets the connection that is open, or
 * waits for the next one.
 *
 * **When to use**
 *
 * For code that acquires a reader again whenever one fails, such as `RpcClient.layerProtocolSocket`. It
 * has the options of `ReconnectingClient.make`: delays, fresh credentials, and losses that end it.
 *
 * **Details**
 *
 * Connecting begins at once. After the client has ended, a reader fails with `SocketOpenError`; its
 * cause is a `NotConnected`, whose cause is the loss.
 *
 * **Example** (Consuming for as long as there is a server)
 *
 * ```ts
 * import { EffectSocket } from "@effect-ws/core"
 * import { Effect, Schedule } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const socket = yield* EffectSocket.makeReconnectingSocket("wss://feed.example/ticks", { subprotocols: "ticks.v2" })
 *   return yield* Effect.gen(function*() {
 *     const { pull } = yield* socket.reader
 *     while (true) yield* Effect.log(yield* pull)
 *   }).pipe(
 *     Effect.scoped,
 *     // The client waits for as long as it should; this tells when to look for its next connection.
 *     Effect.retry({ schedule: Schedule.spaced("100 millis"), while: (error) => error.reason._tag !== "SocketOpenError" })
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReconnectingSocket = <EU = never, RU = never, E = never, R = never, EO = never, RO = never>(
  url: string | URL | Effect.Effect<string | URL, EU, RU>,
  options?: ReconnectingClient.Options<E, R, EO, RO, EU | E | EO>
): Effect.Effect<
  Socket.Socket,
  never,
  WebSocketClient.Connector | Scope.Scope | Exclude<RU | R | RO, Scope.Scope>
> =>
  Effect.flatMap(ReconnectingClient.make(url, options), (client) =>
    // The client releases a connection once it is closed, and makes the next one.
    toSocket(Effect.acquireRelease(client.connection, (ws) => Effect.ignore(ws.close(1000)), { interruptible: true })))

/**
 * Provides the `Socket` of {@link makeReconnectingSocket}.
 *
 * **Example** (An RPC client with a fresh token for each connection)
 *
 * ```ts
 * import { EffectSocket } from "@effect-ws/core"
 * import { Effect, Layer, Schedule } from "effect"
 * import { RpcClient, RpcSerialization } from "effect/rpc"
 *
 * export const protocol = <E>(token: Effect.Effect<string, E>) =>
 *   RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced("100 millis") }).pipe(
 *     Layer.provide(EffectSocket.layerReconnectingSocket("wss://api.example/rpc", {
 *       headers: Effect.map(token, (token) => ({ authorization: `Bearer ${token}` }))
 *     })),
 *     Layer.provide(RpcSerialization.layerNdjson)
 *   )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerReconnectingSocket = <EU = never, RU = never, E = never, R = never, EO = never, RO = never>(
  url: string | URL | Effect.Effect<string | URL, EU, RU>,
  options?: ReconnectingClient.Options<E, R, EO, RO, EU | E | EO>
): Layer.Layer<Socket.Socket, never, WebSocketClient.Connector | Exclude<RU | R | RO, Scope.Scope>> =>
  Layer.effect(Socket.Socket, makeReconnectingSocket(url, options))

/**
 * Provides a `Socket.WebSocketConstructor`, for code that asks for that: cluster's
 * `HttpRunner`, GraphQL subscriptions, DevTools.
 *
 * **Details**
 *
 * `options` apply to every connection; subprotocols and headers that are given with a URL replace
 * them. Effects run for each connection. Connections that are open when the layer is released are
 * closed with 1001.
 *
 * **Gotchas**
 *
 * There is no write backpressure through this interface: its `send` cannot make a writer wait, so
 * messages for a slow peer pile up (`bufferedAmount`). Use {@link layerSocket} wherever a `Socket`
 * will do.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocketConstructor = <E = never, R = never>(
  options?: SocketOptions<E, R>
): Layer.Layer<Socket.WebSocketConstructor, never, WebSocketClient.Connector | Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Socket.WebSocketConstructor,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const context = yield* Effect.context<WebSocketClient.Connector | Exclude<R, Scope.Scope>>()
      const fork = forkIn(context, scope)
      return (url: string, given?: Socket.WebSocketConstructorOptions) => {
        const own = givenOptions(given)
        const connect = connectAnew<E, R>(url, {
          ...options,
          headers: own.headers ?? options?.headers,
          subprotocols: own.protocols ?? options?.subprotocols
        })
        return EventSocket.dial(
          Effect.updateContext(connect, (input: Context.Context<Scope.Scope>) =>
            Context.merge(context, input) as Context.Context<R | WebSocketClient.Connector | Scope.Scope>
          ),
          fork
        )
      }
    })
  )

const givenOptions = (options: Socket.WebSocketConstructorOptions | undefined): Socket.WebSocketClientOptions =>
  options === undefined ? {} : typeof options === "string" || Array.isArray(options) ? { protocols: options } : options

/** Runs effects as fibers of a scope. */
const forkIn = (context: Context.Context<never>, scope: Scope.Scope): Fork => {
  const run = Effect.runForkWith(context)
  return (effect) => Fiber.runIn(run(effect), scope)
}

/**
 * An open connection with the interface of a browser's WebSocket, for code that asks for
 * Effect's `Socket.WebSocket`. The scope is that of its listeners.
 *
 * **Gotchas**
 *
 * A connection has one reader: listening for `message` begins to read. Sending has no
 * backpressure; see {@link layerWebSocketConstructor}.
 *
 * **Example** (Events instead of pulls)
 *
 * ```ts
 * import { EffectSocket, type WebSocket } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * export const log = Effect.fn(function*(ws: WebSocket.WebSocket) {
 *   const events = yield* EffectSocket.toWebSocketLike(ws)
 *   events.addEventListener("message", ({ data }) => console.log(data))
 *   events.addEventListener("close", ({ code, reason }) => console.log(code, reason))
 *   yield* ws.closed
 * })
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toWebSocketLike = (
  ws: WebSocket.WebSocket
): Effect.Effect<Socket.WebSocketLike, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.map(Effect.context<never>(), (context) => EventSocket.over(ws, forkIn(context, scope))))
