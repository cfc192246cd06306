/**
 * The laws of brokers: what topics rely on, whatever carries them. Whoever implements `Broker` for another backend runs them
 * against it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Broker, BrokerError } from "../realtime/Broker.ts"
import { lawsOfPublishing } from "./laws/Publishing.ts"
import { lawsOfPresence } from "./laws/Presence.ts"
import { lawsOfTelling } from "./laws/Telling.ts"
import { Bench, Broken, type LawOf } from "./laws/Bench.ts"

/**
 * A law is broken: which one, and how.
 *
 * @category errors
 * @since 0.1.0
 */
export class LawBroken extends Schema.TaggedError<LawBroken>("@effect-ws/core/BrokerLaws/LawBroken")("LawBroken", {
  law: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `"${this.law}" is broken: ${this.reason}`
  }
}

/**
 * One law: its name, and an effect that fails where the broker breaks it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Law<out E = never, out R = never> {
  readonly name: string
  readonly check: Effect.Effect<void, LawBroken | BrokerError | E, R>
}

/**
 * What the laws are run on.
 *
 * **Details**
 *
 * - `broker`: makes the broker of one more process on the same data; each law makes several. Topics have names of their own
 *   in each law and run, so that laws can run on data that is in use.
 * - `lose`: makes the backend lose its data, all of it. Without it the law about losses is left out.
 * - `pass`: lets so many milliseconds pass, default `Effect.sleep`. Under `TestClock` it is `TestClock.adjust`.
 * - `patience`: how long a law waits for what has to happen, default 10 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  readonly broker: Effect.Effect<Broker["Service"], E, R | Scope.Scope>
  readonly lose?: Effect.Effect<void, E, R> | undefined
  readonly pass?: ((millis: number) => Effect.Effect<void>) | undefined
  readonly patience?: Duration.Input | undefined
}

/**
 * The laws of brokers, for a test of each.
 *
 * **Example** (With vitest)
 *
 * ```ts
 * import { Broker } from "@effect-ws/core/realtime"
 * import { BrokerLaws } from "@effect-ws/core/testing"
 * import { it } from "@effect/vitest"
 * import { Effect } from "effect"
 *
 * const laws = (store: Broker.MemoryStore) => BrokerLaws.make({ broker: store.broker, lose: store.lose })
 *
 * it.live("a broker in memory keeps the laws", () =>
 *   Effect.gen(function*() {
 *     const store = yield* Broker.makeMemoryStore
 *     yield* Effect.forEach(laws(store), (law) => law.check, { discard: true })
 *   }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(options: Options<E, R>): ReadonlyArray<Law<E, Exclude<R, Scope.Scope>>> => {
  const bench = new Bench<E, R>({
    broker: options.broker,
    lose: options.lose,
    pass: options.pass ?? Effect.sleep,
    patience: Duration.toMillis(Duration.fromInputUnsafe(options.patience ?? "10 seconds"))
  })
  const laws: ReadonlyArray<LawOf<E, R>> = [...lawsOfPublishing, ...lawsOfTelling, ...lawsOfPresence]
  return laws
    .filter((law) => law.needs !== "lose" || options.lose !== undefined)
    .map(({ check, name }) => ({
      name,
      check: Effect.catchIf(
        Effect.scoped(check(bench)),
        (error): error is Broken => error instanceof Broken,
        ({ reason }) => Effect.fail(new LawBroken({ law: name, reason }))
      )
    }))
}
