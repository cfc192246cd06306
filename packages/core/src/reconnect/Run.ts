/** Runs a session on each connection to a service, one after the other, in the fiber of the caller. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { CloseInfo } from "../CloseCode.ts"
import type { WebSocket } from "../WebSocket.ts"
import { ConnectionClosed } from "../WebSocketError.ts"
import { Attempts, type Plan } from "./Attempts.ts"
import { givenUp, listening } from "./Liveness.ts"
import type { Loss } from "./Verdict.ts"

export const run = <A, E, R>(
  plan: Plan<E>,
  session: (ws: WebSocket) => Effect.Effect<A, Loss<E>, R>
): Effect.Effect<A, Loss<E>, Exclude<R, Scope.Scope>> => {
  const attempts = new Attempts(plan)
  const probe = Latch.makeUnsafe()

  /** One session: its result, or why another one follows. */
  const once = Effect.fnUntraced(function*(parent: Scope.Scope) {
    const { scope, ws } = yield* attempts.next(parent)
    const exit = yield* session(ws).pipe(
      Effect.raceFirst(Effect.flatMap(givenUp(ws, probe, plan.maxSilence), (error): Effect.Effect<never, Loss<E>> => Effect.fail(error))),
      Scope.provide(scope),
      Effect.exit
    )
    const info = yield* endOf(ws)
    yield* Scope.close(scope, exit)
    if (Exit.isFailure(exit)) {
      const error = Cause.findErrorOption(exit.cause)
      // A defect in the same cause is not hidden.
      if (error._tag === "None" || Cause.hasDies(exit.cause)) return yield* Effect.failCause(exit.cause)
      return Result.fail(error.value)
    }
    return info === undefined || isOwn(info) ? Result.succeed(exit.value) : Result.fail(new ConnectionClosed({ info }))
  })

  const all = Effect.gen(function*() {
    const parent = yield* Effect.scope
    yield* listening(() => {
      attempts.nudge()
      probe.openUnsafe()
    })
    while (true) {
      const outcome = yield* once(parent)
      if (Result.isSuccess(outcome)) return outcome.success
      yield* attempts.lost(outcome.failure)
    }
  })

  return Effect.scoped(all).pipe(
    Effect.onExit((exit) => {
      const loss = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
      return plan.report({ _tag: "Ended", loss: loss?._tag === "Some" ? loss.value : undefined })
    })
  ) as Effect.Effect<A, Loss<E>, Exclude<R, Scope.Scope>>
}

/** How the connection ended; `undefined` if it is open. */
const endOf = (ws: WebSocket): Effect.Effect<CloseInfo | undefined> =>
  Effect.flatMap(Effect.forkChild(ws.closing, { startImmediately: true }), (fiber) => {
    const exit = fiber.pollUnsafe()
    return exit === undefined ? Effect.succeed(undefined) : exit
  })

/** Whether the session itself closed the connection. 1001 is the code of an idle timeout. */
const isOwn = ({ code, initiator }: CloseInfo): boolean => initiator === "local" && code !== 1001
