/** A Redis Cluster of its own for a test: three masters on this machine, and as many replicas if asked for. */
import { execFileSync } from "node:child_process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
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
