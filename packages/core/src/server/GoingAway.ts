/** How handlers learn that their server is about to end their connection, and what they still send. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Connection } from "../connection/Connection.ts"
import type * as WebSocket from "../WebSocket.ts"
import { isConnectionsOwn } from "./ConnectionErrors.ts"
import { tableOf } from "./OpenConnections.ts"

/**
 * Completes when the server of a connection begins to end that connection: the handler may
 * still send, for `notice` of `ShutdownOptions` (2 seconds by default), before the Close.
 *
 * **When to use**
 *
 * To end a handler in its own way. {@link onGoingAway} is cheaper for a last message, because it needs
 * no fiber that waits.
 *
 * **Details**
 *
 * The connection is closed with the code of the shutdown as soon as the handler ends. Never
 * completes for connections that no server holds.
 *
 * **Example** (A finalizer that still sends)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * export const Feed = WebSocketServer.handle((ws) =>
 *   Effect.gen(function*() {
 *     yield* Effect.addFinalizer(() => Effect.ignore(ws.send("resume at 42")))
 *     yield* Effect.raceFirst(ws.drain, WebSocketServer.goingAway(ws))
 *   })
 * )
 * ```
 *
 * @category shutdown
 * @since 0.1.0
 */
export const goingAway = (ws: WebSocket.WebSocket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (!(ws instanceof Connection)) return
    const table = tableOf(ws)
    if (table === undefined) return
    if (table.closeWith(ws) !== undefined) return resume(Effect.void)
    const forget = table.onGoingAway(ws, () => {
      resume(Effect.void)
      // The Close waits until the handler has closed the connection, or its time is over.
      return Effect.asVoid(ws.closed)
    })
    return Effect.sync(forget)
  })

/**
 * Runs an effect when the server of a connection begins to end that connection, before its Close, for a
 * last message. The scope is that of the handler.
 *
 * **Details**
 *
 * The Close waits for the effect, at most for `notice` of `ShutdownOptions` (2 seconds by
 * default), which interrupts it. Until then only the effect itself is held: no fiber waits. The
 * connection's own end is no failure of the effect; another failure is logged as an error and has no
 * other consequence.
 *
 * **Example** (Telling clients where to resume)
 *
 * ```ts
 * import { WebSocketServer } from "@effect-ws/core"
 * import { Effect, Stream } from "effect"
 *
 * export const Feed = WebSocketServer.handle((ws) =>
 *   Effect.gen(function*() {
 *     let sent = 0
 *     yield* WebSocketServer.onGoingAway(ws, Effect.suspend(() => ws.send(`resume at ${sent}`)))
 *     yield* Stream.runForEach(ws.messages, (message) => Effect.andThen(ws.send(message), Effect.sync(() => sent++)))
 *   })
 * )
 * ```
 *
 * @category shutdown
 * @since 0.1.0
 */
export const onGoingAway = <A, E, R>(
  ws: WebSocket.WebSocket,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
    const table = ws instanceof Connection ? tableOf(ws) : undefined
    if (table === undefined) return Effect.void
    const context = fiber.context as Context.Context<R>
    const word = Effect.provideContext(
      Effect.catchCause(Effect.asVoid(effect), (cause) =>
        isConnectionsOwn(cause)
          ? Effect.logDebug("WebSocket connection ended", cause)
          : Effect.logError("Unhandled error in WebSocketServer.onGoingAway", cause)),
      context
    )
    const scope = Context.getUnsafe(fiber.context, Scope.Scope)
    return Scope.addFinalizer(scope, Effect.sync(table.onGoingAway(ws as Connection, () => word)))
  })
