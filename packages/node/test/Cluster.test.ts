/** Effect's cluster over WebSockets: two runners and a client, on our layers and on the stock ones. */
import { assert, describe, it } from "@effect/vitest"
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as HttpRunner from "effect/cluster/HttpRunner"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SocketRunner from "effect/cluster/SocketRunner"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { listen, ours, portOf, sets, type stock } from "./support/Stock.ts"

type Set = typeof ours | typeof stock

const Counter = Entity.make("Counter", [
  Rpc.make("Add", { payload: { n: Schema.Number }, success: Schema.Number }),
  Rpc.make("UpTo", { payload: { n: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("Size", { payload: { text: Schema.String }, success: Schema.Number })
]).annotateRpcs(ClusterSchema.Persisted, false)

const Counters = Counter.toLayer(Effect.sync(() => {
  let sum = 0
  return {
    Add: ({ payload }) => Effect.sync(() => sum += payload.n),
    UpTo: ({ payload }) => Stream.range(1, payload.n),
    Size: ({ payload }) => Effect.succeed(payload.text.length)
  }
}))

const storage = Layer.mergeAll(RunnerStorage.layerMemory, MessageStorage.layerMemory, Logger.layer([])).pipe(
  Layer.provide(ShardingConfig.layerDefaults)
)

const config = (port: number): Partial<ShardingConfig.ShardingConfig["Service"]> => ({
  runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", port)),
  entityTerminationTimeout: 0,
  entityMessagePollInterval: 5_000,
  sendRetryInterval: 50
})

/** What a client sees of a cluster. */
const use = Effect.gen(function*() {
  const counter = yield* Counter.client
  assert.strictEqual(yield* counter("a").Add({ n: 2 }), 2)
  assert.strictEqual(yield* counter("a").Add({ n: 3 }), 5)
  assert.strictEqual(yield* counter("b").Add({ n: 1 }), 1)
  const got = yield* Stream.runCollect(counter("a").UpTo({ n: 100 }))
  assert.strictEqual(got.length, 100)
  assert.strictEqual(yield* counter("b").Size({ text: "x".repeat(300_000) }), 300_000)
})

const freePort = ({ NodeSocketServer }: Set) =>
  Effect.scoped(Effect.map(NodeSocketServer.make(listen), portOf))

describe("SocketRunner on a WebSocket SocketServer", () => {
  for (const [serverName, server] of Object.entries(sets)) {
    for (const [clientName, client] of Object.entries(sets)) {
      it.live(`server ${serverName}, client ${clientName}`, () =>
        Effect.gen(function*() {
          const sockets = Context.get(
            yield* Layer.build(server.NodeSocketServer.layerWebSocket(listen)),
            SocketServer.SocketServer
          )
          const protocol = HttpRunner.layerClientProtocolWebsocketDefault.pipe(
            Layer.provide(client.NodeSocket.layerWebSocketConstructor)
          )
          yield* Layer.build(Counters.pipe(
            Layer.provideMerge(SocketRunner.layer),
            Layer.provide(RunnerHealth.layerNoop),
            Layer.provide(Layer.succeed(SocketServer.SocketServer, sockets)),
            Layer.provide(protocol),
            Layer.provide(ShardingConfig.layer(config(portOf(sockets)))),
            Layer.provide(RpcSerialization.layerSchemaBinary())
          ))
          yield* Effect.provide(
            use,
            SocketRunner.layerClientOnly.pipe(
              Layer.provide(protocol),
              Layer.provide(ShardingConfig.layer(config(portOf(sockets)))),
              Layer.provide(RpcSerialization.layerSchemaBinary())
            )
          )
        }).pipe(Effect.provide(storage)), 20_000)
    }
  }
})

describe("HttpRunner over WebSockets", () => {
  for (const [name, set] of Object.entries(sets)) {
    it.live(`HttpRunner.layerWebsocket: ${name}`, () =>
      Effect.gen(function*() {
        const server = Context.get(
          yield* Layer.build(set.NodeHttpServer.layer(() => createServer(), listen)),
          HttpServer.HttpServer
        )
        const shared = Layer.mergeAll(
          ShardingConfig.layer(config(portOf(server))),
          RpcSerialization.layerNdjson,
          set.NodeSocket.layerWebSocketConstructor
        )
        yield* Layer.build(Counters.pipe(
          Layer.provideMerge(HttpRunner.layerWebsocket),
          Layer.provide(RunnerHealth.layerNoop),
          Layer.provide(Layer.succeed(HttpServer.HttpServer, server)),
          Layer.provide(shared)
        ))
        yield* Effect.provide(use, Layer.provide(HttpRunner.layerWebsocketClientOnly, shared))
      }).pipe(Effect.provide(storage)), 20_000)

    it.live(`NodeClusterHttp.layer: ${name}`, () =>
      Effect.gen(function*() {
        const port = yield* freePort(set)
        const options = { transport: "websocket", storage: "byo", shardingConfig: config(port) } as const
        yield* Layer.build(Layer.provideMerge(Counters, set.NodeClusterHttp.layer(options)))
        yield* Effect.provide(use, set.NodeClusterHttp.layer({ ...options, clientOnly: true, serialization: "binary" }))
      }).pipe(Effect.provide(storage)), 20_000)
  }

  it.live("our client protocol, on a path of its own", () =>
    Effect.gen(function*() {
      const port = yield* freePort(ours)
      const path = "/cluster"
      const shared = Layer.provideMerge(
        ours.NodeClusterHttp.layerClientProtocolWebsocket({ path }),
        Layer.merge(ShardingConfig.layer(config(port)), RpcSerialization.layerSchemaBinary())
      )
      yield* Layer.build(Counters.pipe(
        Layer.provideMerge(HttpRouter.serve(HttpRunner.layerWebsocketOptions({ path }), { disableListenLog: true })),
        Layer.provide(RunnerHealth.layerNoop),
        Layer.provide(ours.NodeClusterHttp.layerHttpServer),
        Layer.provide(shared)
      ))
      yield* Effect.provide(use, Layer.provide(SocketRunner.layerClientOnly, shared))
    }).pipe(Effect.provide(storage)), 20_000)
})
