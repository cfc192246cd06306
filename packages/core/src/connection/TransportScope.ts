/**
 * The scope of a transport that was acquired for one connection: it ends with the transport, not
 * with the connection. A connection may have ended for its program while its peer still takes
 * what was sent.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Connection } from "./Connection.ts"

/**
 * Acquires a transport and opens a connection on it. The scope of the acquisition is closed once the
 * transport is closed, or at once if there is no connection.
 */
export const acquiring = <A, E, R, W>(
  acquire: Effect.Effect<A, E, R>,
  open: (acquired: A) => Effect.Effect<W, never, Scope.Scope>
): Effect.Effect<W, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const run = Effect.runForkWith(yield* Effect.context<never>())
      const close = (exit: Exit.Exit<unknown, unknown>) => Scope.close(scope, exit)
      const acquired = yield* restore(Scope.provide(acquire, scope)).pipe(
        Effect.onExit((exit) => Exit.isFailure(exit) ? close(exit) : Effect.void)
      )
      const connection = yield* Effect.onError(open(acquired), () => close(Exit.void))
      const gone = () => run(close(Exit.void))
      // A user's connector may make another kind of connection.
      if (!(connection instanceof Connection)) yield* Effect.addFinalizer(close)
      else if (connection.link.gone) gone()
      else connection.link.once("gone", gone)
      return connection
    })
  ) as Effect.Effect<W, E, Exclude<R, Scope.Scope> | Scope.Scope>
