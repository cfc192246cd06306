/** The service behind `Topics`: the hub of a process over its broker. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Limits from "../../Limits.ts"
import * as Observability from "../../Observability.ts"
import * as Broker from "../Broker.ts"
import * as Hubs from "../hub/Hub.ts"
import { meterOf } from "../hub/TopicsMeter.ts"

/**
 * The topics of this process, made by {@link layer}.
 *
 * **Details**
 *
 * - `size`: how many topics somebody in this process is subscribed to.
 *
 * @category services
 * @since 0.1.0
 */
export class Topics extends Context.Service<Topics, {
  readonly size: Effect.Effect<number>
}>()("@effect-ws/core/Topics") {}

class Service {
  readonly hub: Hubs.Hub

  constructor(hub: Hubs.Hub) {
    this.hub = hub
  }

  get size(): Effect.Effect<number> {
    return Effect.sync(() => this.hub.size)
  }
}

// The inside of the service is not for users.
export const hub: Effect.Effect<Hubs.Hub, never, Topics> = Effect.map(Topics, (service) => {
  if (service instanceof Service) return service.hub
  throw new TypeError("The service Topics is made by Topics.layer only")
})

/**
 * The topics of this process, over a broker.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Limits.TopicOptions): Layer.Layer<Topics, never, Broker.Broker> =>
  Layer.effect(
    Topics,
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      const hub = yield* Hubs.make(broker, Limits.makeTopics(options))
      if ((yield* Observability.CurrentOptions).metrics !== false) {
        const meter = meterOf(yield* Effect.context<never>())
        meter.begin(hub)
        yield* Effect.addFinalizer(() => Effect.sync(() => meter.end(hub)))
      }
      return new Service(hub)
    })
  )
