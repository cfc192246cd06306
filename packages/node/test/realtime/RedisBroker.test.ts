import { describe, it, layer } from "@effect/vitest"
import { RedisBroker } from "@effect-ws/core/realtime"
import { BrokerLaws } from "@effect-ws/core/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redis from "../support/RedisServer.ts"

const all = BrokerLaws.make({ broker: Effect.never, lose: Effect.void }).map((law) => law.name)
const harmless = BrokerLaws.make({ broker: Effect.never }).map((law) => law.name)

/** A Redis that several tests use. */
class Shared extends Context.Service<Shared, Redis.RedisServer>()("Shared") {}
const SharedLive = Layer.mergeAll(Layer.effect(Shared, Redis.make()), Logger.layer([]))

/** The broker of a process of its own: with its own connections. */
const brokerOf = (redis: Redis.RedisServer, resp: Redis.RESP = 2, options: RedisBroker.Options = {}) =>
  Effect.flatMap(
    Layer.build(redis.layer(resp)),
    (context) => Effect.provideContext(RedisBroker.make({ lease: 1500, ...options }), context)
  )

const quiet = Effect.provide(Logger.layer([]))

for (const resp of [2, 3] as const) {
  describe.skipIf(Redis.missing !== undefined)(`a broker on Redis, by RESP${resp}`, () => {
    layer(SharedLive, { excludeTestServices: true })((it) => {
      for (const [index, name] of harmless.entries()) {
        it.effect(name, () =>
          Effect.gen(function*() {
            const redis = yield* Shared
            yield* BrokerLaws.make({ broker: brokerOf(redis, resp) })[index].check
          }), 30_000)
      }
    })

    for (const [index, name] of all.entries()) {
      if (harmless.includes(name)) continue
      it.live(name, () =>
        Effect.gen(function*() {
          const redis = yield* Redis.make()
          const lose = redis.kill.pipe(Effect.andThen(redis.wipe), Effect.andThen(redis.start))
          yield* BrokerLaws.make({ broker: brokerOf(redis, resp), lose })[index].check
        }).pipe(quiet), 30_000)
    }
  })
}
