/**
 * Effect's `Redis` service on a Redis Cluster, by the cluster client of `redis` (node-redis).
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import type { RedisClusterOptions } from "redis"
import { keyOf } from "./redis/CommandKey.ts"

/**
 * The options of node-redis' `createCluster`: `rootNodes`, `defaults` and others.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = RedisClusterOptions

/**
 * Provides the `Redis` service on a Redis Cluster of version 7 or later, for topics that one Redis cannot carry.
 *
 * **When to use**
 *
 * With `RedisBroker.layer({ sharded: true })`. A broker divides its topics into shards, each of which lies on one node.
 *
 * **Details**
 *
 * - `send` routes a command by its first argument, and `EVAL` and `EVALSHA` by their first key. Commands without a key (`PING`, `INFO`,
 *   `PUBLISH` and others) go to any node.
 * - `eval` runs a script on the node of its first key, and loads it there if it has to.
 * - `subscribe` uses sharded channels: what is published by `SPUBLISH` is heard.
 * - The package `redis` has to be installed, 6.3 or later. Version 5 does not notice that a node is replaced by another one.
 *
 * **Gotchas**
 *
 * `reserve` fails: a connection of its own reaches one node, and not the keys of the others.
 *
 * **Example** (A broker on a cluster)
 *
 * ```ts
 * import { RedisBroker } from "@effect-ws/core/realtime"
 * import { NodeRedisCluster } from "@effect-ws/node"
 * import { Layer } from "effect"
 *
 * export const BrokerLive = RedisBroker.layer({ sharded: true }).pipe(
 *   Layer.provide(NodeRedisCluster.layer({
 *     rootNodes: [{ url: "redis://10.0.0.1:6379" }, { url: "redis://10.0.0.2:6379" }]
 *   }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Redis.Redis, Redis.RedisError> => Layer.effect(Redis.Redis, make(options))

const attempt = <A>(f: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, Redis.RedisError> =>
  Effect.tryPromise({ try: f, catch: (cause) => new Redis.RedisError({ cause }) })

const make = Effect.fnUntraced(function*(options: Options) {
  // The package is asked for where it is needed, so that nobody else has to install it.
  const { createCluster } = yield* attempt(() => import("redis"))
  const runSync = Effect.runSyncWith(yield* Effect.context<never>())
  const terminals = new Map<string, Deferred.Deferred<void, Redis.RedisError>>()
  const cluster = yield* Effect.acquireRelease(
    Effect.sync(() => createCluster(options)),
    // A node that does not answer must not hold up the end.
    (cluster) =>
      attempt(() => cluster.close()).pipe(
        Effect.timeout("1 second"),
        Effect.catch(() => Effect.sync(() => cluster.destroy())),
        Effect.ignoreCause
      )
  )
  cluster.on("error", (cause: unknown) => runSync(Effect.logWarning("Redis Cluster client error", cause)))
  // A channel that moved with its slot, and could not be followed.
  cluster.on("sharded-channel-moved-error", (cause: unknown, channel: string) => {
    const terminal = terminals.get(channel)
    if (terminal !== undefined) runSync(Deferred.fail(terminal, new Redis.RedisError({ cause })))
  })
  yield* attempt(() => cluster.connect())

  const scripts = new Map<string, string>()
  const send = <A>(command: string, ...args: ReadonlyArray<string>): Effect.Effect<A, Redis.RedisError> => {
    if (command.toUpperCase() === "SCRIPT" && args[0]?.toUpperCase() === "LOAD") {
      // It is loaded where it is run.
      const sha = createHash("sha1").update(args[1]).digest("hex")
      scripts.set(sha, args[1])
      return Effect.succeed(sha as A)
    }
    // What a command answers is for its caller to know, as with Effect's own `send`.
    const run = (name: string, args: ReadonlyArray<string>) =>
      attempt(() => cluster.sendCommand(keyOf(name, args), false, [name, ...args]) as Promise<A>)
    const lua = command.toUpperCase() === "EVALSHA" ? scripts.get(args[0]) : undefined
    return lua === undefined ? run(command, args) : Effect.catchIf(
      run(command, args),
      (error) => String(error.cause).includes("NOSCRIPT"),
      () => run("EVAL", [lua, ...args.slice(1)])
    )
  }

  return yield* Redis.make({
    send,
    connect: Effect.fail(
      new Redis.RedisError({ cause: new Error("A connection to a Redis Cluster reaches one node: use `send`, which reaches all") })
    ),
    subscribe: Effect.fnUntraced(function*(channel, onMessage) {
      const terminal = yield* Deferred.make<void, Redis.RedisError>()
      const listener = (message: string) => onMessage({ channel, message })
      yield* Effect.acquireRelease(
        attempt(async (signal) => {
          await cluster.sSubscribe(channel, listener)
          // Nobody waits for it any more.
          if (signal.aborted) await cluster.sUnsubscribe(channel, listener)
        }),
        () => {
          if (terminals.get(channel) === terminal) terminals.delete(channel)
          return Effect.ignore(attempt(() => Promise.resolve(cluster.sUnsubscribe(channel, listener))).pipe(Effect.timeout("1 second")))
        },
        { interruptible: true }
      )
      terminals.set(channel, terminal)
      return Deferred.await(terminal)
    })
  })
})
