/** What is published and heard where processes, connections or Redis fail. */
import { readFileSync } from "node:fs"
import { NodeRedis } from "@effect/platform-node"
import { assert, describe } from "@effect/vitest"
import { RedisBroker } from "@effect-ws/core/realtime"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RedisService from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { brokerOf, channels, follow, isMissed, lease, listen, listening, members, publish, run, test, timeout, until } from "../support/RedisBrokers.ts"
import { missing } from "../support/RedisServer.ts"

describe.skipIf(missing !== undefined)("a broker on Redis", () => {
  test("hears 2,000 publications of another process once and in order", (redis) =>
    Effect.gen(function*() {
      const { seen } = yield* follow(yield* brokerOf(redis), "t")
      const child = yield* run(redis, "t", "publish", 2000)
      yield* child.prints("done")
      yield* until(Effect.sync(() => seen.length >= 2000))
      assert.deepStrictEqual(seen, Array.from({ length: 2000 }, (_, i) => `${i + 1}`))
    }))

  test("hears them all the same where connections and Redis are killed meanwhile", (redis) =>
    Effect.gen(function*() {
      const { epochs, seen } = yield* follow(yield* brokerOf(redis), "t")
      const child = yield* run(redis, "t", "publish", 2000)
      yield* child.prints("ready")
      for (const at of [200, 600]) {
        yield* until(Effect.sync(() => seen.length >= at))
        yield* redis.command("CLIENT", "KILL", "TYPE", "pubsub")
      }
      yield* until(Effect.sync(() => seen.length >= 1000))
      yield* redis.kill
      yield* redis.start
      yield* until(Effect.sync(() => seen.length >= 1300))
      yield* redis.command("CLIENT", "KILL", "TYPE", "normal")
      yield* child.prints("done")
      yield* until(Effect.sync(() => seen.length >= 2000))
      assert.deepStrictEqual(seen, Array.from({ length: 2000 }, (_, i) => `${i + 1}`))
      assert.strictEqual(epochs.length, 1)
    }))

  test("notices the last publication before a silence, which nothing follows", (redis) =>
    Effect.gen(function*() {
      let isDeaf = false
      const { broker: other } = yield* listening(redis, (queue, taken) =>
        Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), (message) => isDeaf ? Effect.void : Queue.offer(taken, message)))))
      const one = yield* brokerOf(redis)
      const heard = yield* listen(other)
      yield* other.subscribe("t")
      yield* publish(one, "t", "1")
      yield* until(Effect.sync(() => heard.length === 1))
      isDeaf = true
      yield* publish(one, "t", "2")
      yield* until(Effect.sync(() => isMissed(heard, "t")))
      yield* Effect.sleep(lease)
      // Once, and nothing is missed that nobody told.
      assert.deepStrictEqual(heard.map((event) => event._tag), ["Published", "Missed"])
      isDeaf = false
      yield* publish(one, "t", "3")
      yield* until(Effect.sync(() => heard.length === 3))
      assert.deepStrictEqual(heard.map((event) => event._tag), ["Published", "Missed", "Published"])
    }))

  test("fails in time where Redis does nothing, and applies nothing twice afterwards", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* broker.subscribe("t")
      yield* publish(broker, "t", "0")
      yield* redis.pause
      const begin = yield* Clock.currentTimeMillis
      const sent = yield* Effect.forkChild(Effect.flip(publish(broker, "t", "1")))
      yield* Effect.sleep(50)
      const waiting = yield* Effect.forkChild(Effect.flip(publish(broker, "t", "2")))
      const others = yield* Effect.all([
        Effect.flip(broker.top("t")),
        Effect.flip(broker.read("t", { epoch: "x", offset: 0 }, 10)),
        Effect.flip(broker.members("t", 10)),
        // Another shard, whose subscription is not made yet.
        Effect.flip(Effect.scoped(broker.subscribe("another")))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(others.map((error) => error.applied), ["unknown", "unknown", "unknown", "no"])
      assert.strictEqual((yield* Fiber.join(sent)).applied, "unknown")
      yield* Fiber.join(waiting)
      assert.isBelow((yield* Clock.currentTimeMillis) - begin, 3 * timeout)
      yield* redis.resume
      yield* until(Effect.isSuccess(broker.top("t")))
      for (const key of ["1", "2"]) yield* publish(broker, "t", key)
      const { epoch } = yield* broker.top("t")
      const { entries } = yield* broker.read("t", { epoch, offset: 0 }, 10)
      assert.deepStrictEqual(entries.map((entry) => entry.key), ["0", "1", "2"])
    }))

  test("knows that nothing was applied where Redis has no memory left", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* publish(broker, "t", "1")
      yield* redis.command("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual((yield* Effect.flip(publish(broker, "t", "2"))).applied, "no")
      yield* redis.command("CONFIG", "SET", "maxmemory", "0")
      const { duplicate, position } = yield* publish(broker, "t", "2")
      assert.deepStrictEqual([duplicate, position.offset], [false, 2])
    }))

  test("tells that something was missed where a script fails between what it does and what it tells", (redis) =>
    Effect.gen(function*() {
      const [one, other] = [yield* brokerOf(redis), yield* brokerOf(redis)]
      const heard = yield* listen(other)
      yield* other.subscribe("t")
      yield* publish(one, "t", "1")
      yield* until(Effect.sync(() => heard.length === 1))
      // What a member is written to is no hash any more.
      const [state] = (yield* redis.command("KEYS", "*:state")).split("\n")
      yield* redis.command("SET", state.replace(":state", ":in"), "x")
      const failed = yield* Effect.all([
        Effect.flip(publish(one, "t", "2")),
        Effect.flip(one.enter("t", { id: "1", member: "ann", payload: "1" }))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(failed.map((error) => error.applied), ["unknown", "unknown"])
      yield* until(Effect.sync(() => isMissed(heard, "t")))
      assert.strictEqual((yield* publish(one, "t", "2")).position.offset, 2)
    }))

  test("keeps the order of publications where the scripts have to be loaded again", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* publish(broker, "t", "first")
      const keys = Array.from({ length: 1000 }, (_, i) => `${i}`)
      const publishing = yield* Effect.forkChild(Effect.forEach(keys, (key) => publish(broker, "t", key), { concurrency: "unbounded" }))
      yield* Effect.yieldNow
      yield* redis.command("SCRIPT", "FLUSH")
      yield* Fiber.join(publishing)
      const { epoch } = yield* broker.top("t")
      const { entries } = yield* broker.read("t", { epoch, offset: 1 }, 2000)
      assert.deepStrictEqual(entries.map((entry) => entry.key), keys)
    }))

  test("refuses to divide topics differently from the rest of the service", (redis) =>
    Effect.gen(function*() {
      yield* brokerOf(redis)
      const error = yield* Effect.flip(brokerOf(redis, { shards: 8 }))
      assert.strictEqual(error._tag === "BrokerError" && error.operation, "open")
      assert.include(String(error.cause), "has the layout \"2 16\", and this process has \"2 8\"")
      yield* brokerOf(redis, { shards: 8, prefix: "another" })
    }))

  test("says again how topics are divided where that was lost", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* publish(broker, "t", "1")
      yield* redis.command("FLUSHALL")
      yield* publish(broker, "t", "2")
      yield* until(Effect.map(redis.command("GET", "{effect-ws}:layout"), (layout) => layout === "2 16"))
      assert.strictEqual((yield* Effect.flip(brokerOf(redis, { shards: 8 })))._tag, "BrokerError")
    }))

  test("needs no more permissions than docs/topics-redis.md says", (redis) =>
    Effect.gen(function*() {
      const page = readFileSync(new URL("../../../../docs/topics-redis.md", import.meta.url), "utf8")
      const [, permissions] = /^ACL SETUSER topics (.*)$/m.exec(page)!
      yield* redis.command("ACL", "SETUSER", "topics", ...permissions.split(" "))
      const context = yield* Layer.build(NodeRedis.layer({ url: redis.url.replace("//", "//topics:password@") }))
      const broker = yield* Effect.provideContext(RedisBroker.make({ lease, timeout }), context)
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      yield* broker.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* broker.signal("t", "ann", "1")
      const { position } = yield* publish(broker, "t", "1")
      assert.strictEqual((yield* broker.read("t", { ...position, offset: 0 }, 10)).entries.length, 1)
      assert.strictEqual(yield* members(broker, "t"), 1)
      yield* until(Effect.sync(() => new Set(heard.map((event) => event._tag)).size === 3))
      yield* Effect.sleep(lease)
      yield* broker.leave("t", "1")
      assert.strictEqual(yield* redis.command("ACL", "LOG"), "")
    }))

  test("takes what is no message of its own for a sign that something is wrong", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      for (const channel of channels) yield* redis.command("PUBLISH", channel, "{\"e\":1}")
      yield* until(Effect.sync(() => isMissed(heard, "t")))
      yield* publish(broker, "t", "1")
      yield* until(Effect.sync(() => heard.some((event) => event._tag === "Published")))
    }))

  test("keeps nothing of a topic but its count, once history and keys have gone", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      const brief = { size: 10, timeToLive: 200, keyTimeToLive: 200 }
      for (const topic of ["a", "b"]) yield* broker.publish(topic, { key: "1", payload: "1" }, brief)
      yield* Effect.sleep(400)
      const keys = (yield* redis.command("KEYS", "*")).split("\n")
      assert.deepStrictEqual(keys.filter((key) => !/:state$|:layout$/.test(key)), [])
      assert.strictEqual((yield* broker.top("a")).offset, 1)
    }))

  test("subscribes again where a subscription ends, as Bun's does", (redis) =>
    Effect.gen(function*() {
      const { broker, queues } = yield* listening(redis, (queue, taken) =>
        Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), (message) => Queue.offer(taken, message)))))
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      for (let times = 1; times <= 3; times++) {
        yield* Queue.fail(queues.at(-1)!, new RedisService.RedisError({ cause: new Error("Connection closed") }))
        yield* until(Effect.sync(() => queues.length > times && heard.filter((event) => event._tag === "Missed").length >= times))
        yield* publish(broker, "t", `${times}`)
        yield* until(Effect.sync(() => heard.some((event) => event._tag === "Published" && event.entry.key === `${times}`)))
      }
    }))

  test("subscribes again where a subscription hears nothing any more", (redis) =>
    Effect.gen(function*() {
      let subscriptions = 0
      const { broker, queues } = yield* listening(redis, (queue, taken) => {
        const isDeaf = subscriptions++ === 0
        return Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(queue), (message) => isDeaf ? Effect.void : Queue.offer(taken, message))))
      })
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      for (let i = 0; queues.length < 2; i++) {
        yield* publish(broker, "t", `${i}`)
        yield* Effect.sleep(lease / 3)
        assert.isBelow(i, 20)
      }
      assert.isTrue(heard.every((event) => event._tag === "Missed"))
      yield* until(Effect.suspend(() =>
        Effect.as(publish(broker, "t", `again ${heard.length}`), heard.some((event) => event._tag === "Published"))))
    }))

  test("ends in time where Redis does nothing", (redis) =>
    Effect.gen(function*() {
      const context = yield* Layer.build(redis.layer())
      const scope = yield* Scope.make()
      const broker = yield* RedisBroker.make({ lease, timeout }).pipe(Effect.provideContext(context), Scope.provide(scope))
      yield* Effect.forkIn(Effect.scoped(Effect.andThen(broker.subscribe("t"), Effect.never)), scope)
      yield* broker.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* redis.pause
      yield* Effect.forkIn(Effect.ignore(Effect.scoped(broker.subscribe("another"))), scope)
      yield* Effect.sleep(50)
      const begin = yield* Clock.currentTimeMillis
      yield* Scope.close(scope, Exit.void)
      assert.isBelow((yield* Clock.currentTimeMillis) - begin, timeout + 5000)
      yield* redis.resume
      assert.strictEqual((yield* Effect.flip(publish(broker, "t", "1"))).applied, "no")
    }))
})
