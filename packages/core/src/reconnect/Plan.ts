/** What all attempts of a client have in common, made from a program's options. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConnectOptions, Connector } from "../client/Connector.ts"
import { toEffect, type Value } from "../client/Value.ts"
import type { WebSocket } from "../WebSocket.ts"
import { defaultSchedule, type Plan } from "./Attempts.ts"
import type { Loss } from "./Verdict.ts"

/** The options of an attempt, and of the waits and retries after it. */
interface Asked<E, R> extends Omit<ConnectOptions, "headers" | "subprotocols"> {
  readonly headers?: Value<ConnectOptions["headers"], E, R>
  readonly subprotocols?: Value<ConnectOptions["subprotocols"], E, R>
  readonly schedule?: Schedule.Schedule<unknown, Loss<E>, never, R> | undefined
  readonly healthyAfter?: Duration.Input | undefined
  readonly maxSilence?: Duration.Input | undefined
  readonly retry?: ((loss: Loss<E>) => boolean | Duration.Input | undefined) | undefined
}

export const planned = <E, R>(
  connect: (url: string | URL, options: ConnectOptions) => Effect.Effect<WebSocket, Loss<E>, Connector | Scope.Scope>,
  url: Value<string | URL, E, R>,
  options: Asked<E, R>,
  onOpen?: ((ws: WebSocket) => Effect.Effect<void, Loss<E>, R>) | undefined
): Effect.Effect<Omit<Plan<E>, "report">, never, Connector | Exclude<R, Scope.Scope>> =>
  Effect.map(Effect.context<Connector | Exclude<R, Scope.Scope>>(), (context) => {
    const { headers, healthyAfter, maxSilence, retry, schedule, subprotocols, ...rest } = options
    const attempt: Plan<E>["connect"] = Effect.gen(function*() {
      const ws = yield* connect(yield* toEffect(url), {
        ...rest,
        headers: yield* toEffect(headers),
        subprotocols: yield* toEffect(subprotocols)
      })
      if (onOpen !== undefined) yield* onOpen(ws)
      return ws
    }).pipe(Effect.updateContext((input: Context.Context<Scope.Scope>) =>
      // The scope is the attempt's.
      Context.merge(context, input) as Context.Context<Connector | R | Scope.Scope>
    ))
    return {
      connect: attempt,
      // The services that it needs are in the context of the fiber that runs it.
      schedule: (schedule ?? defaultSchedule) as Plan<E>["schedule"],
      healthyAfter: Duration.toMillis(Duration.fromInputUnsafe(healthyAfter ?? "10 seconds")),
      maxSilence: Duration.toMillis(Duration.fromInputUnsafe(maxSilence ?? Infinity)),
      retry
    }
  })
