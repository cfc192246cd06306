/** The client's side: one connection, and a client that comes back. */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { Value } from "../client/Value.ts"
import * as ReconnectClient from "../reconnect/Client.ts"
import { planned } from "../reconnect/Plan.ts"
import * as ReconnectRun from "../reconnect/Run.ts"
import type * as ReconnectingClient from "../ReconnectingClient.ts"
import type * as WebSocket from "../WebSocket.ts"
import type * as WebSocketClient from "../WebSocketClient.ts"
import type { DeliveryUnknown, HandshakeError, InvalidArgument, IOError, NotConnected } from "../WebSocketError.ts"
import type * as Definition from "./Definition.ts"
import { dial } from "./Dial.ts"
import type { InvalidMessage } from "./InvalidMessage.ts"
import type { ContractMismatch } from "./Mismatch.ts"
import { over } from "./Over.ts"
import type { Prepared } from "./Prepared.ts"
import { ReconnectingValues } from "./ReconnectingValues.ts"
import type { ClientConnection, ClientServices, ValueOptions } from "./Sides.ts"

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
): Effect.Effect<ClientConnection<C>, ContractMismatch, ClientServices<C>> => over(contract, ws, options)

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
> => Effect.flatMap(dial(contract)(url, options), (ws) => Effect.orDie(over<ClientConnection<C>>(contract, ws, { onInvalid })))

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
    Effect.flatMap(Effect.orDie(over<ClientConnection<C>>(contract, ws, { onInvalid })), onOpen)
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
        Effect.flatMap(over<ClientConnection<C>>(contract, ws, { onInvalid }), session))
  )
}
