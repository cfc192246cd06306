/**
 * Connections in memory, for tests of the code that uses them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as WebSocket from "../WebSocket.ts"
import * as TestLink from "./TestLink.ts"

/**
 * How connections are made.
 *
 * **Details**
 *
 * - `link`: how the link between them behaves.
 * - `client` and `server`: limits and other options of either side.
 * - `subprotocol`: the one that both sides have as negotiated.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly link?: TestLink.Options | undefined
  readonly client?: Omit<WebSocket.Options, "role" | "subprotocol"> | undefined
  readonly server?: Omit<WebSocket.Options, "role" | "subprotocol"> | undefined
  readonly subprotocol?: string | undefined
}

/**
 * Two connections, joined.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pair {
  readonly client: WebSocket.WebSocket
  readonly server: WebSocket.WebSocket
  readonly link: TestLink.TestLink
}

const open = (link: TestLink.TestLink, role: TestLink.Side, options: Options) =>
  WebSocket.make(link[role], { ...options[role], role, subprotocol: options.subprotocol })

/**
 * Makes a client's and a server's connection, joined by a link. The opening handshake is
 * done.
 *
 * **When to use**
 *
 * For tests of code that is given a connection, on either side. For a handler use
 * {@link serve}; for a whole route with its handshake use `TestServer`.
 *
 * **Details**
 *
 * The end of the scope cuts the link first, so that no test waits for a closing handshake
 * while its clock stands still. Where the handshake matters, call `close`.
 *
 * **Example** (Nothing is lost, however the bytes are cut)
 *
 * ```ts
 * import { TestWebSocket } from "@effect-ws/core/testing"
 * import { Effect, Stream } from "effect"
 *
 * export const test = Effect.gen(function*() {
 *   const { client, server } = yield* TestWebSocket.pair({ link: { seed: 42, chop: true } })
 *   yield* Effect.forkChild(Stream.run(server.messages, server.sink))
 *   yield* client.sendAll(["hello", "world"])
 *   return [yield* client.receive, yield* client.receive] // ["hello", "world"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pair = (options: Options = {}): Effect.Effect<Pair, never, Scope.Scope> =>
  Effect.gen(function*() {
    const link = yield* TestLink.make(options.link)
    const server = yield* open(link, "server", options)
    const client = yield* open(link, "client", options)
    yield* Effect.addFinalizer(() => link.reset)
    return { client, server, link }
  })

/**
 * A handler that runs with the server's end of a connection, and the client's end.
 *
 * **Details**
 *
 * `handler` is the handler's fiber: join it to learn how it ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Served<A, E> {
  readonly client: WebSocket.WebSocket
  readonly handler: Fiber.Fiber<A, E>
  readonly link: TestLink.TestLink
}

/**
 * Runs a handler, as `WebSocketServer.handle` takes it, with a connection, and gives the
 * client's end to the test.
 *
 * **Details**
 *
 * As on a server, the connection closes when the handler ends: with 1000 after a
 * success, 1011 after a failure. Unlike there, connection errors that the handler lets
 * through are seen in its exit.
 *
 * **Example** (A handler, and a client that vanishes)
 *
 * ```ts
 * import type { WebSocket } from "@effect-ws/core"
 * import { TestWebSocket } from "@effect-ws/core/testing"
 * import { Effect, Fiber, Stream } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const shout = (ws: WebSocket.WebSocket) =>
 *   ws.messages.pipe(Stream.map((message) => String(message).toUpperCase()), Stream.run(ws.sink))
 *
 * export const test = Effect.gen(function*() {
 *   const { client, handler, link } = yield* TestWebSocket.serve(shout)
 *   yield* client.send("hello")
 *   console.log(yield* client.receive) // HELLO
 *
 *   yield* link.drop
 *   yield* TestClock.adjust("1 minute")
 *   return yield* Fiber.await(handler) // failed with IOError, phase "keepalive"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const serve = <A, E, R>(
  handler: (ws: WebSocket.WebSocket) => Effect.Effect<A, E, R>,
  options: Options = {}
): Effect.Effect<Served<A, E>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.gen(function*() {
    const link = yield* TestLink.make(options.link)
    const running = Effect.scoped(Effect.flatMap(open(link, "server", options), handler))
    const fiber = yield* Effect.forkScoped(running, { startImmediately: true })
    const client = yield* open(link, "client", options)
    yield* Effect.addFinalizer(() => link.reset)
    return { client, handler: fiber, link }
  })
