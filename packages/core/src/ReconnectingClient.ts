/**
 * A client that comes back: connections to one service, one after the other, with fresh
 * credentials for each, delays that suit client and server, and a status to show.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Message, Sendable } from "./Message.ts"
import * as Client from "./reconnect/Client.ts"
import type { Value } from "./client/Value.ts"
import { planned } from "./reconnect/Plan.ts"
import * as Run from "./reconnect/Run.ts"
import type { Status } from "./reconnect/Status.ts"
import type { Loss } from "./reconnect/Verdict.ts"
import type { WebSocket } from "./WebSocket.ts"
import * as WebSocketClient from "./WebSocketClient.ts"
import type { DeliveryUnknown, InvalidArgument, IOError, NotConnected, ProtocolError } from "./WebSocketError.ts"

export {
  /**
   * The attempt, for effects that run at each one (the URL, `headers`, `subprotocols`, `onOpen`).
   *
   * **Example** (A token that is kept until a server refuses it)
   *
   * ```ts
   * import { ReconnectingClient } from "@effect-ws/core"
   * import { Effect } from "effect"
   *
   * export const headers = (cached: Effect.Effect<string>, fresh: Effect.Effect<string>) =>
   *   Effect.gen(function*() {
   *     const { loss } = yield* ReconnectingClient.CurrentAttempt
   *     const refused = loss?._tag === "HandshakeError" && loss.status === 401
   *     return { authorization: `Bearer ${yield* refused ? fresh : cached}` }
   *   })
   * ```
   *
   * @category services
   * @since 0.1.0
   */
  CurrentAttempt,
  /**
   * The default delays before attempts: a random part of 100 ms, then of 200 ms,
   * 400 ms and so on, at most of 30 seconds ("full jitter").
   *
   * @category constants
   * @since 0.1.0
   */
  defaultSchedule
} from "./reconnect/Attempts.ts"
export {
  /**
   * Emits when a connection may have become possible again, or an open one may have been lost
   * unnoticed: the network came back, or the machine woke up.
   *
   * **Details**
   *
   * A client that waits tries at once, unless the server asked for the delay. One that has a connection
   * sends a Ping, where the platform can, and gives the connection up if no Pong arrives within 5 seconds.
   *
   * In pages and web workers it consists of the events `online`, `pageshow`, `resume` and
   * `visibilitychange`; on other platforms it is `undefined`. Provide a Stream of your own where
   * a platform has other signs.
   *
   * @category services
   * @since 0.1.0
   */
  Reachability
} from "./reconnect/Reachability.ts"
export {
  /**
   * A status as one line, for people and logs.
   *
   * @category conversions
   * @since 0.1.0
   */
  describe,
  type /**
   * What the client is doing.
   *
   * @category models
   * @since 0.1.0
   */
  Status
} from "./reconnect/Status.ts"
export type {
  /**
   * Why a connection was lost or an attempt failed. `HandshakeError`: it was refused. `IOError`: it
   * broke, or the server cannot be reached. `ProtocolError`: the server broke the protocol.
   * `ConnectionClosed`: one side closed it. `E`: an effect of the program failed.
   *
   * @category errors
   * @since 0.1.0
   */
  Loss
} from "./reconnect/Verdict.ts"

/**
 * How a client connects, and when it comes back. Options that are Effects run at each attempt.
 *
 * **Details**
 *
 * - `headers`, `subprotocols`: what `WebSocketClient.ConnectOptions` says of them, or an Effect of it.
 * - `schedule`: the delays before attempts. Its input is the losses, and it starts again after a
 *   healthy connection; when it is done, the client ends. Default {@link defaultSchedule}.
 * - `healthyAfter`: how long a connection must have been open before its loss counts as the first
 *   one. Default 10 seconds.
 * - `maxSilence`: how long the server may send no message before the connection is given up. For a server
 *   that sends regularly, on a platform that cannot send Pings (`WebSocket.capabilities`). It takes
 *   effect at most a quarter later. Off by default.
 * - `retry`: decides about each loss. `false` ends the client with it, `true` tries again after the
 *   schedule's delay, a duration tries again after that long and the schedule's delay, `undefined`
 *   leaves it to the default.
 *
 * By default the client comes back after every loss except these, after which no attempt can succeed:
 *
 * - a refusal with a status of 400 to 499, except 408, 425 and 429. After 401 there is one attempt at
 *   once, for which the Effects run again; a second 401 ends the client;
 * - a response that a WebSocket server never sends, a URL or header that cannot be sent;
 * - a server's Close with 1002, 1003, 1007, 1008 or 1010. The codes 4400 to 4499 mean the
 *   statuses 400 to 499, since browsers see no statuses;
 * - failures of the program's own Effects.
 *
 * What a server asks for is added to the schedule's delay: `Retry-After` (up to an hour) and a random
 * part of half as much again, up to 30 seconds, so that not all clients come back at once; 5 to 30 seconds
 * after a Close with 1012 or 1013; up to 2 seconds after 1001.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReconnectOptions<E = never, R = never, L = E>
  extends Omit<WebSocketClient.ConnectOptions, "headers" | "subprotocols">
{
  readonly headers?: Value<WebSocketClient.ConnectOptions["headers"], E, R>
  readonly subprotocols?: Value<WebSocketClient.ConnectOptions["subprotocols"], E, R>
  readonly schedule?: Schedule.Schedule<unknown, Loss<NoInfer<L>>, never, R> | undefined
  readonly healthyAfter?: Duration.Input | undefined
  readonly maxSilence?: Duration.Input | undefined
  readonly retry?: ((loss: Loss<NoInfer<L>>) => boolean | Duration.Input | undefined) | undefined
}

/**
 * The options of {@link make}.
 *
 * **Details**
 *
 * - `onOpen`: runs with each connection before anything else uses it, to introduce itself or to subscribe
 *   again. It may send and receive. Its failure is a loss.
 * - `whileAway`: what happens to a message that is sent while there is no connection. `"wait"` (the
 *   default) waits for the next one, `"fail"` fails with `NotConnected`, `"drop"` drops the message.
 * - `maxWaiting`: how many senders may wait; one more fails with `NotConnected`. Default 1,000.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never, EO = never, RO = never, L = E | EO> extends ReconnectOptions<E, R, L> {
  readonly onOpen?: ((ws: WebSocket) => Effect.Effect<void, EO, RO>) | undefined
  readonly whileAway?: "wait" | "fail" | "drop" | undefined
  readonly maxWaiting?: number | undefined
}

/**
 * How one message is sent.
 *
 * **Details**
 *
 * - `whileAway`: for this message, instead of the client's.
 * - `flush`: waits until the transport has taken the message.
 *
 * @category models
 * @since 0.1.0
 */
export interface SendOptions {
  readonly whileAway?: "wait" | "fail" | "drop" | undefined
  readonly flush?: boolean | undefined
}

/**
 * A client that comes back, made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReconnectingClient<out E = never> {
  /** What it is doing now. */
  readonly status: Effect.Effect<Status<E>>
  /** What it is doing now, and every change until it has ended. */
  readonly statuses: Stream.Stream<Status<E>>

  /**
   * The messages of all connections from the first read on, in order, each delivered once. Fails with
   * the loss that ends the client; ends after `close`. One reader at a time.
   *
   * Messages that had arrived on a lost connection are kept for the reader, for 8 such connections at most.
   * While a reader is that far behind, the next attempt waits for it. If a sender waits for a connection,
   * or if there is no reader, the messages of the oldest connection are dropped instead; `dropped` counts
   * them.
   */
  readonly messages: Stream.Stream<Message, Loss<E>>
  /**
   * The streams that `f` makes of the connections, one after the other: of `ws.batches`, for example.
   * The connections' own errors are losses; others fail the stream. A connection that was lost without
   * unread messages before the reader reached it may be left out.
   */
  readonly read: <A, E2, R>(
    f: (ws: WebSocket) => Stream.Stream<A, ProtocolError | IOError | E2, R>
  ) => Stream.Stream<A, Loss<E> | Exclude<E2, ProtocolError | IOError>, R>

  /**
   * Sends a message on the connection that is open. `NotConnected` means that no connection has
   * accepted it. What a connection has accepted is never sent again on another: with `flush`, `send`
   * fails with `DeliveryUnknown` if the connection breaks before its transport has taken the message.
   */
  readonly send: (message: Sendable, options?: SendOptions) => Effect.Effect<void, NotConnected | DeliveryUnknown>
  /** Sends every message that flows into it. */
  readonly sink: Sink.Sink<void, Sendable, never, NotConnected | DeliveryUnknown>
  /**
   * Waits until the transport has taken everything that was sent. Fails with `DeliveryUnknown` if
   * a connection broke before that, now or since the last `flush`.
   */
  readonly flush: Effect.Effect<void, DeliveryUnknown>
  /** How many messages were dropped: sent while there was no connection, or received and not read in time. */
  readonly dropped: Effect.Effect<number>

  /** The connection that is open, or else the next one. */
  readonly connection: Effect.Effect<WebSocket, NotConnected>
  /** Ends a wait: the next attempt begins at once. For a button. */
  readonly retryNow: Effect.Effect<void>
  /** Ends the client, and closes the connection that is open by the closing handshake. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void, InvalidArgument>
}

/**
 * Begins to connect to a service, and keeps a connection to it until the scope ends.
 *
 * **When to use**
 *
 * For programs to which one connection is as good as the next, after `onOpen` at most. {@link run} is
 * for programs that have a conversation on each.
 *
 * **Details**
 *
 * `make` itself never fails: a first attempt that fails is followed by others. The end of the scope
 * performs the closing handshake, or stops the attempt or wait that is under way.
 *
 * **Example** (Reading a feed for as long as there is one)
 *
 * ```ts
 * import { ReconnectingClient } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const feed = yield* ReconnectingClient.make("wss://feed.example/ticks")
 *   yield* Stream.runForEach(feed.messages, (message) => Effect.log(message))
 * }).pipe(Effect.scoped)
 * ```
 *
 * **Example** (Fresh credentials, and a first message on each connection)
 *
 * ```ts
 * import { ReconnectingClient } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * export const connect = <E>(token: Effect.Effect<string, E>, room: string) =>
 *   ReconnectingClient.make("wss://chat.example/", {
 *     headers: Effect.map(token, (token) => ({ authorization: `Bearer ${token}` })),
 *     onOpen: (ws) => ws.send(`join ${room}`)
 *   })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <EU = never, RU = never, E = never, R = never, EO = never, RO = never>(
  url: Value<string | URL, EU, RU>,
  options: Options<E, R, EO, RO, EU | E | EO> = {}
): Effect.Effect<
  ReconnectingClient<EU | E | EO>,
  never,
  WebSocketClient.Connector | Scope.Scope | Exclude<RU | R | RO, Scope.Scope>
> => {
  const { maxWaiting = 1000, onOpen, whileAway = "wait", ...rest } = options
  return Effect.flatMap(
    planned<EU | E | EO, RU | R | RO>(WebSocketClient.connect, url, rest, onOpen),
    (plan) => Client.make(plan, { whileAway, maxWaiting })
  )
}

/**
 * Runs a session with each connection to a service, one after the other.
 *
 * **When to use**
 *
 * For a protocol with a state of its own for each connection: a greeting and its answer,
 * subscriptions that are made again, messages that are acknowledged.
 *
 * **Details**
 *
 * A session that ends because its connection ended is followed by the next one, after the delay that
 * the loss demands; `ConnectionClosed`, `IOError` and `ProtocolError` that it lets through are such
 * ends. A session that succeeds while its connection is open ends `run` with its result. A failure of
 * its own ends `run`, unless `retry` says otherwise.
 *
 * `onStatus` gets every status, the last one included.
 *
 * **Example** (A greeting whose answer is awaited)
 *
 * ```ts
 * import { ReconnectingClient } from "@effect-ws/core"
 * import { Console, Effect, Stream } from "effect"
 *
 * export const program = ReconnectingClient.run(
 *   "wss://feed.example/",
 *   (ws) =>
 *     Effect.gen(function*() {
 *       yield* ws.send("hello")
 *       const welcome = yield* ws.receive
 *       yield* Console.log(`welcomed: ${welcome}`)
 *       yield* Stream.runForEach(ws.messages, (message) => Console.log(message))
 *     }),
 *   { onStatus: (status) => Console.error(ReconnectingClient.describe(status)) }
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <A, ES, RS, EU = never, RU = never, E = never, R = never>(
  url: Value<string | URL, EU, RU>,
  session: (ws: WebSocket) => Effect.Effect<A, ES, RS>,
  options: ReconnectOptions<E, R, EU | E | ES> & {
    readonly onStatus?: ((status: Status<EU | E | ES>) => Effect.Effect<void>) | undefined
  } = {}
): Effect.Effect<A, Loss<EU | E | ES>, WebSocketClient.Connector | Exclude<RU | R | RS, Scope.Scope>> => {
  const { onStatus: report = () => Effect.void, ...rest } = options
  return Effect.flatMap(
    planned<EU | E | ES, RU | R>(WebSocketClient.connect, url, rest),
    (plan) => Run.run({ ...plan, report }, session)
  )
}
