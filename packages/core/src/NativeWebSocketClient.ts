/**
 * Connecting by the platform's own WebSocket: in pages and workers, and on Deno, Bun, Node and
 * Cloudflare Workers.
 *
 * The platform frames the messages; the connection is the same `WebSocket`, as far as
 * `WebSocket.capabilities` go. A program does not say how it connects: it uses
 * `WebSocketClient.connect`, and gets one of these layers.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Connector } from "./client/Connector.ts"
import { beating } from "./connection/HeartbeatTimer.ts"
import { makeWriter } from "./connection/SlowConsumer.ts"
import type { Heartbeat } from "./MessageTransport.ts"
import type { WebSocketLike } from "./native/EventTransport.ts"
import { type ConnectorOptions, dialEvents, dialStream, headersOf, makeConnector } from "./native/NativeConnector.ts"
import { platformGlobal } from "./native/PlatformGlobal.ts"
import type { WebSocketStreamLike } from "./native/StreamTransport.ts"

export type { WebSocketLike } from "./native/EventTransport.ts"
export type { WebSocketStreamLike } from "./native/StreamTransport.ts"

/**
 * How to dial.
 *
 * **Details**
 *
 * - `headers`: the constructor takes `{ protocols, headers }`, as those of Bun, Deno and Node do.
 *   Default false, as in pages: then headers that are given to `connect` fail with
 *   `HandshakeError`, reason `OptionUnsupported`.
 * - `heartbeat`: a keepalive by messages, because no platform sends Pings for a program. It is sent
 *   every `keepAlive.interval`, and its answer must come within `keepAlive.timeout`. Without it there
 *   is no keepalive on this side.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly headers?: boolean | undefined
  readonly heartbeat?: Heartbeat | undefined
}

type Constructor = new(
  url: string,
  options: ReadonlyArray<string> | { readonly protocols: ReadonlyArray<string>; readonly headers: object }
) => WebSocketLike

type StreamConstructor = new(
  url: string,
  options: { readonly protocols: ReadonlyArray<string>; readonly signal: AbortSignal }
) => WebSocketStreamLike

const missing = (name: string) => new Error(`This platform has no ${name}`)

const events = (own: ConnectorOptions): Connector["Service"] =>
  makeConnector(
    dialEvents(({ headers, subprotocols, url }) => {
      // Looked up for each connection, because a test may replace it.
      const WebSocket = Option.getOrThrowWith(platformGlobal<Constructor>("WebSocket"), () => missing("WebSocket"))
      return new WebSocket(url, headers === undefined ? subprotocols : { protocols: subprotocols, headers })
    }),
    own
  )

/**
 * Dials by `globalThis.WebSocket`.
 *
 * **Gotchas**
 *
 * It cannot be paused: messages that the program does not read are kept, up to
 * `Limits.Options.maxUnread`. See {@link layerStream}.
 *
 * Senders wait for a slow peer: for another `slowConsumer` use {@link layerOptions}.
 *
 * The platform reports neither the status of a refusal nor why a server was not reached: both fail with
 * `IOError`, phase `connect`, reason `Unknown`.
 *
 * **Example** (The client of a page)
 *
 * ```ts
 * import { NativeWebSocketClient, WebSocketClient } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const ws = yield* WebSocketClient.connect("/feed")
 *   yield* ws.messages.pipe(Stream.runForEach((message) => Effect.log(message)))
 * }).pipe(Effect.scoped, Effect.provide(NativeWebSocketClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Connector> = Layer.sync(Connector, () => events({}))

/**
 * The same with options, and with every `slowConsumer`.
 *
 * **Example** (Headers on Bun, Deno and Node, and a heartbeat)
 *
 * ```ts
 * import { NativeWebSocketClient } from "@effect-ws/core"
 *
 * export const Client = NativeWebSocketClient.layerOptions({
 *   headers: true,
 *   heartbeat: { message: "ping", isAnswer: (message) => message === "pong" }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOptions = ({ headers = false, heartbeat }: Options): Layer.Layer<Connector> =>
  Layer.sync(Connector, () => events({ headers: headers ? headersOf : undefined, keepAlive: beating(heartbeat), makeWriter }))

/**
 * Dials by `globalThis.WebSocketStream`, which can be paused, where there is one (Chromium), and
 * by `WebSocket` elsewhere.
 *
 * **When to use**
 *
 * Where a server may send faster than the page can process: it is held back then.
 *
 * **Gotchas**
 *
 * Chromium drops what a `WebSocketStream` has not read yet when the server's Close arrives, and tells
 * nobody. A server that closes behind its last message should wait until the client says that it has
 * read it, or the client should use {@link layer}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStream = (options: Omit<Options, "headers"> = {}): Layer.Layer<Connector> =>
  Layer.sync(Connector, () => {
    const found = platformGlobal<StreamConstructor>("WebSocketStream")
    const own = { keepAlive: beating(options.heartbeat), makeWriter }
    if (Option.isNone(found)) return events(own)
    const WebSocketStream = found.value
    return makeConnector(
      dialStream(({ subprotocols, url }, signal) => new WebSocketStream(url, { protocols: subprotocols, signal })),
      own
    )
  })
