/** The two sides of a contract, as types. */
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type * as WebSocket from "../WebSocket.ts"
import type { IOError, ProtocolError } from "../WebSocketError.ts"
import type * as Definition from "./Definition.ts"
import type { InvalidMessage } from "./InvalidMessage.ts"
import type { Prepared } from "./Prepared.ts"
import type { OnInvalid } from "./Values.ts"

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
