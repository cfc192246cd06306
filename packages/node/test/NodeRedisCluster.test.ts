import { assert, describe, it, layer } from "@effect/vitest"
import { RedisBroker } from "@effect-ws/core/realtime"
import { BrokerLaws } from "@effect-ws/core/testing"
import { NodeRedisCluster } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RedisService from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as RedisCluster from "./support/RedisCluster.ts"
import * as Redis from "./support/RedisServer.ts"

const layerOf = ({ nodes }: RedisCluster.RedisCluster) =>
  NodeRedisCluster.layer({ rootNodes: nodes.map(({ url }) => ({ url })) })

const brokerOf = (cluster: RedisCluster.RedisCluster, options: RedisBroker.Options = {}) =>
  Effect.flatMap(
    Layer.build(layerOf(cluster)),
    (context) => Effect.provideContext(RedisBroker.make({ sharded: true, lease: 1500, timeout: 2000, ...options }), context)
  )

class Shared extends Context.Service<Shared, RedisCluster.RedisCluster>()("Shared") {}
const SharedLive = Layer.mergeAll(Layer.effect(Shared, RedisCluster.make(0)), Logger.layer([]))

describe.skipIf(Redis.missing !== undefined)("a Redis Cluster of three", () => {
  layer(SharedLive, { excludeTestServices: true, timeout: 30_000 })((it) => {
    it.effect("is one Redis to commands and scripts, wherever their keys are", () =>
      Effect.gen(function*() {
        const cluster = yield* Shared
        const redis = yield* Effect.provideContext(RedisService.Redis, yield* Layer.build(layerOf(cluster)))
        const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`)
        for (const key of keys) yield* redis.send("SET", key, key)
        const script = RedisService.script((key: string) => [key], { lua: "return redis.call('GET', KEYS[1])", numberOfKeys: 1 })
          .withReturnType<string>()
        for (const key of keys) assert.strictEqual(yield* redis.eval(script)(key), key)
        const sizes = yield* Effect.forEach(cluster.nodes, (node) => node.command("DBSIZE"))
        assert.isTrue(sizes.every((size) => Number(size) > 0), `${sizes}`)
        const reserving = yield* Effect.flip(Effect.scoped(redis.reserve))
        assert.include(String(reserving.cause), "reaches one node")
        const failed = yield* Effect.flip(redis.send("NOSUCHCOMMAND", "a"))
        assert.include(String(failed.cause), "unknown command")
      }))

    it.effect("tells on sharded channels, until the subscription ends", () =>
      Effect.gen(function*() {
        const redis = yield* Effect.provideContext(RedisService.Redis, yield* Layer.build(layerOf(yield* Shared)))
        const channels = Array.from({ length: 10 }, (_, i) => `channel ${i}`)
        yield* Effect.scoped(Effect.gen(function*() {
          const queues = yield* Effect.forEach(channels, (channel) => redis.subscribe(channel))
          for (const channel of channels) assert.strictEqual(Number(yield* redis.send("SPUBLISH", channel, `to ${channel}`)), 1)
          const heard = yield* Effect.forEach(queues, (queue) => Queue.take(queue))
          assert.deepStrictEqual(heard, channels.map((channel) => ({ channel, message: `to ${channel}` })))
        }))
        for (const channel of channels) assert.strictEqual(Number(yield* redis.send("SPUBLISH", channel, "")), 0)
      }))

    for (const [index, { name }] of BrokerLaws.make({ broker: Effect.never }).entries()) {
      it.effect(`carries a broker: ${name}`, () =>
        Effect.flatMap(Shared, (cluster) => BrokerLaws.make({ broker: brokerOf(cluster) })[index].check), 30_000)
    }
  })

  it.live("goes on with another node where a master is killed, or says what is missing", () =>
    Effect.gen(function*() {
      const cluster = yield* RedisCluster.make(1)
      const [one, other] = [yield* brokerOf(cluster), yield* brokerOf(cluster)]
      const history = { size: 1000, timeToLive: 600_000, keyTimeToLive: 600_000 }
      // On all shards, so on all nodes.
      const topics = Array.from({ length: 32 }, (_, i) => `room/${i}`)
      const seen = new Map(topics.map((topic) => [topic, [] as Array<string>]))
      const missed = new Set<string>()
      yield* Effect.forkScoped(Stream.runForEach(other.heard, (event) =>
        Effect.sync(() => {
          if (event._tag === "Published") seen.get(event.topic)!.push(event.entry.key)
          if (event._tag === "Missed") for (const topic of event.topic === undefined ? topics : [event.topic]) missed.add(topic)
        })))
      yield* Effect.forEach(topics, (topic) => other.subscribe(topic), { concurrency: "unbounded" })
      const publish = (key: string) =>
        Effect.forEach(topics, (topic) =>
          one.publish(topic, { key, payload: key }, history).pipe(
            // Under the same key, until it is known that it was applied.
            Effect.retry(Schedule.spaced(200)),
            Effect.map(({ position }) => [topic, position] as const)
          ), { concurrency: "unbounded" })
      const before = new Map(yield* publish("1"))
      yield* cluster.nodes[0].kill
      const after = new Map(yield* publish("2"))
      for (const topic of topics) {
        const [was, is] = [before.get(topic)!, after.get(topic)!]
        const { entries } = yield* other.read(topic, { ...is, offset: 0 }, 10)
        // In the same epoch nothing is missing. Otherwise the replica had not got it, and the epoch says so.
        if (was.epoch === is.epoch) assert.deepStrictEqual(entries.map((entry) => entry.key), ["1", "2"])
        else assert.strictEqual(entries.at(-1)?.key, "2")
      }
      // What was not heard was told as missed, and everything is heard again.
      yield* Effect.suspend(() => publish(`${Math.random()}`)).pipe(
        Effect.andThen(Effect.sync(() => topics.every((topic) => (seen.get(topic)!.includes("2") || missed.has(topic)) && seen.get(topic)!.length > 2))),
        Effect.filterOrFail((holds) => holds),
        Effect.retry(Schedule.spaced(200)),
        Effect.timeout("30 seconds")
      )
    }).pipe(Effect.provide(Logger.layer([]))), 90_000)
})
