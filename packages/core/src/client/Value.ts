/** Options that may differ from one connection to the next. */
import * as Effect from "effect/Effect"

/**
 * A value, or an Effect that gives a new one for each connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Value<A, E, R> = A | Effect.Effect<A, E, R>

export const toEffect = <A, E, R>(value: Value<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.isEffect(value) ? value as Effect.Effect<A, E, R> : Effect.succeed(value as A)
