/**
 * What two sides send each other, as Schemas in one value that both import. Connections carry
 * values, and the subprotocol negotiates the codec.
 *
 * **Example** (Both sides of a service)
 *
 * ```ts
 * import { Contract } from "@effect-ws/core"
 * import { Effect, Schema, Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * export const Clock = Contract.make("clock.v1", {
 *   toServer: Schema.TaggedStruct("Ask", { zone: Schema.String }),
 *   toClient: Schema.TaggedStruct("Time", { at: Schema.DateTimeUtcFromMillis })
 * })
 *
 * export const route = (now: (zone: string) => Effect.Effect<typeof Clock.toClient.Type>) =>
 *   HttpRouter.add(
 *     "GET",
 *     "/clock",
 *     Contract.handle(Clock, (connection) =>
 *       connection.messages.pipe(
 *         Stream.mapEffect(({ zone }) => now(zone)),
 *         Stream.run(connection.sink)
 *       ))
 *   )
 *
 * export const client = Effect.gen(function*() {
 *   const connection = yield* Contract.connect(Clock, "wss://clock.example/clock")
 *   yield* connection.send({ _tag: "Ask", zone: "Europe/Rome" })
 *   return yield* connection.receive
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import * as Codecs from "./contract/Codec.ts"
import { ValueConnection } from "./contract/Connection.ts"
import * as Definition from "./contract/Definition.ts"
import { dial } from "./contract/Dial.ts"
import { InvalidMessage } from "./contract/InvalidMessage.ts"
import { ContractMismatch } from "./contract/Mismatch.ts"
import { Prepared } from "./contract/Prepared.ts"
import { ReconnectingValues } from "./contract/ReconnectingValues.ts"
import type { OnInvalid } from "./contract/Values.ts"
import type { Message } from "./Message.ts"
import * as ReconnectClient from "./reconnect/Client.ts"
import type { Value } from "./client/Value.ts"
import { planned } from "./reconnect/Plan.ts"
import * as ReconnectRun from "./reconnect/Run.ts"
import type * as ReconnectingClient from "./ReconnectingClient.ts"
import type * as WebSocket from "./WebSocket.ts"
import type * as WebSocketClient from "./WebSocketClient.ts"
import type {
  DeliveryUnknown,
  HandshakeError,
  InvalidArgument,
  IOError,
  NotConnected,
  ProtocolError
} from "./WebSocketError.ts"
import * as WebSocketServer from "./WebSocketServer.ts"

export {
  /**
   * The peer sent a message that is not what the contract says.
   *
   * @category errors
   * @since 0.1.0
   */
  InvalidMessage
} from "./contract/InvalidMessage.ts"
export {
  /**
   * The server speaks another version of the contract, or another codec.
   *
   * @category errors
   * @since 0.1.0
   */
  ContractMismatch
} from "./contract/Mismatch.ts"
export type {
  /**
   * How the values of a Schema become messages and back. {@link json}, {@link binary}, or one of
   * your own by {@link codec}.
   *
   * @category models
   * @since 0.1.0
   */
  Codec
} from "./contract/Codec.ts"
export type {
  /**
   * What two sides send each other, made by {@link make}.
   *
   * @category models
   * @since 0.1.0
   */
  Contract,
  /**
   * Any contract.
   *
   * @category models
   * @since 0.1.0
   */
  Any
} from "./contract/Definition.ts"
export {
  /**
   * A value that is encoded once for each codec and sent to many, made by {@link prepare}.
   *
   * @category models
   * @since 0.1.0
   */
  Prepared
} from "./contract/Prepared.ts"
export type {
  /**
   * What happens to a bad message.
   *
   * **Details**
   *
   * - `"close"`: the connection is closed with 1007 or 1008 and a reason that names the place in the
   *   value, never its content. The reader fails with {@link InvalidMessage}.
   * - a function: it gets the error, the message is skipped, and reading goes on.
   *
   * `results` delivers bad messages as values instead.
   *
   * @category models
   * @since 0.1.0
   */
  OnInvalid
} from "./contract/Values.ts"

/**
 * Messages as JSON text, by the canonical JSON codec of the Schemas (`Schema.toCodecJson`).
 *
 * @category codecs
 * @since 0.1.0
 */
export const json: Codecs.Codec = Codecs.json

/**
 * Messages in Effect's compact binary codec (`SchemaBinary`).
 *
 * @category codecs
 * @since 0.1.0
 */
export const binary: Codecs.Codec = Codecs.binary

/**
 * Makes a codec: `toMessage` turns a Schema into one whose encoded side is a message, text or bytes.
 *
 * **Details**
 *
 * `name` becomes part of the subprotocol. It throws if `name` is not a token.
 *
 * **Example** (JSON with a marker before it)
 *
 * ```ts
 * import { Contract } from "@effect-ws/core"
 * import { Schema, SchemaTransformation } from "effect"
 *
 * export const marked = Contract.codec("marked", (schema) =>
 *   Schema.String.pipe(
 *     Schema.decodeTo(
 *       Schema.fromJsonString(Schema.toCodecJson(schema)),
 *       SchemaTransformation.transform({ decode: (text) => text.slice(1), encode: (text) => `>${text}` })
 *     )
 *   ))
 * ```
 *
 * @category codecs
 * @since 0.1.0
 */
export const codec: (
  name: string,
  toMessage: <S extends Schema.Constraint>(
    schema: S
  ) => Schema.ConstraintCodec<S["Type"], Message, S["DecodingServices"], S["EncodingServices"]>
) => Codecs.Codec = Codecs.make

/**
 * Makes a contract, to be imported by both sides.
 *
 * **Details**
 *
 * - `toServer`, `toClient`: what each side sends.
 * - `codecs`: how values become messages, the preferred codec first. Default JSON.
 *
 * The subprotocols are `name+codec`, such as `chat.v1+json`, so the handshake decides about both. Put
 * a version into the name. It throws if `name` is not a token (letters, digits, `.`, `-`, `_`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  ToServer extends Schema.Constraint,
  ToClient extends Schema.Constraint
>(
  name: Name,
  { codecs = [json], toClient, toServer }: {
    readonly toServer: ToServer
    readonly toClient: ToClient
    readonly codecs?: ReadonlyArray<Codecs.Codec> | undefined
  }
): Definition.Contract<Name, ToServer, ToClient> => Definition.make(name, toServer, toClient, codecs)

/**
 * A connection whose messages are values.
 *
 * **Details**
 *
 * Each message is decoded by itself: a bad one does not affect those that arrived with it. A value that
 * cannot be encoded fails with `SchemaError`, and nothing of it is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<out Name extends string, out In, in Out> {
  /** The name of the contract that was agreed on. */
  readonly name: Name
  /** The name of the codec that was agreed on. */
  readonly codec: string
  /** The connection that carries the values. */
  readonly ws: WebSocket.WebSocket

  /** All values until the connection ends; fails with `InvalidMessage` if a bad message closes it. */
  readonly messages: Stream.Stream<In, ProtocolError | IOError | InvalidMessage>
  /** The same, with each bad message as a value in its place. The connection stays open. */
  readonly results: Stream.Stream<Result.Result<In, InvalidMessage>, ProtocolError | IOError>
  /** The next value. */
  readonly receive: Effect.Effect<In, WebSocket.ReceiveError | InvalidMessage>

  /** Sends a value, or one that `prepare` encoded for many connections. */
  readonly send: (value: Out | Prepared<Out>) => Effect.Effect<void, WebSocket.SendError | Schema.SchemaError>
  /** Sends values in order, in as few writes as possible. Those before one that cannot be encoded are sent. */
  readonly sendAll: (
    values: Iterable<Out | Prepared<Out>>
  ) => Effect.Effect<void, WebSocket.SendError | Schema.SchemaError>
  /** Sends every value that flows into it. */
  readonly sink: Sink.Sink<void, Out | Prepared<Out>, never, WebSocket.SendError | Schema.SchemaError>
}

/**
 * The server's side of a contract; of several, narrow it by `name`.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerConnection<C extends Definition.Any> = C extends Definition.Any
  ? Connection<C["name"], C["toServer"]["Type"], C["toClient"]["Type"]>
  : never

/**
 * The client's side of a contract.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientConnection<C extends Definition.Any> = C extends Definition.Any
  ? Connection<C["name"], C["toClient"]["Type"], C["toServer"]["Type"]>
  : never

/**
 * What the Schemas of a contract need on a server.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerServices<C extends Definition.Any> =
  | C["toServer"]["DecodingServices"]
  | C["toClient"]["EncodingServices"]

/**
 * What the Schemas of a contract need on a client.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientServices<C extends Definition.Any> =
  | C["toClient"]["DecodingServices"]
  | C["toServer"]["EncodingServices"]

/**
 * What happens to a bad message on this side. Default `"close"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ValueOptions {
  readonly onInvalid?: OnInvalid | undefined
}

/**
 * How a connection is accepted: `WebSocketServer.AcceptOptions` without the subprotocol.
 *
 * **Details**
 *
 * - `requireSubprotocol`: `false` accepts a client that offers no subprotocol at all, such as a script or
 *   a command line, with the first codec of the first contract. Default true.
 *
 * @category models
 * @since 0.1.0
 */
export interface AcceptOptions
  extends Omit<WebSocketServer.AcceptOptions, "selectSubprotocol" | "requireSubprotocol">, ValueOptions
{
  readonly requireSubprotocol?: boolean | undefined
}

type OneOrMore<C> = C | ReadonlyArray<C>

const listOf = <C extends Definition.Any>(contracts: OneOrMore<C>): ReadonlyArray<C> =>
  "name" in contracts ? [contracts] : contracts

const subprotocolsOf = (contracts: ReadonlyArray<Definition.Any>): ReadonlyArray<string> =>
  contracts.flatMap(({ subprotocols }) => subprotocols)

/** A connection as a side of the contract that its subprotocol names. */
const over = <A>(
  contracts: ReadonlyArray<Definition.Any>,
  ws: WebSocket.WebSocket,
  { onInvalid = "close", requireSubprotocol = true }: Pick<AcceptOptions, "onInvalid" | "requireSubprotocol"> = {}
): Effect.Effect<A, ContractMismatch> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const subprotocol = ws.subprotocol ?? (requireSubprotocol ? undefined : contracts[0]?.subprotocols[0])
    for (const contract of contracts) {
      const side = Definition.sideOf(contract, ws.role, subprotocol)
      if (side === undefined) continue
      // The types of the values are those of the contract.
      return Effect.succeed(new ValueConnection(ws, contract.name, side, context, onInvalid) as A)
    }
    const spoken = ws.subprotocol === undefined ? [] : [ws.subprotocol]
    return Effect.fail(new ContractMismatch({ offered: subprotocolsOf(contracts), spoken }))
  })

/**
 * The server's side over a connection that is open already.
 *
 * **When to use**
 *
 * Where a connection was not accepted by {@link accept}: by `NodeWebSocketServer.layer`, or in a test
 * by `TestWebSocket.pair`.
 *
 * **Details**
 *
 * Fails with `ContractMismatch` if its subprotocol is none of the contract's, or of the contracts'.
 *
 * @category constructors
 * @since 0.1.0
 */
export const server = <C extends Definition.Any>(
  contracts: OneOrMore<C>,
  ws: WebSocket.WebSocket,
  options?: Pick<AcceptOptions, "onInvalid" | "requireSubprotocol">
): Effect.Effect<ServerConnection<C>, ContractMismatch, ServerServices<C>> => over(listOf(contracts), ws, options)

/**
 * The client's side over a connection that is open already, such as that of a session of
 * `ReconnectingClient.run`.
 *
 * **Details**
 *
 * Fails with `ContractMismatch` if its subprotocol is none of the contract's.
 *
 * @category constructors
 * @since 0.1.0
 */
export const client = <C extends Definition.Any>(
  contract: C,
  ws: WebSocket.WebSocket,
  options?: ValueOptions
): Effect.Effect<ClientConnection<C>, ContractMismatch, ClientServices<C>> => over([contract], ws, options)

/**
 * Accepts the current request as a connection of a contract, or of one of several: the first that
 * the client offers.
 *
 * **When to use**
 *
 * In a route that decides for itself what to answer. {@link handle} is the short form.
 *
 * **Details**
 *
 * A client that offers none of them is refused with 400 before the connection is made. The answer
 * lists the server's subprotocols, in its body and in `Sec-WebSocket-Protocol`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accept = <C extends Definition.Any>(
  contracts: OneOrMore<C>,
  options: AcceptOptions = {}
): Effect.Effect<
  ServerConnection<C>,
  Effect.Error<ReturnType<typeof WebSocketServer.accept>>,
  Effect.Services<ReturnType<typeof WebSocketServer.accept>> | ServerServices<C>
> => {
  const list = listOf(contracts)
  return Effect.flatMap(
    WebSocketServer.accept(acceptOptions(list, options)),
    (ws) => Effect.orDie(over<ServerConnection<C>>(list, ws, options))
  )
}

const acceptOptions = (
  contracts: ReadonlyArray<Definition.Any>,
  options: AcceptOptions
): WebSocketServer.AcceptOptions => ({
  ...options,
  selectSubprotocol: subprotocolsOf(contracts),
  requireSubprotocol: options.requireSubprotocol === false ? "ifOffered" : true
})

/**
 * A route's handler that accepts a connection of a contract, or of one of several, and runs `f`
 * with it.
 *
 * **Details**
 *
 * Works as `WebSocketServer.handle` does. An `InvalidMessage` that `f` lets through is the peer's fault: it
 * is logged at Debug and is not a failure of the handler.
 *
 * **Example** (Two versions at once)
 *
 * ```ts
 * import { Contract } from "@effect-ws/core"
 * import { Schema, Stream } from "effect"
 *
 * const V1 = Contract.make("greeter.v1", { toServer: Schema.String, toClient: Schema.String })
 * const V2 = Contract.make("greeter.v2", {
 *   toServer: Schema.Struct({ name: Schema.String }),
 *   toClient: Schema.Struct({ greeting: Schema.String })
 * })
 *
 * export const greet = Contract.handle([V2, V1], (connection) =>
 *   connection.name === "greeter.v2"
 *     ? connection.messages.pipe(
 *       Stream.map(({ name }) => ({ greeting: `hello ${name}` })),
 *       Stream.run(connection.sink)
 *     )
 *     : connection.messages.pipe(Stream.map((name) => `hello ${name}`), Stream.run(connection.sink)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle = <C extends Definition.Any, A, E, R>(
  contracts: OneOrMore<C>,
  f: (connection: ServerConnection<C>) => Effect.Effect<A, E, R>,
  options: AcceptOptions = {}
) => {
  const list = listOf(contracts)
  return WebSocketServer.handle(
    (ws): Effect.Effect<A | void, Exclude<E, InvalidMessage>, R | ServerServices<C>> =>
      Effect.orDie(over<ServerConnection<C>>(list, ws, options)).pipe(
        Effect.flatMap(f),
        Effect.catchIf(
          (error): error is Extract<E, InvalidMessage> => error instanceof InvalidMessage,
          (error) => Effect.logDebug("WebSocket connection ended", error)
        )
      ) as Effect.Effect<A | void, Exclude<E, InvalidMessage>, R | ServerServices<C>>,
    acceptOptions(list, options)
  )
}

/**
 * How to connect: `WebSocketClient.ConnectOptions` without the subprotocols.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions
  extends Omit<WebSocketClient.ConnectOptions, "subprotocols" | "requireSubprotocol">, ValueOptions
{}

/**
 * Connects to a server that speaks a contract. The scope holds the connection.
 *
 * **Details**
 *
 * Fails as `WebSocketClient.connect` does, and with `ContractMismatch` if the server speaks another
 * version of the contract.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = <C extends Definition.Any>(
  contract: C,
  url: string | URL,
  { onInvalid, ...options }: ConnectOptions = {}
): Effect.Effect<
  ClientConnection<C>,
  HandshakeError | IOError | ContractMismatch,
  WebSocketClient.Connector | Scope.Scope | ClientServices<C>
> => Effect.flatMap(dial(contract)(url, options), (ws) => Effect.orDie(over<ClientConnection<C>>([contract], ws, { onInvalid })))

/**
 * Prepares a value that a server sends to many clients: it is encoded once for each codec, and each
 * message once for each way in which connections encode, as `Message.prepare` does.
 *
 * **Example** (Sending one value to all)
 *
 * ```ts
 * import { Contract } from "@effect-ws/core"
 * import { Effect, Schema } from "effect"
 *
 * const News = Contract.make("news", { toServer: Schema.Never, toClient: Schema.String })
 *
 * export const tellAll = (all: Iterable<Contract.ServerConnection<typeof News>>, news: string) => {
 *   const prepared = Contract.prepare(News, news)
 *   return Effect.forEach(all, (connection) => Effect.ignore(connection.send(prepared)), { discard: true })
 * }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepare = <C extends Definition.Any>(
  contract: C,
  value: C["toClient"]["Type"]
): Prepared<C["toClient"]["Type"]> => new Prepared(contract, value)

/**
 * A client that comes back whose messages are values; see `ReconnectingClient.ReconnectingClient`, which
 * has the same names.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReconnectingConnection<out In, in Out, out E = never> {
  /** What it is doing now. */
  readonly status: Effect.Effect<ReconnectingClient.Status<E>>
  /** What it is doing now, and every change until it has ended. */
  readonly statuses: Stream.Stream<ReconnectingClient.Status<E>>
  /** The values of all connections, in order, each delivered once; kept as the messages of a `ReconnectingClient` are. One reader at a time. */
  readonly messages: Stream.Stream<In, ReconnectingClient.Loss<E>>
  /** The same, with each bad message as a value in its place. */
  readonly results: Stream.Stream<Result.Result<In, InvalidMessage>, ReconnectingClient.Loss<E>>
  /** Sends a value. Without a connection it waits for the next one, fails or drops it, as the options say. */
  readonly send: (
    value: Out | Prepared<Out>,
    options?: ReconnectingClient.SendOptions
  ) => Effect.Effect<void, NotConnected | DeliveryUnknown | Schema.SchemaError>
  /** Sends every value that flows into it. */
  readonly sink: Sink.Sink<void, Out | Prepared<Out>, never, NotConnected | DeliveryUnknown | Schema.SchemaError>
  /** Waits until the transport has taken everything that was sent. */
  readonly flush: Effect.Effect<void, DeliveryUnknown>
  /** How many values were dropped: sent while there was no connection, or received and not read in time. */
  readonly dropped: Effect.Effect<number>
  /** Ends a wait: the next attempt begins at once. */
  readonly retryNow: Effect.Effect<void>
  /** Ends the client, and closes the connection that is open by the closing handshake. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void, InvalidArgument>
  /** The client that carries the values. */
  readonly client: ReconnectingClient.ReconnectingClient<E>
}

/**
 * A client that comes back to a server that speaks a contract: {@link connect} and
 * `ReconnectingClient.make` in one.
 *
 * **Details**
 *
 * A server that speaks another version ends the client with `ContractMismatch`. A bad message ends it
 * with `InvalidMessage` by default, since another connection would bring the same.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reconnecting = <C extends Definition.Any, EU = never, RU = never, E = never, R = never, EO = never, RO = never>(
  contract: C,
  url: Value<string | URL, EU, RU>,
  options: Omit<
    ReconnectingClient.ReconnectOptions<E, R, EU | E | EO | ContractMismatch | InvalidMessage>,
    "subprotocols" | "requireSubprotocol"
  > & ValueOptions & {
    readonly onOpen?: ((connection: ClientConnection<C>) => Effect.Effect<void, EO, RO>) | undefined
    readonly whileAway?: "wait" | "fail" | "drop" | undefined
    readonly maxWaiting?: number | undefined
  } = {}
): Effect.Effect<
  ReconnectingConnection<
    C["toClient"]["Type"],
    C["toServer"]["Type"],
    EU | E | EO | ContractMismatch | InvalidMessage
  >,
  never,
  WebSocketClient.Connector | Scope.Scope | Exclude<RU | R | RO | ClientServices<C>, Scope.Scope>
> => {
  type Errors = EU | E | EO | ContractMismatch | InvalidMessage
  const { maxWaiting = 1000, onInvalid = "close", onOpen, whileAway = "wait", ...rest } = options
  const opened = onOpen === undefined ? undefined : (ws: WebSocket.WebSocket) =>
    Effect.flatMap(Effect.orDie(over<ClientConnection<C>>([contract], ws, { onInvalid })), onOpen)
  return Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    const plan = yield* planned<Errors, RU | R | RO>(dial(contract), url, rest, opened)
    const client = yield* ReconnectClient.make(plan, { whileAway, maxWaiting })
    return new ReconnectingValues<C["toClient"]["Type"], C["toServer"]["Type"], Errors>(client, contract, context, onInvalid)
  })
}

/**
 * Runs a session with each connection to a server that speaks a contract, one after the other:
 * `ReconnectingClient.run` with values.
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <C extends Definition.Any, A, ES, RS, EU = never, RU = never, E = never, R = never>(
  contract: C,
  url: Value<string | URL, EU, RU>,
  session: (connection: ClientConnection<C>) => Effect.Effect<A, ES, RS>,
  options: Omit<
    ReconnectingClient.ReconnectOptions<E, R, EU | E | ES | ContractMismatch>,
    "subprotocols" | "requireSubprotocol"
  > & ValueOptions & {
    readonly onStatus?: ((status: ReconnectingClient.Status<EU | E | ES | ContractMismatch>) => Effect.Effect<void>) | undefined
  } = {}
): Effect.Effect<
  A,
  ReconnectingClient.Loss<EU | E | ES | ContractMismatch>,
  WebSocketClient.Connector | Exclude<RU | R | RS | ClientServices<C>, Scope.Scope>
> => {
  const { onInvalid, onStatus: report = () => Effect.void, ...rest } = options
  return Effect.flatMap(
    planned<EU | E | ES | ContractMismatch, RU | R>(dial(contract), url, rest),
    (plan) =>
      ReconnectRun.run({ ...plan, report }, (ws) =>
        Effect.flatMap(over<ClientConnection<C>>([contract], ws, { onInvalid }), session))
  )
}
