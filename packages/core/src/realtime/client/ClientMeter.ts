/** The metrics of the clients of a process. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Observability from "../../Observability.ts"
import { meters } from "../telemetry/Meter.ts"
import type { Counts } from "./Counts.ts"

/** What is read of a client. */
interface Measured {
  readonly calls: { readonly counts: Counts }
  readonly publications: { readonly size: number }
  readonly readers: { readonly total: number; readonly behind: number }
}

const meterOf = meters<Measured>((meter) => {
  const { behind, deliveries, failures, gaps, publications, recoveries, subscriptions, waiting } = Observability.topicClientMetrics
  meter.gauge(subscriptions, ({ readers }) => readers.total)
  meter.gauge(behind, ({ readers }) => readers.behind)
  meter.gauge(waiting, ({ publications }) => publications.size)
  meter.counter(deliveries, ({ calls: { counts } }) => counts.deliveries)
  meter.counter(publications, ({ calls: { counts } }) => counts.publications)
  meter.counter(recoveries, ({ calls: { counts } }) => counts.recoveries)
  meter.frequency(gaps, ({ calls: { counts } }) => counts.gaps)
  meter.frequency(failures, ({ calls: { counts } }) => counts.failures)
})

/** Measures a client until the scope ends, unless metrics are off. */
export const metered = (client: Measured): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    if ((yield* Observability.CurrentOptions).metrics === false) return
    const meter = meterOf(yield* Effect.context<never>())
    yield* Effect.acquireRelease(Effect.sync(() => meter.begin(client)), () => Effect.sync(() => meter.end(client)))
  })
