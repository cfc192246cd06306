import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RedisServer from "../../packages/node/test/support/RedisServer.ts"
import { audit, parsed, publish, subscribe, topicServer } from "./topics.ts"

const { missing } = RedisServer

/** Runs a test with a Redis of its own. */
const withRedis = (test: (redis: RedisServer.RedisServer) => Promise<void>) => () =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(RedisServer.make(), (redis) => Effect.promise(() => test(redis)))))

const range = (count: number) => Array.from({ length: count }, (_, n) => n)

describe(`topics on Redis${missing === undefined ? "" : `: skipped, ${missing}`}`, { timeout: 180_000, skip: missing !== undefined }, () => {
  it(
    "what is acknowledged arrives once and in order through two servers, whatever is killed",
    withRedis(async (redis) => {
      const env = { REDIS_URL: redis.url, HISTORY: "5000" }
      const servers = [await topicServer(env), await topicServer(env)]
      const urls = servers.map(({ url }) => url)
      const subscribers = [await subscribe(urls[0]), await subscribe(urls[1])]
      const publisher = publish(urls[0])
      const killServer = async (index: number) => {
        servers[index].kill("SIGKILL")
        await servers[index].exited
        servers[index] = await topicServer({ ...env, PORT: String(servers[index].port) })
      }
      const redisIs = (effect: Effect.Effect<unknown>) => Effect.runPromise(effect)
      const faults: ReadonlyArray<() => Promise<unknown>> = [
        () => killServer(0),
        () => redisIs(redis.command("CLIENT", "KILL", "TYPE", "pubsub")),
        () => killServer(1),
        () => redisIs(redis.command("CLIENT", "KILL", "TYPE", "normal")),
        () => redisIs(Effect.andThen(redis.kill, redis.start)),
        () => Promise.all([killServer(0), killServer(1)])
      ]
      let given = 0
      for (const fault of faults) {
        publisher.more(300)
        // Some are under way.
        await publisher.acknowledges(given + 150)
        const failing = fault()
        publisher.more(50)
        await failing
        given += 350
      }
      publisher.endInput()
      assert.deepStrictEqual(await publisher.exited, { code: 0, signal: null })
      const acknowledged = publisher.acknowledged()
      assert.lengthOf(acknowledged, given)
      for (const subscriber of subscribers) {
        await subscriber.waitForLines(given)
        assert.deepStrictEqual(audit(subscriber, acknowledged), [])
        // None was applied twice either, though many were sent twice.
        const values = parsed<{ readonly value: { readonly n: number } }>(subscriber).map(({ value }) => value.n)
        assert.deepStrictEqual(values.toSorted((a, b) => a - b), range(given))
      }
      assert.deepStrictEqual(subscribers[0].lines(), subscribers[1].lines())
    })
  )

  it(
    "a Redis that comes back without its data is a gap, and publishing goes on",
    withRedis(async (redis) => {
      const env = { REDIS_URL: redis.url }
      const servers = [await topicServer(env), await topicServer(env)]
      const subscriber = await subscribe(servers[0].url)
      const publisher = publish(servers[1].url)
      publisher.more(200)
      await publisher.acknowledges(200)
      await subscriber.waitForLines(200)
      await Effect.runPromise(Effect.andThen(Effect.andThen(redis.kill, redis.wipe), redis.start))
      publisher.more(200)
      await publisher.acknowledges(400)
      publisher.endInput()
      await publisher.exited
      const acknowledged = publisher.acknowledged()
      await subscriber.waitForLines(401)
      assert.deepStrictEqual(audit(subscriber, acknowledged), ["epoch"])
    })
  )
})
