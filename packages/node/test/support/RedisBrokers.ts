/** Brokers on a Redis, the processes and connections around them, and what is heard of them. */
import { spawn } from "node:child_process"
import { createServer, connect, type Socket } from "node:net"
import { NodeRedis } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { type Broker, RedisBroker } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RedisService from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Redis from "./RedisServer.ts"

type Service = Broker.Broker["Service"]

const history = { size: 10_000, timeToLive: 600_000, keyTimeToLive: 600_000 }
export const lease = 1500
export const timeout = 1000

/** The broker of a process of its own: with its own connections. */
export const brokerOf = (redis: Redis.RedisServer, options: RedisBroker.Options = {}) =>
  Effect.flatMap(
    Layer.build(redis.layer()),
    (context) => Effect.provideContext(RedisBroker.make({ lease, timeout, ...options }), context)
  )

export const publish = (broker: Service, topic: string, key: string) => broker.publish(topic, { key, payload: key }, history)

export const listen = (broker: Service) =>
  Effect.gen(function*() {
    const heard: Array<Broker.Heard> = []
    yield* Effect.forkScoped(Stream.runForEach(broker.heard, (event) => Effect.sync(() => heard.push(event))))
    return heard
  })

export const until = <E>(holds: Effect.Effect<boolean, E>) =>
  Effect.suspend(() => holds).pipe(
    Effect.filterOrFail((holds) => holds),
    Effect.retry(Schedule.spaced(50)),
    Effect.timeout("45 seconds"),
    Effect.orDie
  )

export const isMissed = (heard: ReadonlyArray<Broker.Heard>, topic: string) =>
  heard.some((event) => event._tag === "Missed" && (event.topic === topic || event.topic === undefined))

/** What a subscriber makes of a broker: the log, by what it hears and what it reads where it missed something. */
export const follow = (broker: Service, topic: string) =>
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
export const run = (redis: Redis.RedisServer, topic: string, what: string, count: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [new URL("./topicProcess.ts", import.meta.url).pathname, redis.url, topic, what, `${count}`], {
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
export const listening = (
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
export const behindGate = (redis: Redis.RedisServer, options?: RedisBroker.Options) =>
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

export const members = (broker: Service, topic: string) => Effect.map(broker.members(topic, 100), ({ count }) => count)

export const test = (name: string, body: (redis: Redis.RedisServer) => Effect.Effect<void, unknown, Scope.Scope>, args: ReadonlyArray<string> = []) =>
  it.live(name, () => Effect.flatMap(Redis.make({ args }), body).pipe(Effect.provide(Logger.layer([]))), 120_000)

/** The channels of all shards. */
export const channels = Array.from({ length: 16 }, (_, shard) => `{effect-ws:${shard}}`)
