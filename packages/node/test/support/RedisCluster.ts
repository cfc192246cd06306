/** A Redis Cluster of its own for a test: three masters on this machine, and as many replicas if asked for. */
import { execFileSync } from "node:child_process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createClient } from "redis"
import * as Redis from "./RedisServer.ts"

export interface RedisCluster {
  /** Masters first. */
  readonly nodes: ReadonlyArray<Redis.RedisServer>
}

export const make = (replicas: 0 | 1): Effect.Effect<RedisCluster, never, Scope.Scope> =>
  Effect.gen(function*() {
    const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
    const nodes = yield* Effect.forEach(Array.from({ length: 3 * (1 + replicas) }), () => Redis.make({ args }))
    const create = Effect.sync(() =>
      execFileSync(Redis.cli, [
        "--cluster", "create", ...nodes.map(({ port }) => `127.0.0.1:${port}`), "--cluster-replicas", `${replicas}`, "--cluster-yes"
      ], { stdio: "ignore" })
    )
    yield* create
    const isUp = Effect.map(
      Effect.forEach(nodes, (node) => Effect.all([node.command("CLUSTER", "INFO"), node.command("INFO", "replication")])),
      (infos) =>
        infos.every(([cluster]) => cluster.includes("cluster_state:ok")) &&
        infos.filter(([, replication]) => replication.includes("master_link_status:up")).length === 3 * replicas
    )
    yield* Effect.gen(function*() {
      while (!(yield* isUp)) yield* Effect.sleep(100)
    })
    return { nodes }
  })

/** What a node is asked by its own protocol: keys may have line breaks in them. */
const asking = ({ url }: Redis.RedisServer) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = createClient({ url })
        client.on("error", () => {})
        return await client.connect()
      }),
      (client) => Effect.sync(() => client.destroy())
    ),
    (client) => (...command: ReadonlyArray<string>) => Effect.promise(() => client.sendCommand([...command]) as Promise<unknown>)
  )

/** All keys of all nodes. */
export const keys = ({ nodes }: RedisCluster): Effect.Effect<ReadonlyArray<string>> =>
  Effect.scoped(Effect.map(
    Effect.forEach(nodes, (node) => Effect.flatMap(asking(node), (ask) => ask("KEYS", "*"))),
    (all) => all.flat().map(String).sort()
  ))

/**
 * Moves the slot of a key to another master, key by key, as `redis-cli --cluster reshard` does. Of those that are there the first one in
 * `order` moves next, and `between` runs behind each step.
 */
export const moveSlot = (
  { nodes }: RedisCluster,
  key: string,
  order: (a: string, b: string) => number,
  between: Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const all = yield* Effect.forEach(nodes, (node) =>
      Effect.gen(function*() {
        const ask = yield* asking(node)
        return { node, ask, id: String(yield* ask("CLUSTER", "MYID")) }
      }))
    const slot = String(yield* all[0].ask("CLUSTER", "KEYSLOT", key))
    const shards = (yield* all[0].ask("CLUSTER", "SLOTS")) as ReadonlyArray<[from: number, to: number, node: [host: string, port: number, id: string]]>
    const owner = shards.find(([from, to]) => from <= Number(slot) && Number(slot) <= to)![2][2]
    const from = all.find(({ id }) => id === owner)!
    const to = all.find(({ id }) => id !== owner)!
    yield* to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id)
    yield* from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
    yield* between
    while (true) {
      const [next] = ((yield* from.ask("CLUSTER", "GETKEYSINSLOT", slot, "10000")) as ReadonlyArray<string>).toSorted(order)
      if (next === undefined) break
      yield* from.ask("MIGRATE", "127.0.0.1", `${to.node.port}`, "", "0", "5000", "KEYS", next)
      yield* between
    }
    for (const { ask } of [to, from, ...all]) yield* ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)
  }))
