/** Effect's own RPC over our layers, over the stock ones, and over one of each. */
import { assert, describe, it } from "@effect/vitest"
import { NodeHttpServer, NodeSocket, NodeSocketServer } from "@effect-ws/node"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as StockSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { measure } from "./support/Effort.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Service extends RpcGroup.make(
  Rpc.make("Double", { payload: { n: Schema.Number }, success: Schema.Number, error: Refused }),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("Bulk", { payload: { size: Schema.Number }, success: Schema.String })
) {}

const Handlers = Service.toLayer({
  Double: ({ n }) => n < 0 ? Effect.fail(new Refused({ why: "negative" })) : Effect.succeed(n * 2),
  Count: ({ to }) => Stream.range(1, to),
  Bulk: ({ size }) => Effect.succeed("x".repeat(size))
})

const portOf = (address: NetAddress.SocketAddress): number =>
  "port" in address && typeof address.port === "number" ? address.port : 0

const listen = { host: "127.0.0.1", port: 0 }

/** RPC as a route of an HTTP server. */
const overHttp = (server: typeof NodeHttpServer.layer | typeof StockHttpServer.layer, port = 0) =>
  Effect.map(
    Layer.build(
      HttpRouter.serve(
        RpcServer.layer(Service).pipe(
          Layer.provide(Handlers),
          Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" }))
        ),
        { disableListenLog: true, disableLogger: true }
      ).pipe(
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provideMerge(server(createServer, { ...listen, port }))
      )
    ),
    (context) => portOf(Context.get(context, HttpServer.HttpServer).address)
  )

/** RPC on a socket server. */
const overSockets = (server: Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError>) =>
  Effect.map(
    Layer.build(
      RpcServer.layer(Service).pipe(
        Layer.provide(Handlers),
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provideMerge(server)
      )
    ),
    (context) => portOf(Context.get(context, SocketServer.SocketServer).address)
  )

const client = Effect.fn(function*(socket: Layer.Layer<Socket.Socket>) {
  const context = yield* Layer.build(
    RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced(20) }).pipe(
      Layer.provide(socket),
      Layer.provide(RpcSerialization.layerNdjson)
    )
  )
  return yield* RpcClient.make(Service).pipe(Effect.provide(context))
})

const servers = {
  "our HTTP server": overHttp(NodeHttpServer.layer),
  "the stock HTTP server": overHttp(StockHttpServer.layer),
  "our socket server": overSockets(NodeSocketServer.layerWebSocket(listen)),
  "the stock socket server": overSockets(StockSocketServer.layerWebSocket(listen))
}

const clients = {
  "our client": (url: string) => NodeSocket.layerWebSocket(url),
  "the stock client": (url: string) => StockSocket.layerWebSocket(url)
}

describe("RPC", () => {
  for (const [serverName, server] of Object.entries(servers)) {
    for (const [clientName, connect] of Object.entries(clients)) {
      it.live(`unary, failing and streaming calls: ${serverName}, ${clientName}`, () =>
        Effect.gen(function*() {
          const port = yield* server
          const rpc = yield* client(connect(`ws://127.0.0.1:${port}/rpc`))
          assert.strictEqual(yield* rpc.Double({ n: 21 }), 42)
          assert.deepStrictEqual(yield* Effect.flip(rpc.Double({ n: -1 })), new Refused({ why: "negative" }))
          const counted = yield* Stream.runCollect(rpc.Count({ to: 1000 }))
          assert.deepStrictEqual(counted, Array.from({ length: 1000 }, (_, i) => i + 1))
          const many = yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) => rpc.Double({ n }), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(many, Array.from({ length: 100 }, (_, n) => n * 2))
          assert.strictEqual((yield* rpc.Bulk({ size: 500_000 })).length, 500_000)
        }))
    }
  }

  it.effect("a test's Clock that stands still holds up nothing, the end included", () =>
    Effect.gen(function*() {
      const port = yield* overHttp(NodeHttpServer.layer)
      const rpc = yield* client(NodeSocket.layerWebSocket(`ws://127.0.0.1:${port}/rpc`))
      assert.strictEqual(yield* rpc.Double({ n: 21 }), 42)
      const counted = yield* Stream.runCollect(rpc.Count({ to: 10 }))
      assert.strictEqual(counted.length, 10)
    }))

  it.live("a client finds its server again after a restart", () =>
    Effect.gen(function*() {
      const first = yield* Scope.make()
      const port = yield* Scope.provide(overHttp(NodeHttpServer.layer), first)
      const rpc = yield* client(NodeSocket.layerWebSocket(`ws://127.0.0.1:${port}/rpc`))
      assert.strictEqual(yield* rpc.Double({ n: 1 }), 2)
      const isQuick = measure()
      yield* Scope.close(first, Exit.void)
      isQuick()
      const lost = yield* Effect.exit(rpc.Double({ n: 2 }))
      assert.isTrue(Exit.isFailure(lost))
      yield* overHttp(NodeHttpServer.layer, port)
      const answer = yield* rpc.Double({ n: 3 }).pipe(
        Effect.retry(Schedule.spaced(20)),
        Effect.timeout("5 seconds")
      )
      assert.strictEqual(answer, 6)
    }))

  it.live("a call that waits fails with RpcClientError when the connection breaks", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const Hang = RpcGroup.make(Rpc.make("Hang", { success: Schema.Void }))
      const scope = yield* Scope.make()
      const context = yield* Layer.build(
        HttpRouter.serve(
          RpcServer.layer(Hang).pipe(
            Layer.provide(Hang.toLayer({ Hang: () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never) })),
            Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" }))
          ),
          { disableListenLog: true, disableLogger: true }
        ).pipe(
          Layer.provide(RpcSerialization.layerJson),
          Layer.provideMerge(NodeHttpServer.layer(createServer, listen))
        )
      ).pipe(Scope.provide(scope))
      const port = portOf(Context.get(context, HttpServer.HttpServer).address)
      const protocol = yield* Layer.build(
        RpcClient.layerProtocolSocket().pipe(
          Layer.provide(NodeSocket.layerWebSocket(`ws://127.0.0.1:${port}/rpc`)),
          Layer.provide(RpcSerialization.layerJson)
        )
      )
      const rpc = yield* RpcClient.make(Hang).pipe(Effect.provide(protocol))
      const call = yield* Effect.forkChild(Effect.flip(rpc.Hang()))
      yield* Deferred.await(asked)
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.timeout(Fiber.join(call), "5 seconds")
      assert.strictEqual(error._tag, "RpcClientError")
      assert.strictEqual(error.reason._tag, "SocketCloseError")
    }))
})
