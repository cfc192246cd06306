/**
 * A broker on Redis, for a service of several processes, by Effect's `Redis` service.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Deadlines from "../runtime/Deadlines.ts"
import { Inbox } from "./broker/Inbox.ts"
import type { Entry, History } from "./broker/Model.ts"
import { Broker, BrokerError } from "./Broker.ts"
import * as Calls from "./redis/Calls.ts"
import { parseBody } from "./redis/Messages.ts"
import { shardOf, unwritten } from "./redis/Names.ts"
import { Shard, type Shared } from "./redis/Shard.ts"

/**
 * The options of a broker on Redis.
 *
 * **Details**
 *
 * - `prefix`: the beginning of every key and channel, default `effect-ws`. Services that share a Redis have prefixes of their
 *   own, even in different databases: channels know no databases. It has no braces.
 * - `shards`: into how many parts the topics are divided, default 16. Each has one hash slot and one channel, and a process
 *   opens a connection for each channel that it needs. It is fixed once a service has begun: a process with another number fails
 *   to start.
 * - `sharded`: whether sharded channels are used (`SPUBLISH`), for a `Redis` service on a cluster that subscribes by `SSUBSCRIBE`.
 *   Default `false`.
 * - `timeout`: how long Redis may take for an answer, default 5 seconds. Afterwards the operation fails, with
 *   `applied: "unknown"` if it was sent.
 * - `lease`: how long those whom a process entered are present when it dies, default 6 seconds. A third of it is how often a
 *   process compares what it has heard with what was told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly prefix?: string | undefined
  readonly shards?: number | undefined
  readonly sharded?: boolean | undefined
  readonly timeout?: Duration.Input | undefined
  readonly lease?: Duration.Input | undefined
}

/** How the keys are laid out. A version of this library that lays them out differently has another one. */
const layout = "2"

/** Thirty years and some, where somebody says that there is no end. */
const longest = 1e12

const millis = (time: number): string => `${Math.max(0, Math.min(longest, Math.ceil(time)))}`

/**
 * Makes a broker on Redis. It fails if Redis does not answer in time, or if the service has another number of shards.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Broker["Service"], BrokerError, Redis.Redis | Scope.Scope> =>
  Effect.gen(function*() {
    const { prefix = "effect-ws", sharded = false, shards: count = 16 } = options
    if (/[{}]/.test(prefix)) throw new Error(`The prefix of a broker on Redis has no braces, which ${JSON.stringify(prefix)} has`)
    if (!Number.isSafeInteger(count) || count < 1) throw new Error(`A broker on Redis has at least one shard, not ${count}`)
    const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "5 seconds"))
    const lease = Duration.toMillis(Duration.fromInputUnsafe(options.lease ?? "6 seconds"))
    const redis = yield* Redis.Redis
    const random = yield* Random.Random
    const name = () => Math.abs(random.nextIntUnsafe()).toString(36)
    const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
    const run = Effect.runForkWith(yield* Effect.context<never>())
    let isAgreeing = false
    const shared: Shared = {
      redis,
      inbox: new Inbox(),
      deadlines: yield* Deadlines.current,
      prefix,
      publishCommand: sharded ? "SPUBLISH" : "PUBLISH",
      timeout,
      lease,
      owner: `${(yield* Clock.currentTimeMillis).toString(36)}.${name()}`,
      random: name,
      onLost: () => {
        if (isAgreeing) return
        isAgreeing = true
        // What all agree on may be lost too. Who runs already goes on, and says that it should not.
        shared.fork(agree(shared, count).pipe(
          Effect.catchCause((cause) => Effect.logError("The processes of the service no longer agree how topics are divided", cause)),
          Effect.ensuring(Effect.sync(() => {
            isAgreeing = false
          }))
        ))
      },
      fork: (effect) => {
        const fiber = run(effect)
        fibers.add(fiber)
        fiber.addObserver(() => fibers.delete(fiber))
      }
    }
    yield* agree(shared, count)
    const shards = Array.from({ length: count }, (_, index) => new Shard(shared, index))
    yield* Effect.addFinalizer(() => Effect.forEach(shards, (shard) => shard.end, { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Effect.suspend(() => {
        for (const fiber of fibers) fiber.interruptUnsafe()
        // A client that is about to connect to a Redis that does not answer cannot be interrupted.
        return Deadlines.timeoutOption(Fiber.awaitAll(Array.from(fibers)), 500)
      }))
    ))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(Math.ceil(lease / 3)),
      Effect.sync(() => shards.forEach((shard) => shared.fork(shard.tick)))
    )))
    return serve(shared, shards)
  })

/** All processes of a service divide its topics into the same shards. */
const agree = ({ prefix, redis, timeout }: Shared, count: number): Effect.Effect<void, BrokerError> => {
  const key = `{${prefix}}:layout`
  const mine = `${layout} ${count}`
  return Calls.within(
    redis.send("SETNX", key, mine).pipe(
      Effect.andThen(redis.send("GET", key)),
      Effect.mapError(({ cause }) => new Calls.CallFailed("unknown", cause))
    ),
    timeout
  ).pipe(
    Effect.flatMap((found) =>
      found === mine
        ? Effect.void
        : Effect.fail(
          new Calls.CallFailed(
            "no",
            new Error(`The service ${prefix} has the layout ${JSON.stringify(found)}, and this process has ${JSON.stringify(mine)}: version, and shards`)
          )
        )
    ),
    Effect.mapError(failedTo("open"))
  )
}

const failedTo = (operation: BrokerError["operation"]) => ({ applied, cause }: Calls.CallFailed) =>
  new BrokerError({ operation, applied, cause })

const serve = ({ inbox }: Shared, shards: ReadonlyArray<Shard>): Broker["Service"] => {
  const shardFor = (topic: string) => shards[shardOf(topic, shards.length)]
  const failing = <A>(operation: BrokerError["operation"], effect: Effect.Effect<A, Calls.CallFailed>) =>
    Effect.mapError(effect, failedTo(operation))
  return Broker.of({
    publish: (topic, { key, payload }, history) =>
      failing(
        "publish",
        Effect.map(
          shardFor(topic).publish(topic, key, `${JSON.stringify(key)},${JSON.stringify(payload)}`, limitsOf(history)),
          ([epoch, offset, duplicate]) => ({ position: { epoch, offset: Number(offset) }, duplicate: duplicate === "1" })
        )
      ),
    read: (topic, { epoch, offset }, limit) =>
      failing("read", Effect.flatMap(shardFor(topic).read(topic, epoch, offset, limit), entriesOf)),
    top: (topic) =>
      failing("top", Effect.map(shardFor(topic).top(topic), ([epoch, , top]) => ({ epoch, offset: Number(top) }))),
    subscribe: (topic) => {
      const shard = shardFor(topic)
      const uncount = () => Effect.sync(() => shard.uncount(topic))
      return Effect.acquireRelease(
        Effect.onError(failing("subscribe", Effect.andThen(Effect.sync(() => shard.count(topic)), shard.listening)), uncount),
        uncount,
        { interruptible: true }
      )
    },
    heard: inbox.heard,
    signal: (topic, from, payload) => failing("signal", shardFor(topic).signal(topic, from, payload)),
    enter: (topic, presence) => failing("enter", shardFor(topic).enter(topic, presence)),
    leave: (topic, id) => failing("leave", shardFor(topic).leave(topic, id)),
    members: (topic, limit) =>
      failing(
        "members",
        Effect.map(shardFor(topic).members(topic, limit), ([, , count, ...rest]) => ({
          count: Number(count),
          members: Array.from({ length: Math.floor(rest.length / 3) }, (_, i) => ({
            id: unwritten(rest[3 * i]),
            member: unwritten(rest[3 * i + 1]),
            payload: rest[3 * i + 2]
          }))
        }))
      )
  })
}

const limitsOf = ({ keyTimeToLive, size, timeToLive }: History): ReadonlyArray<string> => [
  millis(size),
  millis(timeToLive),
  millis(keyTimeToLive)
]

const entriesOf = ([epoch, , top, oldest, ...rest]: ReadonlyArray<string>) => {
  const entries: Array<Entry> = []
  for (let i = 0; i + 1 < rest.length; i += 2) {
    const entry = parseBody(Number(rest[i]), rest[i + 1])
    if (entry === undefined) return Calls.unreadable
    entries.push(entry)
  }
  return Effect.succeed({ epoch, entries, oldest: Number(oldest), top: Number(top) })
}

/**
 * A broker on Redis.
 *
 * **When to use**
 *
 * Where a service has several processes, or must not lose its topics when it is restarted. Redis 6.2 to 8 and Valkey can be used.
 *
 * **Details**
 *
 * Streams are the history, one script does whatever belongs together, and channels only tell. See "Topics on Redis" in the
 * documentation for what survives a restart or a failover, and how Redis is set up for it.
 *
 * **Example** (On Node)
 *
 * ```ts
 * import { RedisBroker } from "@effect-ws/core/realtime"
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * export const BrokerLive = RedisBroker.layer().pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://localhost:6379", disableOfflineQueue: true }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Broker, BrokerError, Redis.Redis> => Layer.effect(Broker, make(options))
