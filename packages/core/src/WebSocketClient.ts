/**
 * Connecting to a WebSocket server, in the way that the layer of a {@link Connector} says: through
 * Effect's `HttpClient`, by Node's sockets, over HTTP/2, or by the platform's own WebSocket.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Awaited, makeAwaited } from "./client/Awaited.ts"
import { type ConnectOptions, Connector } from "./client/Connector.ts"
import { ProvidedObserver } from "./connection/Observer.ts"
import { acquiring } from "./connection/TransportScope.ts"
import * as Limits from "./Limits.ts"
import * as Deadlines from "./runtime/Deadlines.ts"
import type * as WebSocket from "./WebSocket.ts"
import { type HandshakeError, IOError } from "./WebSocketError.ts"

export { Awaited, type AwaitedPeer, awaiting, makeAwaited } from "./client/Awaited.ts"
export { connectError } from "./client/ConnectError.ts"
export { type ConnectOptions, Connector, type Opened } from "./client/Connector.ts"
export { layerHttpClient, makeHttpDialer, readRefusal, type TakeOver } from "./client/HttpDialer.ts"
export { type Dialed, type Dialer, makeConnector, notSwitched } from "./client/HttpHandshake.ts"

/**
 * Connects to a WebSocket server. The scope holds the connection: releasing it
 * performs the closing handshake.
 *
 * **Details**
 *
 * `url` is ws, wss, http or https, or relative to the base URL of the `HttpClient` or of the page.
 * Fails with `HandshakeError` if the server refuses, or sends an answer that RFC 6455 does not
 * allow (the error carries the answer: status, headers, the first 8 KiB of its body), and with
 * `IOError` if the server cannot be reached (phase `connect`) or does not answer in time (phase
 * `handshake`). A platform's own WebSocket does not tell a refusal: see `NativeWebSocketClient`.
 *
 * **Example** (A first client)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("wss://feed.example/ticks", { subprotocols: ["ticks.v2"] })
 *   yield* ws.send("subscribe")
 *   yield* ws.messages.pipe(Stream.runForEach((message) => Effect.log(message)))
 * }).pipe(
 *   Effect.scoped,
 *   Effect.catchTag("HandshakeError", (error) => Effect.log(`refused: ${error.message}`))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  url: string | URL,
  options: ConnectOptions = {}
): Effect.Effect<WebSocket.WebSocket, HandshakeError | IOError, Connector | Scope.Scope> =>
  Effect.gen(function*() {
    const connector = yield* Connector
    const observer = connector.observer ?? (yield* ProvidedObserver)
    const limits = Limits.make(options)
    const awaited = makeAwaited()
    const opening = Deadlines.timeoutOption(connector.open(url, options), limits.handshakeTimeout).pipe(
      Effect.provideService(Awaited, awaited),
      Effect.flatMap((opened) =>
        opened._tag === "Some" ? Effect.succeed(opened.value) : Effect.fail(unanswered(limits.handshakeTimeout, awaited.name()))
      )
    )
    const connecting = (attributes?: WebSocket.Options["attributes"]) =>
      acquiring(opening, ({ make, ...agreed }) => make({ ...options, ...agreed, role: "client", attributes }))
    return yield* observer === undefined ? connecting() : observer.connecting(url, options.observability, connecting)
  })

const unanswered = (millis: number, peer: string | undefined): IOError =>
  new IOError({
    phase: "handshake",
    reason: "TimedOut",
    detail: `The handshake took longer than ${millis} ms (handshakeTimeout): no answer from ${peer ?? "the server"}`
  })
