import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as TestServer from "../../src/testing/TestServer.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), { selectSubprotocol: ["b", "a"] })),
  HttpRouter.add(
    "GET",
    "/private",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (request.headers["authorization"] !== "Bearer 1") return HttpServerResponse.text("who?", { status: 401 })
      const ws = yield* WebSocketServer.accept({ headers: { "set-cookie": "a=1" } })
      yield* ws.send(`hello ${request.url}`)
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped)
  ),
  HttpRouter.add("GET", "/page", HttpServerResponse.text("hello")),
  HttpRouter.add("GET", "/broken", Effect.die("oops"))
)

const app = (options?: TestServer.Options) =>
  HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer(options))
  )

describe("TestServer", () => {
  it.effect("a client connects to a route, and speaks the subprotocol that it chose", () =>
    Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect("wss://a.example/echo", { subprotocols: ["a", "b"] })
      assert.strictEqual(ws.subprotocol, "b")
      yield* ws.send("hello")
      assert.strictEqual(yield* ws.receive, "hello")
      assert.deepInclude(yield* ws.close(1000), { code: 1000, clean: true })
      assert.lengthOf(yield* Effect.flatMap(TestServer.TestServer, ({ links }) => links), 1)
    }).pipe(Effect.provide(app())))

  it.effect("the client can read the headers of the answer that accepted it", () =>
    Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect("ws://a.example/private", { headers: { authorization: "Bearer 1" } })
      assert.deepStrictEqual(ws.responseHeaders.filter(([name]) => !name.startsWith("sec-")), [
        ["upgrade", "websocket"],
        ["connection", "Upgrade"],
        ["set-cookie", "a=1"]
      ])
    }).pipe(Effect.provide(app())))

  it.effect("refusals are answers, with status, headers and body", () =>
    Effect.gen(function*() {
      const refused = (path: string, options?: WebSocketClient.ConnectOptions) =>
        Effect.map(Effect.flip(WebSocketClient.connect(`ws://a.example${path}`, options)), (error) => {
          assert.strictEqual(error._tag, "HandshakeError")
          return error._tag === "HandshakeError" ? error : assert.fail()
        })
      assert.deepInclude(yield* refused("/private"), { status: 401, body: "who?", reason: "StatusNot101" })
      assert.deepInclude(yield* refused("/nowhere"), { status: 404 })
      assert.deepInclude(yield* refused("/page"), { status: 200, body: "hello" })
      assert.deepInclude(yield* refused("/echo", { headers: { origin: "https://evil.example" } }), { status: 403 })
      assert.deepInclude(yield* refused("/echo", { subprotocols: ["c"] }), { reason: "SubprotocolMissing" })
      assert.deepInclude(yield* refused("/broken"), { status: 500 })
    }).pipe(Effect.provide(app())))

  it.effect("a request carries its headers and target", () =>
    Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect("/private?a=1", { headers: { authorization: "Bearer 1" } })
      assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["hello /private?a=1"])
      assert.deepInclude(yield* ws.closed, { code: 1000, initiator: "remote" })
    }).pipe(Effect.provide(app())))

  it.effect("above the limit one more is refused, until one has gone", () =>
    Effect.gen(function*() {
      const first = yield* WebSocketClient.connect("/echo")
      assert.deepInclude(yield* Effect.flip(WebSocketClient.connect("/echo")), { status: 503 })
      yield* first.close(1000)
      yield* TestClock.adjust("1 second")
      yield* WebSocketClient.connect("/echo")
    }).pipe(Effect.provide(app({ maxConnections: 1 }))))

  it.effect("each connection has a link of its own, that the test can break", () =>
    Effect.gen(function*() {
      const one = yield* TestServer.connect("/echo")
      const two = yield* TestServer.connect("/echo")
      assert.deepStrictEqual([one.link.seed, two.link.seed], [10, 11])
      yield* one.link.reset
      assert.deepInclude(yield* Effect.flip(one.client.receive), { _tag: "IOError", reason: "Reset" })
      yield* two.client.send("still here")
      assert.strictEqual(yield* two.client.receive, "still here")
    }).pipe(Effect.provide(app({ link: (index) => ({ seed: 10 + index, chop: true }) }))))

  it.effect("where nothing is served, nobody connects", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* Effect.flip(WebSocketClient.connect("ws://a.example/")), { phase: "connect", reason: "Refused" })
    }).pipe(Effect.provide(TestServer.layer())))

  it.effect("a server that is killed says nothing, and is not there any more", () =>
    Effect.gen(function*() {
      const { client } = yield* TestServer.connect("/echo")
      yield* Effect.flatMap(TestServer.TestServer, ({ kill }) => kill)
      assert.deepInclude(yield* Effect.flip(client.receive), { _tag: "IOError", reason: "Reset" })
      assert.deepInclude(yield* Effect.flip(WebSocketClient.connect("/echo")), { phase: "connect", reason: "Refused" })
    }).pipe(Effect.provide(app())))

  it.effect("a server that goes away cuts what is open, slow links as well", () =>
    Effect.gen(function*() {
      yield* Effect.forkChild(
        Effect.flatMap(TestServer.connect("/echo"), () => Effect.never).pipe(Effect.scoped)
      )
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.provide(app({ link: { delay: "1 hour" } }))))
})
