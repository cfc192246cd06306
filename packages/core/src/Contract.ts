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
import type * as Schema from "effect/Schema"
import * as Codecs from "./contract/Codec.ts"
import * as Definition from "./contract/Definition.ts"
import { Prepared } from "./contract/Prepared.ts"
import type { Message } from "./Message.ts"

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
export { accept, type AcceptOptions, handle, server } from "./contract/Accepting.ts"
export {
  client,
  connect,
  type ConnectOptions,
  reconnecting,
  type ReconnectingConnection,
  run
} from "./contract/Connecting.ts"
export type {
  ClientConnection,
  ClientServices,
  Connection,
  ServerConnection,
  ServerServices,
  ValueOptions
} from "./contract/Sides.ts"

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
