/** What `docs/migration.md` says of the stock engine and of ours, so that neither can change behind its back. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode } from "@effect-ws/core"
import { NodeHttpServer, NodeSocket } from "@effect-ws/node"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { createServer } from "node:http"
import { measure } from "./support/Effort.ts"
import { clientFrame, connectRaw, upgradeRequest } from "./support/RawPeer.ts"
import { listen, portOf } from "./support/Stock.ts"

const engines = { ours: NodeHttpServer.layer, stock: StockHttpServer.layer }

const build = <E, R>(engine: keyof typeof engines, routes: Layer.Layer<never, E, R>) =>
  Effect.map(
    Layer.build(
      HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provideMerge(engines[engine](() => createServer(), listen))
      )
    ),
    (context) => portOf(Context.get(context, HttpServer.HttpServer))
  )

const answerTo = Effect.fnUntraced(function*(port: number, request: string) {
  const peer = yield* connectRaw(port)
  peer.write(request)
  return { ...yield* peer.head, peer }
})

/** Reads until the socket ends, whatever ends it, and calls that a success. */
const drain = (headers: Record<string, string> = {}) =>
  HttpRouter.add("GET", "/", Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* request.upgradeWith({ headers })
    yield* Effect.gen(function*() {
      const { pull } = yield* socket.reader
      return yield* Effect.forever(pull)
    }).pipe(Effect.scoped, Effect.ignore)
    return HttpServerResponse.empty()
  }))

const differs = <A>(
  what: string,
  expected: { readonly ours: A; readonly stock: A },
  see: (engine: keyof typeof engines) => Effect.Effect<A, unknown, Scope.Scope>
) => {
  for (const engine of ["ours", "stock"] as const) {
    it.live(`${what}: ${engine} ${String(expected[engine])}`, () =>
      Effect.map(see(engine), (seen) => {
        assert.deepStrictEqual(seen, expected[engine])
      }))
  }
}

describe("differences", () => {
  differs("upgradeWith headers of a WebSocket", { ours: 101, stock: 500 }, (engine) =>
    Effect.gen(function*() {
      const port = yield* build(engine, drain({ "x-a": "b" }))
      return (yield* answerTo(port, upgradeRequest("/"))).status
    }))

  differs("a page of another host", { ours: 403, stock: 101 }, (engine) =>
    Effect.gen(function*() {
      const port = yield* build(engine, drain())
      return (yield* answerTo(port, upgradeRequest("/", { Origin: "http://other.example" }))).status
    }))

  differs("a message of 2 MiB", { ours: 1009, stock: undefined }, (engine) =>
    Effect.gen(function*() {
      const port = yield* build(engine, drain())
      const { peer } = yield* answerTo(port, upgradeRequest("/"))
      peer.write(clientFrame(Opcode.Binary, new Uint8Array(2 << 20)), clientFrame(Opcode.Ping, "1"))
      const [frame] = yield* peer.untilFrames(1)
      return frame.opcode === Opcode.Close ? (frame.data[0] << 8) + frame.data[1] : undefined
    }))

  differs("a request with a body", { ours: 400, stock: 101 }, (engine) =>
    Effect.gen(function*() {
      const port = yield* build(engine, drain())
      return (yield* answerTo(port, `${upgradeRequest("/", { "Content-Length": "2" })}{}`)).status
    }))
})

const Hang = RpcGroup.make(Rpc.make("Hang", { success: Schema.Void }))

describe("RPC", () => {
  const route = (onCall: Effect.Effect<void>) =>
    RpcServer.layer(Hang).pipe(
      Layer.provide(Hang.toLayer({ Hang: () => Effect.andThen(onCall, Effect.never) })),
      Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" })),
      Layer.provide(RpcSerialization.layerNdjson)
    )

  it.live("a refused handshake is answered as such, though the protocol takes it for an end", () =>
    Effect.gen(function*() {
      const port = yield* build("ours", route(Effect.void))
      const answer = (headers: Record<string, string>) =>
        Effect.map(answerTo(port, upgradeRequest("/rpc", headers)), ({ status }) => status)
      assert.strictEqual(yield* answer({ Origin: "http://other.example" }), 403)
      assert.strictEqual(yield* answer({ "Sec-WebSocket-Version": "12" }), 426)
      assert.strictEqual(yield* answer({}), 101)
    }))

  it.live("a shutdown with 50 clients whose calls wait takes less than a second, and each call fails", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      let calls = 0
      const all = yield* Deferred.make<void>()
      const called = Effect.suspend(() => ++calls === 50 ? Deferred.succeed(all, undefined) : Effect.void)
      const port = yield* Scope.provide(build("ours", route(Effect.asVoid(called))), scope)
      const waiting = yield* Effect.forEach(Array(50), () =>
        Effect.gen(function*() {
          const protocol = yield* Layer.build(RpcClient.layerProtocolSocket().pipe(
            Layer.provide(Layer.fresh(NodeSocket.layerWebSocket(`ws://127.0.0.1:${port}/rpc`))),
            Layer.provide(RpcSerialization.layerNdjson),
            Layer.fresh
          ))
          const rpc = yield* Effect.provide(RpcClient.make(Hang), protocol)
          return yield* Effect.forkChild(Effect.flip(rpc.Hang()))
        }))
      yield* Deferred.await(all)
      const isQuick = measure()
      yield* Scope.close(scope, Exit.void)
      isQuick()
      for (const fiber of waiting) {
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "RpcClientError")
        assert.deepInclude(error.reason, { _tag: "SocketCloseError", code: 1001 })
      }
    }), 20_000)
})

describe("layers of NodeHttpServer", () => {
  const Page = HttpRouter.serve(HttpRouter.add("GET", "/", HttpServerResponse.text("page")), {
    disableListenLog: true,
    disableLogger: true
  })

  it.live("layerTest: a server and a client for it", () =>
    Effect.gen(function*() {
      yield* Layer.build(Page)
      const response = yield* HttpClient.get("/")
      assert.strictEqual(yield* response.text, "page")
      const { address } = yield* HttpServer.HttpServer
      assert.strictEqual((yield* answerTo(portOf({ address }), upgradeRequest("/"))).status, 200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))

  it.live("layerConfig: options from Config", () =>
    Effect.gen(function*() {
      const options = { host: Config.succeed("127.0.0.1"), port: Config.schema(Schema.Int, "NO_SUCH_PORT").pipe(Config.withDefault(0)) }
      const layer = Layer.provideMerge(Page, NodeHttpServer.layerConfig(() => createServer(), options))
      const { address } = Context.get(yield* Layer.build(layer), HttpServer.HttpServer)
      assert.isAbove(portOf({ address }), 0)
      const missing = NodeHttpServer.layerConfig(() => createServer(), { port: Config.schema(Schema.Int, "NO_SUCH_PORT") })
      assert.strictEqual((yield* Effect.flip(Layer.build(missing)))._tag, "ConfigError")
    }))
})

