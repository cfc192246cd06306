import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, connect, type Socket } from "node:net"
import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Broker, RedisBroker } from "@effect-ws/core/realtime"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RedisService from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Redis from "../support/RedisServer.ts"

type Service = Broker.Broker["Service"]

const history = { size: 10_000, timeToLive: 600_000, keyTimeToLive: 600_000 }
const lease = 1500
const timeout = 1000

/** The broker of a process of its own: with its own connections. */
const brokerOf = (redis: Redis.RedisServer, options: RedisBroker.Options = {}) =>
  Effect.flatMap(
    Layer.build(redis.layer()),
    (context) => Effect.provideContext(RedisBroker.make({ lease, timeout, ...options }), context)
  )

const publish = (broker: Service, topic: string, key: string) => broker.publish(topic, { key, payload: key }, history)

const listen = (broker: Service) =>
  Effect.gen(function*() {
    const heard: Array<Broker.Heard> = []
    yield* Effect.forkScoped(Stream.runForEach(broker.heard, (event) => Effect.sync(() => heard.push(event))))
    return heard
  })

const until = <E>(holds: Effect.Effect<boolean, E>) =>
  Effect.suspend(() => holds).pipe(
    Effect.filterOrFail((holds) => holds),
    Effect.retry(Schedule.spaced(50)),
    Effect.timeout("45 seconds"),
    Effect.orDie
  )

const isMissed = (heard: ReadonlyArray<Broker.Heard>, topic: string) =>
  heard.some((event) => event._tag === "Missed" && (event.topic === topic || event.topic === undefined))

/** What a subscriber makes of a broker: the log, by what it hears and what it reads where it missed something. */
const follow = (broker: Service, topic: string) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    yield* broker.subscribe(topic)
    let { epoch, offset } = yield* broker.top(topic)
    const epochs = [epoch]
    const catchUp: Effect.Effect<void> = Effect.suspend(() => broker.read(topic, { epoch, offset }, 500)).pipe(
      Effect.retry(Schedule.spaced(50)),
      Effect.orDie,
      Effect.flatMap((read) => {
        if (read.epoch !== epoch) epochs.push(epoch = read.epoch)
        for (const entry of read.entries) {
          seen.push(entry.payload)
          offset = entry.offset
        }
        return offset < read.top ? catchUp : Effect.void
      })
    )
    yield* Effect.forkScoped(Stream.runForEach(broker.heard, (event) => {
      if (event._tag === "Missed") return catchUp
      if (event._tag !== "Published" || event.topic !== topic) return Effect.void
      if (event.epoch !== epoch || event.entry.offset > offset + 1) return catchUp
      if (event.entry.offset <= offset) return Effect.void
      seen.push(event.entry.payload)
      offset = event.entry.offset
      return Effect.void
    }))
    return { seen, epochs }
  })

/** A process that can be killed. Done when it has printed what is waited for. */
const run = (redis: Redis.RedisServer, topic: string, what: string, count: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [new URL("../support/topicProcess.ts", import.meta.url).pathname, redis.url, topic, what, `${count}`], {
        stdio: ["ignore", "pipe", "ignore"]
      })
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
      })
      return {
        prints: (line: string) => until(Effect.sync(() => output.includes(`${line}\n`))),
        kill: (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal))
      }
    }),
    (child) => child.kill("SIGKILL")
  )

type Messages = Queue.Queue<RedisService.RedisMessage, RedisService.RedisError>

/** A broker that is told what a test lets through from each of its subscriptions. */
const listening = (
  redis: Redis.RedisServer,
  through: (queue: Queue.Dequeue<RedisService.RedisMessage, RedisService.RedisError>, taken: Messages) => Effect.Effect<unknown, RedisService.RedisError, Scope.Scope>
) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(redis.layer())
    const inner = yield* Effect.provideContext(RedisService.Redis, context)
    const queues: Array<Messages> = []
    const service = RedisService.Redis.of({
      ...inner,
      subscribe: (channel) =>
        Effect.gen(function*() {
          const taken: Messages = yield* Queue.unbounded<RedisService.RedisMessage, RedisService.RedisError>()
          yield* Effect.ignore(through(yield* inner.subscribe(channel), taken))
          queues.push(taken)
          return taken
        })
    })
    const broker = yield* RedisBroker.make({ lease, timeout }).pipe(Effect.provideService(RedisService.Redis, service))
    return { broker, queues }
  })

/** A broker whose connections can be cut, and are refused until they are let through again. */
const behindGate = (redis: Redis.RedisServer, options?: RedisBroker.Options) =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    let isCut = false
    const server = createServer((socket) => {
      if (isCut) return void socket.destroy()
      const other = connect(redis.port, "127.0.0.1")
      for (const [from, to] of [[socket, other], [other, socket]] as const) {
        sockets.add(from)
        from.on("error", () => {})
        from.on("close", () => {
          sockets.delete(from)
          to.destroy()
        })
        from.pipe(to)
      }
    })
    const port = yield* Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as { port: number }).port)))
    })
    const cut = (value: boolean) =>
      Effect.sync(() => {
        isCut = value
        if (isCut) for (const socket of sockets) socket.destroy()
      })
    yield* Effect.addFinalizer(() => Effect.andThen(cut(true), Effect.sync(() => server.close())))
    const broker = yield* brokerOf({ ...redis, layer: () => NodeRedis.layer({ url: `redis://127.0.0.1:${port}`, disableOfflineQueue: true }) }, options)
    return { broker, cut }
  })

const members = (broker: Service, topic: string) => Effect.map(broker.members(topic, 100), ({ count }) => count)

const test = (name: string, body: (redis: Redis.RedisServer) => Effect.Effect<void, unknown, Scope.Scope>, args: ReadonlyArray<string> = []) =>
  it.live(name, () => Effect.flatMap(Redis.make({ args }), body).pipe(Effect.provide(Logger.layer([]))), 120_000)

describe.skipIf(Redis.missing !== undefined)("a broker on Redis", () => {
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

const channels = Array.from({ length: 16 }, (_, shard) => `{effect-ws:${shard}}`)
