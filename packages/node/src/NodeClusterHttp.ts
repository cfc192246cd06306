/**
 * Effect's cluster over WebSockets: `NodeClusterHttp` of `@effect/platform-node` with connections of this
 * library between the runners.
 *
 * @since 0.1.0
 */
import "./transport/NodeVersion.ts"
import { EffectSocket, type WebSocketClient } from "@effect-ws/core"
import * as StockClusterHttp from "@effect/platform-node/NodeClusterHttp"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as HttpRunner from "effect/cluster/HttpRunner"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerServer from "effect/cluster/RunnerServer"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import type * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import type * as SqlClient from "effect/sql/SqlClient"
import { createServer } from "node:http"
import * as NodeHttpServer from "./NodeHttpServer.ts"
import * as NodeWebSocketClient from "./NodeWebSocketClient.ts"

/**
 * @since 0.1.0
 */
export * from "@effect/platform-node/NodeClusterHttp"

type Options = Parameters<typeof StockClusterHttp.layer>[0]

/**
 * How runners call each other over WebSockets, instead of `HttpRunner.layerClientProtocolWebsocket`: writers
 * wait for a slow runner, which that layer's `Socket.WebSocketConstructor` does not allow.
 *
 * **Example** (Runners on their own path)
 *
 * ```ts
 * import { NodeClusterHttp } from "@effect-ws/node"
 * import { Layer } from "effect"
 * import { HttpRunner } from "effect/cluster"
 * import { HttpRouter } from "effect/http"
 *
 * export const Runner = HttpRouter.serve(HttpRunner.layerWebsocketOptions({ path: "/cluster" })).pipe(
 *   Layer.provide(NodeClusterHttp.layerClientProtocolWebsocket({ path: "/cluster" })),
 *   Layer.provide(NodeClusterHttp.layerHttpServer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClientProtocolWebsocket = (
  options: EffectSocket.SocketOptions & { readonly path: string; readonly https?: boolean | undefined }
): Layer.Layer<Runners.RpcClientProtocol, never, RpcSerialization.RpcSerialization> =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.gen(function*() {
      const { https, path, ...socketOptions } = options
      const serialization = yield* RpcSerialization.RpcSerialization
      const connector = yield* Effect.context<WebSocketClient.Connector>()
      const base = (host: string, port: number) =>
        `${https === true ? "wss" : "ws"}://${NetAddress.formatUrlHostString(host)}:${port}`
      return Runners.RpcClientProtocol.of({
        codecFor: serialization.codecFor,
        make: ({ host, port }) =>
          EffectSocket.makeSocket(base(host, port) + (path.startsWith("/") ? path : `/${path}`), socketOptions).pipe(
            Effect.provideContext(connector),
            Effect.flatMap((socket) => Effect.provideService(RpcClient.makeProtocolSocket(), Socket.Socket, socket)),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
      })
    })
  ).pipe(Layer.provide(NodeWebSocketClient.layer))

/**
 * The HTTP server of a runner, on its address in `ShardingConfig`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttpServer: Layer.Layer<
  HttpServer.HttpServer | NodeServices.NodeServices | HttpPlatform.HttpPlatform | Etag.Generator,
  HttpServerError.ServeError,
  ShardingConfig.ShardingConfig
> = Layer.unwrap(Effect.gen(function*() {
  const { runnerAddress, runnerListenAddress } = yield* ShardingConfig.ShardingConfig
  const address = runnerListenAddress._tag === "Some" ? runnerListenAddress : runnerAddress
  if (address._tag === "None") return yield* Effect.die("ShardingConfig has no runnerAddress to listen on")
  return NodeHttpServer.layer(() => createServer(), { host: address.value.host, port: address.value.port })
}))

/**
 * A cluster whose runners talk over WebSockets or HTTP. It has the options of the layer of that name in
 * `@effect/platform-node` and provides the same services.
 *
 * **Details**
 *
 * With `transport: "websocket"` both sides are of this library, with backpressure; with `"http"` it is the
 * stock layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = ((options: Options): Layer.Layer<never, unknown, unknown> =>
  options.transport === "http" ? StockClusterHttp.layer(options) as never : overWebSockets(options)) as
    typeof StockClusterHttp.layer

const clientProtocol = layerClientProtocolWebsocket({ path: "/" })

const overWebSockets = (options: Options) => {
  const storage = options.storage ?? "sql"
  const runners = options.clientOnly === true
    ? RunnerServer.layerClientOnly.pipe(Layer.provide(clientProtocol))
    : HttpRouter.serve(HttpRunner.layerWebsocketOptions({ path: "/" })).pipe(
      Layer.provide(clientProtocol),
      Layer.provide(layerHttpServer),
      Layer.provide(
        options.runnerHealth === "k8s"
          ? Layer.provide(RunnerHealth.layerK8s(options.runnerHealthK8s), StockClusterHttp.layerK8sHttpClient)
          : RunnerHealth.layerPing.pipe(Layer.provide(Runners.layerRpc), Layer.provide(clientProtocol))
      )
    )
  const messages: Layer.Layer<MessageStorage.MessageStorage, unknown, SqlClient.SqlClient | ShardingConfig.ShardingConfig> =
    storage === "sql"
      ? Layer.provide(SqlMessageStorage.layer, NodeCrypto.layerDigest)
      : MessageStorage.layerNoop
  const registry: Layer.Layer<RunnerStorage.RunnerStorage, unknown, SqlClient.SqlClient | ShardingConfig.ShardingConfig> =
    storage === "sql" ? Layer.orDie(SqlRunnerStorage.layer) : RunnerStorage.layerMemory
  const stored: Layer.Layer<
    Sharding.Sharding | Runners.Runners,
    HttpServerError.ServeError | Config.ConfigError | unknown,
    unknown
  > = storage === "byo"
    ? runners
    : runners.pipe(Layer.provideMerge(messages), Layer.provide(registry))
  return stored.pipe(
    Layer.provide(ShardingConfig.layerFromEnv(options.shardingConfig)),
    Layer.provide(
      options.serialization === "ndjson"
        ? RpcSerialization.layerNdjsonWith({ maxBufferSize: options.serializationMaxBufferSize })
        : RpcSerialization.layerSchemaBinary({ maxFrameSize: options.serializationMaxBufferSize })
    )
  )
}
