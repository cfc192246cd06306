/**
 * The client of topics: one connection for all of them, which comes back by itself. A subscription is a Stream that survives
 * lost connections and restarted servers without losing or repeating a publication, or says where it could not.
 *
 * **Example** (A room of a chat, read and written)
 *
 * ```ts
 * import { Topic, TopicClient } from "@effect-ws/core/realtime"
 * import { Console, Effect, Schema, Stream } from "effect"
 *
 * const Room = Topic.make("room/:id", { publication: Schema.Struct({ author: Schema.String, text: Schema.String }) })
 *
 * export const program = Effect.gen(function*() {
 *   const client = yield* TopicClient.make("wss://chat.example/topics")
 *
 *   yield* client.subscribe(Room, { id: "7" }, { since: "start" }).pipe(
 *     Stream.runForEach((event) => {
 *       switch (event._tag) {
 *         case "Publication":
 *           return Console.log(`${event.value.author}: ${event.value.text}`)
 *         case "Gap":
 *           return Console.log("(some messages are missing here)")
 *         default:
 *           return Effect.void
 *       }
 *     }),
 *     Effect.forkScoped
 *   )
 *
 *   const { offset } = yield* client.publish(Room, { id: "7" }, { author: "Ada", text: "hello" })
 *   yield* Console.log(`applied as number ${offset}`)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Value } from "../client/Value.ts"
import { sideOf } from "../contract/Definition.ts"
import { dial } from "../contract/Dial.ts"
import type { InvalidMessage } from "../contract/InvalidMessage.ts"
import type { ContractMismatch } from "../contract/Mismatch.ts"
import { Values } from "../contract/Values.ts"
import * as Limits from "../Limits.ts"
import * as Reconnect from "../reconnect/Client.ts"
import { planned } from "../reconnect/Plan.ts"
import type * as ReconnectingClient from "../ReconnectingClient.ts"
import type { WebSocket } from "../WebSocket.ts"
import type * as WebSocketClient from "../WebSocketClient.ts"
import type { InvalidArgument, NotConnected } from "../WebSocketError.ts"
import type { Position } from "./Broker.ts"
import * as Client from "./client/Client.ts"
import { metered } from "./client/ClientMeter.ts"
import type { InvalidValue, PublishUnknown, TopicError } from "./client/Errors.ts"
import type * as Events from "./client/Events.ts"
import { type Greeting, greet, refresh } from "./client/Hello.ts"
import { heartbeat } from "./client/Heartbeat.ts"
import { Hub } from "./client/Hub.ts"
import { Link } from "./client/Link.ts"
import type * as Topic from "./Topic.ts"
import type { TopicEvent } from "./TopicEvent.ts"
import type { ToClient, ToServer } from "./wire/Messages.ts"
import { TopicsContract } from "./wire/TopicsContract.ts"

export {
  /**
   * The server sent a value that does not match the family's Schema on this side.
   *
   * @category errors
   * @since 0.1.0
   */
  InvalidValue,
  /**
   * A publication was sent and not acknowledged: it may have been applied, or may still be.
   *
   * **Details**
   *
   * Under the same `key` it can be published again for as long as the family remembers keys, and is applied once.
   *
   * @category errors
   * @since 0.1.0
   */
  PublishUnknown,
  /**
   * The server did not do what was asked, and will not if it is asked again.
   *
   * **Details**
   *
   * - `code`: `refused` the program does not allow it (where the family's `refusal` says why, the operation fails with
   *   that instead); `invalid` the value does not match the server's Schema; `unknown-topic` no family of the server has
   *   such a name; `limit` a limit of the server; `ended` the server ended the subscription; `defect` the server's program failed each
 *   time that it was asked.
   *
   * @category errors
   * @since 0.1.0
   */
  TopicError
} from "./client/Errors.ts"

/**
 * How a subscription begins.
 *
 * **Details**
 *
 * - `since`: a position that was delivered before: what follows is behind it. `"start"`: the oldest publication that is
 *   kept. By default the subscription begins with what is published from then on.
 * - `snapshot`: whether to take the family's snapshot at the beginning, unless `since` is a position that can still be had, and behind a
 *   gap. Default false.
 * - `bufferSize`: how many events wait for the reader. One that is further behind gets no more until it has
 *   taken all of them, and then what it missed, from the server's history. Default 1,000.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions {
  readonly since?: Position | "start" | undefined
  readonly snapshot?: boolean | undefined
  readonly bufferSize?: number | undefined
}

/**
 * How a publication is sent.
 *
 * **Details**
 *
 * - `key`: names the publication, so that it is applied once however often it is sent. 1 to 128 characters, unique in the topic. By
 *   default one that nobody can guess.
 * - `timeout`: how long to wait for the acknowledgement, connections that are lost and made in the meantime included. Default 1 minute.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublishOptions {
  readonly key?: string | undefined
  readonly timeout?: Duration.Input | undefined
}

/**
 * A publication was applied: its position, and its key. `duplicate` if that was before, under the same key: by an earlier sending whose
 * acknowledgement was lost, or by an earlier `publish`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Acknowledged extends Position {
  readonly key: string
  readonly duplicate: boolean
}

/**
 * What the reader of a topic of a family gets.
 *
 * @category models
 * @since 0.1.0
 */
export type Event<T extends Topic.Any> = TopicEvent<T["publication"]["Type"], T["snapshot"]["Type"]>

/**
 * A signal and the name of who sent it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signal<out A> extends Client.Signal<A> {}

/**
 * Who is present in a topic: how many, whether they are listed (above a number of members the server only counts), and
 * those who are, by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Present<out M> extends Events.Present<M> {}

/**
 * Why a server does not do what is asked of a topic: the family's own error, or one of ours.
 *
 * @category errors
 * @since 0.1.0
 */
export type Refusal<T extends Topic.Any> = T["refusal"]["Type"] | TopicError | InvalidValue

/**
 * A presence that the server has accepted. `ended` fails when it is over before the scope ends: the server no longer allows
 * it, or the client has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Joined<out E> extends Client.Joined<E> {}

/**
 * A token, and after what time a fresh one is to be shown in its place, on the same connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Token {
  readonly token: string
  readonly refreshAfter?: Duration.Input | undefined
}

/**
 * How a client connects: the options of `ReconnectingClient`, and these.
 *
 * **Details**
 *
 * - `token`: an Effect of the token that is shown at the beginning of each connection; it runs each time. A refused token
 *   is followed by one fresh one, and another refusal ends the client. A fresh one is shown on the same connection when the server
 *   says that the old one is about to expire, and with `{ token, refreshAfter }` after that time; at most one a second.
 * - `heartbeat`: where the platform cannot send Pings, as in a page, a small request takes their place: it is sent when nothing has
 *   arrived for `interval`, and the connection is given up if nothing arrives within `timeout` after it. Default 20 seconds each.
 * - `maxWaiting`: how many publications may wait for their acknowledgement; one more fails with `NotConnected`. Default 1,000.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never, ET = never, RT = never, L = E | ET>
  extends Omit<ReconnectingClient.ReconnectOptions<E, R, L>, "subprotocols" | "requireSubprotocol">
{
  readonly token?: Effect.Effect<string | Token, ET, RT> | undefined
  readonly heartbeat?:
    | false
    | { readonly interval?: Duration.Input | undefined; readonly timeout?: Duration.Input | undefined }
    | undefined
  readonly maxWaiting?: number | undefined
}

/**
 * A client of topics, made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TopicClient<out E = never> {
  /** What the connection is doing now. */
  readonly status: Effect.Effect<ReconnectingClient.Status<E>>
  /** What the connection is doing now, and every change until the client has ended. */
  readonly statuses: Stream.Stream<ReconnectingClient.Status<E>>
  /** Ends a wait: the next attempt to connect begins at once. For a button. */
  readonly retryNow: Effect.Effect<void>
  /** Ends the client, and closes the connection that is open by the closing handshake. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void, InvalidArgument>

  /**
   * The publications of a topic, in order, each once, for as long as the stream is read.
   *
   * Lost connections do not show: behind them it goes on where it was. Where that cannot be, there is a `Gap`. It fails with the loss
   * that ends the client and where the server refuses or ends the subscription; it ends after `close`.
   */
  readonly subscribe: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    options?: SubscribeOptions
  ) => Stream.Stream<
    Event<T>,
    Refusal<T> | ReconnectingClient.Loss<E>,
    T["publication"]["DecodingServices"] | T["snapshot"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  >

  /**
   * Publishes in a topic, and waits until it is applied.
   *
   * It is sent again under its key on as many connections as it takes. `NotConnected`: it was certainly not applied.
   * `PublishUnknown`: it was sent, and neither acknowledged nor refused in time. Publications that are under way at the same time are
   * sent in the order in which they began.
   */
  readonly publish: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    value: T["publication"]["Type"],
    options?: PublishOptions
  ) => Effect.Effect<
    Acknowledged,
    Refusal<T> | PublishUnknown | NotConnected | Schema.SchemaError,
    T["publication"]["EncodingServices"] | T["refusal"]["DecodingServices"]
  >

  /**
   * Sends a signal to those who are subscribed now. It is dropped where there is no connection, and replaced by a later one
   * of the same topic while it waits. Nothing is told of its fate.
   */
  readonly signal: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    value: T["signal"]["Type"]
  ) => Effect.Effect<void, Schema.SchemaError | TopicError, T["signal"]["EncodingServices"]>

  /** The signals of a topic, while the client is connected. A reader that is behind misses the oldest of `bufferSize`, by default 64. */
  readonly signals: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    options?: { readonly bufferSize?: number | undefined }
  ) => Stream.Stream<
    Signal<T["signal"]["Type"]>,
    Refusal<T> | ReconnectingClient.Loss<E>,
    T["signal"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  >

  /**
   * Is present in a topic as `member` until the scope ends, on each connection. It completes when the server has accepted
   * it. Of several presences of one client in one topic, the last one counts.
   */
  readonly join: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>,
    member: string,
    value: T["member"]["Type"]
  ) => Effect.Effect<
    Joined<Refusal<T> | NotConnected | ReconnectingClient.Loss<E>>,
    Refusal<T> | NotConnected | Schema.SchemaError | ReconnectingClient.Loss<E>,
    Scope.Scope | T["member"]["EncodingServices"] | T["refusal"]["DecodingServices"]
  >

  /** Who is present in a topic, now and after each change. A reader that is behind gets the newest state. */
  readonly presence: <T extends Topic.Any>(
    family: T,
    params: Topic.Params<T>
  ) => Stream.Stream<
    Present<T["member"]["Type"]>,
    Refusal<T> | ReconnectingClient.Loss<E>,
    T["member"]["DecodingServices"] | T["refusal"]["DecodingServices"]
  >
}

/**
 * Begins to connect to a server of topics, and keeps a connection until the scope ends.
 *
 * **Details**
 *
 * `make` itself never fails: a first attempt that fails is followed by others, as `ReconnectingClient` says. A loss that another attempt
 * cannot mend ends the client, and with it every subscription: a server without topics (`ContractMismatch`), a message that
 * breaks the subprotocol (`InvalidMessage`), a token that is refused twice (`TopicError`), a failure of the program's Effects.
 *
 * **Example** (A token that is refreshed on the connection)
 *
 * ```ts
 * import { TopicClient } from "@effect-ws/core/realtime"
 * import { Effect } from "effect"
 *
 * export const connect = <E>(token: Effect.Effect<string, E>) =>
 *   TopicClient.make("wss://chat.example/topics", {
 *     token: Effect.map(token, (token) => ({ token, refreshAfter: "4 minutes" }))
 *   })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <EU = never, RU = never, E = never, R = never, ET = never, RT = never>(
  url: Value<string | URL, EU, RU>,
  options: Options<E, R, ET, RT, EU | E | ET | ContractMismatch | InvalidMessage | TopicError> = {}
): Effect.Effect<
  TopicClient<EU | E | ET | ContractMismatch | InvalidMessage | TopicError>,
  never,
  WebSocketClient.Connector | Scope.Scope | Exclude<RU | R | RT, Scope.Scope>
> => {
  type Errors = EU | E | ET | ContractMismatch | InvalidMessage | TopicError
  const { heartbeat: asked, maxWaiting = 1000, token, ...rest } = options
  const { keepAlive } = Limits.make({ keepAlive: asked })
  return Effect.gen(function*() {
    const context = yield* Effect.context<Exclude<RT, Scope.Scope>>()
    const tokens = token === undefined ? undefined : Effect.provideContext(token, context) as Effect.Effect<string | Token, ET>
    const greetings = new WeakMap<WebSocket, Greeting>()
    const plan = yield* planned<Errors, RU | R>(dial(TopicsContract), url, rest, (ws) =>
      Effect.map(greet(ws, valuesOf(ws), tokens), (greeting) => {
        greetings.set(ws, greeting)
      }))
    const client = yield* Reconnect.make(plan, { whileAway: "fail", maxWaiting })

    const run = yield* FiberSet.makeRuntime<never>()
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const hub = new Hub<ReconnectingClient.Loss<Errors>>({
      later: (millis, f) => run(Effect.delay(Effect.sync(f), millis)),
      random: () => random.nextDoubleUnsafe(),
      now: () => ({ monotonic: Number(clock.monotonicTimeNanosUnsafe()) / 1e6, calendar: clock.currentTimeMillisUnsafe() })
    }, maxWaiting)
    yield* metered(hub)

    // Another connection would bring the same message, or the next one like it.
    const onInvalid = (error: InvalidMessage) => Effect.andThen(client.fail(error, error.code, error.reason), Effect.fail(error))
    const session = Effect.fnUntraced(function*(ws: WebSocket) {
      const { token, welcome } = greetings.get(ws)!
      const link = new Link(ws)
      yield* Effect.forkScoped(link.run, { startImmediately: true })
      yield* Effect.forkScoped(heartbeat(hub.calls, ws, keepAlive))
      yield* Effect.forkScoped(refresh(hub.calls, tokens, token, hub.expiring))
      yield* Effect.acquireRelease(
        Effect.sync(() => hub.opened(link, welcome)),
        () => Effect.sync(() => hub.closed(link))
      )
      return valuesOf(ws).values(ws.messages, onInvalid)
    })
    yield* Stream.runForEachArray(client.read((ws) => Stream.unwrap(session(ws))), (messages) =>
      Effect.sync(() => {
        for (const message of messages) hub.received(message)
      })).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => hub.finish(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? exit.cause : undefined))
        ),
        Effect.forkScoped({ startImmediately: true })
      )
    return new Client.Client<Errors>(client, hub)
  })
}

/** The messages of topics on a connection. */
const valuesOf = (ws: WebSocket): Values<ToClient, ToServer> =>
  // The handshake has agreed on the contract, whose Schemas need nothing.
  new Values(sideOf(TopicsContract, "client", ws.subprotocol)!, Context.empty())
