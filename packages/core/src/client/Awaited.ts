/**
 * Whom a dial waits for, so that an error about its time names the right one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Whom a dial waits for now, where that is not the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface AwaitedPeer {
  name: () => string | undefined
}

const server = () => undefined

/**
 * Nobody but the server is awaited.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAwaited = (): AwaitedPeer => ({ name: server })

/**
 * Where the current dial says whom it waits for; see {@link awaiting}.
 *
 * @category services
 * @since 0.1.0
 */
export const Awaited: Context.Reference<AwaitedPeer> = Context.Reference<AwaitedPeer>(
  "@effect-ws/core/WebSocketClient/Awaited",
  { defaultValue: makeAwaited }
)

/**
 * Says whom a dial waits for while an effect runs, for the error of a `handshakeTimeout` that passes
 * in the meantime.
 *
 * **When to use**
 *
 * In a `Dialer` of your own that reaches the server through something else.
 *
 * **Example** (A way through a gateway)
 *
 * ```ts
 * import { WebSocketClient } from "@effect-ws/core"
 * import { Effect } from "effect"
 *
 * // "The handshake took longer than 10000 ms (handshakeTimeout): no answer from the gateway"
 * export const through = <A, E, R>(open: Effect.Effect<A, E, R>) => WebSocketClient.awaiting(open, () => "the gateway")
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const awaiting = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  name: () => string | undefined
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const awaited = fiber.getRef(Awaited)
    awaited.name = name
    // After a failure nobody is awaited, and an interruption is that of the time that has passed.
    return Effect.tap(self, () => Effect.sync(() => void (awaited.name = server)))
  })
