/**
 * Effect's `Socket` services on Node: `NodeSocket` of `@effect/platform-node`, whose WebSocket layers use the
 * connections of this library. TCP, TLS and Unix sockets are those of that module.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"
import { EffectSocket } from "@effect-ws/core"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as NodeWebSocketClient from "./NodeWebSocketClient.ts"

/**
 * @since 0.1.0
 */
export * from "@effect/platform-node/NodeSocket"

/**
 * Provides a `Socket` that connects to a URL for each reader; see
 * `EffectSocket.makeSocket`.
 *
 * **When to use**
 *
 * For `RpcClient.layerProtocolSocket` and other code that needs a `Socket`. URL, headers and subprotocols
 * may be Effects, for a fresh token at each connection. To connect through an `HttpClient` of your own,
 * provide `NodeWebSocketClient.layerHttpClient` to `EffectSocket.layerSocket`.
 *
 * **Example** (An RPC client over a WebSocket)
 *
 * ```ts
 * import { NodeSocket } from "@effect-ws/node"
 * import { Layer } from "effect"
 * import { RpcClient, RpcSerialization } from "effect/rpc"
 *
 * export const Protocol = RpcClient.layerProtocolSocket().pipe(
 *   Layer.provide([NodeSocket.layerWebSocket("ws://127.0.0.1:3000/rpc"), RpcSerialization.layerJson])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocket = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: EffectSocket.SocketOptions<E, R>
): Layer.Layer<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Layer.provide(EffectSocket.layerSocket(url, options), NodeWebSocketClient.layer)

/**
 * Provides a `Socket.WebSocketConstructor`, for code that needs one.
 *
 * **Gotchas**
 *
 * There is no write backpressure through this interface; see
 * `EffectSocket.layerWebSocketConstructor`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocketConstructor: Layer.Layer<Socket.WebSocketConstructor> = Layer.provide(
  EffectSocket.layerWebSocketConstructor(),
  NodeWebSocketClient.layer
)
