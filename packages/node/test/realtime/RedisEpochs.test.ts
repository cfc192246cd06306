/** When a topic goes on in its epoch and when another begins: Redis is restarted, with or without what it had told. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { behindGate, brokerOf, channels, follow, isMissed, lease, listen, members, publish, test, until } from "../support/RedisBrokers.ts"
import { missing } from "../support/RedisServer.ts"

describe.skipIf(missing !== undefined)("the epochs of topics on Redis", () => {
  test("goes on in its epoch where Redis is restarted with its data", (redis) =>
    Effect.gen(function*() {
      const [one, other] = [yield* brokerOf(redis), yield* brokerOf(redis)]
      const heard = yield* listen(other)
      yield* other.subscribe("t")
      yield* one.enter("t", { id: "1", member: "ann", payload: "1" })
      const { position } = yield* publish(one, "t", "1")
      yield* redis.kill
      yield* redis.start
      yield* until(Effect.isSuccess(other.top("t")))
      assert.deepStrictEqual(yield* other.top("t"), position)
      assert.strictEqual(yield* members(other, "t"), 1)
      yield* until(Effect.isSuccess(publish(one, "t", "2")))
      assert.strictEqual((yield* publish(one, "t", "1")).duplicate, true)
      yield* until(Effect.sync(() => heard.some((event) => event._tag === "Published" && event.entry.key === "2") || isMissed(heard, "t")))
      const next = yield* publish(one, "t", "3")
      assert.strictEqual(next.position.epoch, position.epoch)
      yield* until(Effect.sync(() => heard.some((event) => event._tag === "Published" && event.entry.key === "3")))
    }))

  test("makes another epoch where Redis comes back with less than it had told", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis)
      const heard = yield* listen(broker)
      yield* broker.subscribe("t")
      const { position } = yield* publish(broker, "t", "1")
      yield* redis.snapshot
      for (const key of ["2", "3"]) yield* publish(broker, "t", key)
      yield* redis.kill
      yield* redis.restore
      yield* redis.start
      yield* until(Effect.isSuccess(broker.top("t")))
      const top = yield* broker.top("t")
      assert.notStrictEqual(top.epoch, position.epoch)
      // What is still there can be read.
      const read = yield* broker.read("t", { ...position, offset: 3 }, 10)
      assert.deepStrictEqual(read.entries.map((entry) => entry.key), ["1"])
      yield* until(Effect.sync(() => isMissed(heard, "t")))
    }))

  test("makes another epoch where a process that knows nothing goes on from less than was told", (redis) =>
    Effect.gen(function*() {
      // It compares so rarely that only what it hears can tell.
      const old = yield* brokerOf(redis, { lease: 600_000 })
      const heard = yield* listen(old)
      yield* old.subscribe("t")
      const { position } = yield* publish(old, "t", "1")
      yield* redis.snapshot
      for (const key of ["2", "3"]) yield* publish(old, "t", key)
      yield* until(Effect.sync(() => heard.length === 3))
      yield* redis.kill
      yield* redis.restore
      yield* redis.start
      const fresh = yield* brokerOf(redis)
      // The old one has to be subscribed again to hear it.
      yield* until(Effect.map(redis.command("PUBSUB", "NUMSUB", ...channels), (text) => /\n1/.test(`\n${text}`)))
      const keys = Array.from({ length: 20 }, (_, i) => `new ${i}`)
      for (const key of keys) yield* publish(fresh, "t", key)
      yield* until(Effect.map(fresh.top("t"), ({ epoch }) => epoch !== position.epoch))
      yield* until(Effect.sync(() => isMissed(heard, "t")))
      // Within the new epoch everything that Redis has is kept, and nothing twice.
      const { epoch } = yield* old.top("t")
      const { entries } = yield* old.read("t", { epoch, offset: 0 }, 100)
      assert.deepStrictEqual(entries.map((entry) => entry.key), ["1", ...keys])
    }))

  for (const [told, leases, how] of [[2, lease, "as much"], [4, lease, "more"], [2, 600_000, "as much, and it does not compare"]] as const) {
    test(`makes another epoch where a process comes back and others have told something else in the place of what was lost: ${how}`, (redis) =>
      Effect.gen(function*() {
        const { broker: old, cut } = yield* behindGate(redis, { lease: leases })
        const { epochs, seen } = yield* follow(old, "t")
        for (const key of ["1", "2", "3"]) yield* publish(old, "t", key)
        yield* redis.snapshot
        for (const key of ["4", "5"]) yield* publish(old, "t", key)
        yield* until(Effect.sync(() => seen.length === 5))
        yield* cut(true)
        yield* redis.kill
        yield* redis.restore
        yield* redis.start
        const fresh = yield* brokerOf(redis)
        const keys = Array.from({ length: told }, (_, i) => `new ${i + 4}`)
        for (const key of keys) yield* publish(fresh, "t", key)
        assert.strictEqual((yield* fresh.top("t")).offset, 3 + told)
        yield* cut(false)
        yield* until(Effect.map(redis.command("PUBSUB", "NUMSUB", ...channels), (text) => /\n1/.test(`\n${text}`)))
        yield* publish(fresh, "t", "last")
        yield* until(Effect.sync(() => seen.includes("last")))
        assert.strictEqual(epochs.length, 2)
        assert.deepStrictEqual(seen, ["1", "2", "3", "4", "5", "1", "2", "3", ...keys, "last"])
      }))
  }

  test("stays in its epoch where a process comes back and nothing was lost", (redis) =>
    Effect.gen(function*() {
      const { broker, cut } = yield* behindGate(redis)
      const other = yield* brokerOf(redis)
      const { epochs, seen } = yield* follow(broker, "t")
      yield* publish(broker, "t", "0")
      yield* until(Effect.sync(() => seen.length === 1))
      yield* cut(true)
      const keys = Array.from({ length: 20 }, (_, i) => `${i + 1}`)
      for (const key of keys) yield* Effect.andThen(publish(other, "t", key), Effect.sleep(30))
      yield* cut(false)
      yield* until(Effect.sync(() => seen.length === 21))
      yield* Effect.sleep(lease)
      assert.deepStrictEqual([seen, epochs.length], [["0", ...keys], 1])
    }))

  test("makes another epoch where so much was told since a process heard something that nothing proves it heard the same", (redis) =>
    Effect.gen(function*() {
      const broker = yield* brokerOf(redis, { lease: 600_000 })
      yield* broker.subscribe("t")
      const { position: { epoch } } = yield* publish(broker, "t", "1")
      const [state] = (yield* redis.command("KEYS", "*:state")).split("\n")
      const mark = yield* redis.command("HGET", state, "mark")
      const [number, name] = mark.split(".")
      yield* redis.command("HSET", state, "mark", `${Number(number) + 1}.x`, `m:${Number(number) + 1}`, `${Number(number) + 1}.x 2`)
      assert.strictEqual((yield* broker.top("t")).epoch, epoch)
      yield* redis.command("HSET", state, "mark", `${Number(number) + 4097}.${name}`)
      assert.notStrictEqual((yield* broker.top("t")).epoch, epoch)
    }))
})
