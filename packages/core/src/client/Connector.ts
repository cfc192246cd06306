/**
 * The interface between `WebSocketClient.connect` and the ways to reach a server.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CloseCodeFor } from "../CloseCode.ts"
import type { Observer } from "../connection/Observer.ts"
import type { HeadersInput } from "../http/HeadersInput.ts"
import type { HeaderList } from "../http/Tokens.ts"
import type * as Limits from "../Limits.ts"
import type { MessageExtension } from "../MessageExtension.ts"
import type * as Observability from "../Observability.ts"
import type * as PerMessageDeflate from "../PerMessageDeflate.ts"
import type * as WebSocket from "../WebSocket.ts"
import type { HandshakeError, IOError } from "../WebSocketError.ts"

/**
 * How to connect.
 *
 * **Details**
 *
 * - `subprotocols`: subprotocols to offer, the preferred first. If the server accepts none of
 *   them the handshake fails, unless `requireSubprotocol` is `false`.
 * - `headers`: other headers to send, a record or a list of pairs.
 * - `compression`: whether, or how, to offer permessage-deflate. Default true where the
 *   platform has a codec for it; Node has one.
 * - `extensions`: other extensions to offer before it. One of all is used.
 * - `closeCodeFor`: the code to close with if the scope ends with a typed failure; see
 *   `WebSocket.Options`.
 * - `observability`: comes before `Observability.CurrentOptions`.
 * - The other options are the limits of the connection; see `Limits.Options`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Limits.Options {
  readonly subprotocols?: string | ReadonlyArray<string> | undefined
  readonly requireSubprotocol?: boolean | undefined
  readonly headers?: HeadersInput | undefined
  readonly compression?: boolean | PerMessageDeflate.Options | undefined
  readonly extensions?: ReadonlyArray<MessageExtension> | undefined
  readonly closeCodeFor?: CloseCodeFor | undefined
  readonly observability?: Observability.Options | undefined
}

/**
 * What a {@link Connector} opened: a connection whose opening handshake is done.
 *
 * **Details**
 *
 * - `make`: makes the connection, by `WebSocket.make` over bytes, or by `WebSocket.makeMessages`
 *   on a platform's own WebSocket. The options are those of `connect` and what was negotiated.
 * - `subprotocol`: the one that the handshake negotiated.
 * - `responseHeaders`: the headers of the response that accepted, each line as it was received.
 *   Empty if the platform does not show them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened {
  readonly make: (
    options: Omit<WebSocket.Options, "extension">
  ) => Effect.Effect<WebSocket.WebSocket, never, Scope.Scope>
  readonly subprotocol: string | undefined
  readonly responseHeaders: HeaderList
}

/**
 * How `connect` reaches a server: performs the opening handshake and returns the connection.
 *
 * **When to use**
 *
 * A platform provides one. To connect through an HTTP client or a network of your own, make one
 * from a `Dialer` by `makeConnector`.
 *
 * **Details**
 *
 * `open` is interrupted when `handshakeTimeout` has passed. Its scope is that of the
 * connection, and is closed at once if the handshake fails. An option that a connector cannot
 * honour is a typed failure, never silently ignored.
 *
 * `observer` reports handshakes that fail. `makeConnector` gives it; without it they are reported where
 * `Observability.layer` is provided.
 *
 * @category services
 * @since 0.1.0
 */
export class Connector extends Context.Service<Connector, {
  readonly open: (
    url: string | URL,
    options: ConnectOptions
  ) => Effect.Effect<Opened, HandshakeError | IOError, Scope.Scope>
  readonly observer?: Observer | undefined
}>()("@effect-ws/core/WebSocketClient/Connector") {}
