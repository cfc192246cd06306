/**
 * The scope of a handler that holds one connection. It finds its connection through the fiber, so the
 * handlers of a server share all effects around them and an idle connection holds none (measured, with
 * the static effects around it: 700 bytes less for each connection than by `Effect.scoped`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { CloseCodeFor } from "../CloseCode.ts"
import type { Connection } from "../connection/Connection.ts"

interface HandlerScope extends Scope.Closeable {
  // The outer scope, if there is one.
  outer: Scope.Scope | undefined
  connection: Connection | undefined
}

const current = (fiber: Fiber.Fiber<unknown, unknown>): HandlerScope =>
  Context.getUnsafe(fiber.context, Scope.Scope) as HandlerScope

/**
 * Runs an effect in a scope of its own, at whose end the connection that it holds is closed after all
 * finalizers of the scope.
 */
export const holding = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  closeCodeFor: CloseCodeFor | undefined
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> => {
  const held = Effect.onExitPrimitive(self, (exit) => letGo(Fiber.getCurrent()!, exit, closeCodeFor))
  return Effect.withFiber((fiber) => {
    const scope = Scope.makeUnsafe() as HandlerScope
    scope.outer = Context.getOrUndefined(fiber.context, Scope.Scope)
    scope.connection = undefined
    fiber.setContext(Context.add(fiber.context, Scope.Scope, scope))
    return held
  }) as Effect.Effect<A, E, Exclude<R, Scope.Scope>>
}

/** Lets the scope of the fiber, one of {@link holding}, hold a connection. */
export const hold = (fiber: Fiber.Fiber<unknown, unknown>, connection: Connection): Effect.Effect<Connection> => {
  current(fiber).connection = connection
  return Effect.succeed(connection)
}

/** The outer context, made again, because keeping it would cost each connection 100 bytes. */
const around = (context: Context.Context<never>, outer: Scope.Scope | undefined): Context.Context<never> =>
  outer === undefined ? Context.omit(Scope.Scope)(context) : Context.add(context, Scope.Scope, outer)

const letGo = (
  fiber: Fiber.Fiber<unknown, unknown>,
  exit: Exit.Exit<unknown, unknown>,
  closeCodeFor: CloseCodeFor | undefined
): Effect.Effect<void> | undefined => {
  const scope = current(fiber)
  fiber.setContext(around(fiber.context, scope.outer))
  scope.connection?.handlerEnds()
  const released = scope.connection?.release(exit, closeCodeFor)
  const closed = Scope.closeUnsafe(scope, exit)
  return closed === undefined || released === undefined ? closed ?? released : Effect.ensuring(closed, released)
}
