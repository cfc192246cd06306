/** Who is present where processes, connections or Redis fail: leases, and what puts right whom Redis has entered. */
import { assert, describe } from "@effect/vitest"
import { RedisBroker } from "@effect-ws/core/realtime"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RedisService from "effect/persistence/Redis"
import { brokerOf, lease, listen, members, run, test, timeout, until } from "../support/RedisBrokers.ts"
import { missing } from "../support/RedisServer.ts"

describe.skipIf(missing !== undefined)("presence on Redis", () => {
  test("lets nobody leave because Redis was away for longer than the lease", (redis) =>
    Effect.gen(function*() {
      const [one, other] = [yield* brokerOf(redis), yield* brokerOf(redis)]
      const watcher = yield* brokerOf(redis, { lease: 600_000 })
      const heard = yield* listen(watcher)
      yield* watcher.subscribe("t")
      yield* one.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* other.enter("t", { id: "2", member: "bob", payload: "1" })
      yield* Effect.sleep(lease)
      yield* redis.pause
      yield* Effect.sleep(2 * lease)
      const before = heard.length
      yield* redis.resume
      yield* until(Effect.isSuccess(other.top("t")))
      yield* Effect.sleep(lease + 500)
      assert.strictEqual(yield* members(watcher, "t"), 2)
      assert.deepStrictEqual(heard.slice(before), [])
    }))

  test("lets nobody leave whose process beats on, though most of its beats fail", (redis) =>
    Effect.gen(function*() {
      // Three beats within it, of which only every sixth succeeds at first.
      const lease = 3000
      let beats = 0
      const context = yield* Layer.build(redis.layer())
      const inner = yield* Effect.provideContext(RedisService.Redis, context)
      const failing = RedisService.Redis.of({
        ...inner,
        eval: (script) => {
          const run = inner.eval(script)
          return (...params) =>
            JSON.stringify(params).includes("\"R\"") && ++beats % 6 !== 0
              ? Effect.fail(new RedisService.RedisError({ cause: new Error("LOADING Redis is loading the dataset in memory") }))
              : run(...params)
        }
      })
      const broker = yield* RedisBroker.make({ lease, timeout }).pipe(Effect.provideService(RedisService.Redis, failing))
      const other = yield* brokerOf(redis, { lease })
      const heard = yield* listen(other)
      yield* other.subscribe("t")
      // The other's process beats, so that Redis does not take itself for one that was away.
      yield* other.enter("t", { id: "2", member: "bob", payload: "1" })
      yield* broker.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* until(Effect.sync(() => heard.length === 2))
      yield* until(Effect.sync(() => beats >= 36))
      assert.strictEqual(yield* members(other, "t"), 2)
      assert.lengthOf(heard, 2)
    }))

  test("lets those leave within the lease whose process was killed, and tells the others", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      yield* broker.enter("t", { id: "0", member: "ann", payload: "1" })
      const child = yield* run(redis, "t", "enter", 1200)
      yield* child.prints("done")
      assert.strictEqual(yield* members(broker, "t"), 1201)
      yield* Effect.sleep(2 * lease)
      assert.strictEqual(yield* members(broker, "t"), 1201)
      const before = heard.length
      const begin = yield* Clock.currentTimeMillis
      yield* child.kill("SIGKILL")
      yield* until(Effect.map(members(broker, "t"), (count) => count === 1))
      const took = (yield* Clock.currentTimeMillis) - begin
      assert.isBelow(took, lease + 5000)
      yield* until(Effect.sync(() => heard.slice(before).some((event) => event._tag === "MembersChanged")))
      // Nothing is left of the process.
      const [of] = (yield* redis.command("KEYS", "*:of")).split("\n")
      assert.strictEqual(yield* redis.command("ZCARD", of), "1")
    }))

  test("lets those come back whose process stood still for longer than the lease", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* broker.subscribe("t")
      const child = yield* run(redis, "t", "enter", 20)
      yield* child.prints("done")
      yield* child.kill("SIGSTOP")
      yield* until(Effect.map(members(broker, "t"), (count) => count === 0))
      yield* child.kill("SIGCONT")
      yield* until(Effect.map(members(broker, "t"), (count) => count === 20))
    }))

  test("lets nobody leave whose lease ran out where nobody could beat", (redis) =>
    Effect.gen(function*() {
      // Neither beats by itself within the test.
      const [one, other] = [yield* brokerOf(redis, { lease: 600_000 }), yield* brokerOf(redis, { lease: 30_000 })]
      yield* one.enter("t", { id: "1", member: "ann", payload: "1" })
      const [state] = (yield* redis.command("KEYS", "*:state")).split("\n")
      const leases = state.replace(":state", ":leases")
      const [owner] = (yield* redis.command("ZRANGE", leases, "0", "0")).split("\n")
      const now = yield* Clock.currentTimeMillis
      const ranOut = (beat: number) =>
        Effect.all([redis.command("ZADD", leases, `${now - 1}`, owner), redis.command("HSET", state, "beat", `${now - beat}`, "calm", "0")])
      // Redis was away for less than a lease, and for most of that of one.
      yield* ranOut(20_000)
      assert.strictEqual(yield* members(other, "t"), 1)
      // Others could, and this one has not.
      yield* ranOut(10_000)
      assert.strictEqual(yield* members(other, "t"), 0)
    }))

  test("puts right whom Redis has entered", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      yield* broker.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* broker.enter("t", { id: "2", member: "bob", payload: "1" })
      const [of] = (yield* redis.command("KEYS", "*:of")).split("\n")
      const [owner] = (yield* redis.command("ZRANGE", of, "0", "0")).split("\n")
      // Somebody whom the process has not entered, as where an answer was lost.
      yield* redis.command("ZADD", of, "0", `${owner}\nt\n3`)
      yield* until(Effect.map(redis.command("ZCARD", of), (count) => count === "2"))
      assert.strictEqual(yield* members(broker, "t"), 2)
      yield* redis.command("DEL", of)
      yield* until(Effect.map(redis.command("ZCARD", of), (count) => count === "2"))
      assert.strictEqual(yield* members(broker, "t"), 2)
      yield* broker.leave("t", "1")
      yield* broker.leave("t", "2")
      // A process with nobody needs no lease.
      yield* until(Effect.map(redis.command("KEYS", "*:leases"), (keys) => keys === ""))
      assert.strictEqual(yield* redis.command("KEYS", "*:in"), "")
    }))
})
