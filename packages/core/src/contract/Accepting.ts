/** The server's side: a connection that is accepted, and a route's handler. */
import * as Effect from "effect/Effect"
import type * as WebSocket from "../WebSocket.ts"
import * as WebSocketServer from "../WebSocketServer.ts"
import type * as Definition from "./Definition.ts"
import { InvalidMessage } from "./InvalidMessage.ts"
import type { ContractMismatch } from "./Mismatch.ts"
import { listOf, type OneOrMore, overOneOf, subprotocolsOf } from "./Over.ts"
import type { ServerConnection, ServerServices, ValueOptions } from "./Sides.ts"

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
): Effect.Effect<ServerConnection<C>, ContractMismatch, ServerServices<C>> => overOneOf(listOf(contracts), ws, options)

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
    (ws) => Effect.orDie(overOneOf<ServerConnection<C>>(list, ws, options))
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
      Effect.orDie(overOneOf<ServerConnection<C>>(list, ws, options)).pipe(
        Effect.flatMap(f),
        Effect.catchIf(
          (error): error is Extract<E, InvalidMessage> => error instanceof InvalidMessage,
          (error) => Effect.logDebug("WebSocket connection ended", error)
        )
      ) as Effect.Effect<A | void, Exclude<E, InvalidMessage>, R | ServerServices<C>>,
    acceptOptions(list, options)
  )
}
