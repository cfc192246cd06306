import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { UpgradeResponse } from "../../src/Handshake.ts"
import type { MessageTransport } from "../../src/MessageTransport.ts"
import { addressOf, type Incoming, type Options, WebServer } from "../../src/platform/WebServer.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { IOError } from "../../src/WebSocketError.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"
import { best, FakeMessages } from "../support/FakeMessages.ts"
import { start, turn } from "../support/Harness.ts"

const echo = WebSocketServer.handle((ws) => WebSocket.relay(ws, ws), {
  selectSubprotocol: ["b"],
  headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]],
  compression: true
})

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/echo", echo),
  HttpRouter.add("GET", "/hello", Effect.map(HttpServerRequest.HttpServerRequest, ({ remoteAddress }) =>
    HttpServerResponse.text(`hello ${String(remoteAddress._tag)}`))),
  HttpRouter.add("GET", "/never", Effect.never)
)

/** Routes on a platform that the test plays. */
const serve = Effect.fnUntraced(function*(options: Options = {}) {
  const scope = yield* Scope.make()
  const server = new WebServer(options)
  const httpServer = Layer.succeed(HttpServer.HttpServer, server.at(addressOf("127.0.0.1", 80)))
  const app = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true })
  yield* Scope.provide(Layer.build(Layer.provide(app, httpServer)), scope)
  const transports: Array<FakeMessages> = []
  const answers: Array<UpgradeResponse> = []
  const switched = new Response("switched")
  const ask = (path: string, headers: Record<string, string> = {}, more: Partial<Incoming> = {}) => {
    const request = new Request(`http://a.example${path}`, { headers })
    return Effect.promise(() =>
      server.handle({
        request,
        remoteAddress: "10.0.0.1",
        isSecure: false,
        signal: undefined,
        accept: (answer) => {
          answers.push(answer)
          const transport = new FakeMessages(best)
          transports.push(transport)
          return { response: switched, transport }
        },
        ...more
      })
    )
  }
  return { answers, ask, scope, switched, transports }
})

// Undici drops `connection`, as some platforms do.
const websocket = { upgrade: "websocket", "sec-websocket-protocol": "a, b" }

describe("WebServer", () => {
  it.effect("answers ordinary requests, with the address that the platform tells", () =>
    Effect.gen(function*() {
      const { ask } = yield* serve()
      const response = yield* ask("/hello")
      assert.strictEqual(yield* Effect.promise(() => response!.text()), "hello Some")
      assert.strictEqual((yield* ask("/nothing"))!.status, 404)
    }))

  it.effect("an upgrade is the platform's: it is given what was chosen, and no extension", () =>
    Effect.gen(function*() {
      const { answers, ask, switched, transports } = yield* serve()
      assert.strictEqual(yield* ask("/echo", { ...websocket, "sec-websocket-extensions": "permessage-deflate" }), switched)
      assert.deepInclude(answers[0], {
        subprotocol: "b",
        extensions: undefined,
        applicationHeaders: [["set-cookie", "a=1"], ["set-cookie", "b=2"]]
      })
      yield* turn
      const [transport] = transports
      transport!.push("hello")
      yield* turn
      transport!.peerCloses(1000)
      yield* turn
      assert.deepStrictEqual(transport!.said, ["hello"])
    }))

  it.effect("a transport may come later, or never", () =>
    Effect.gen(function*() {
      const { ask } = yield* serve()
      const opened = yield* Deferred.make<MessageTransport, IOError>()
      const response = new Response()
      const accept = () => ({ response, transport: Deferred.await(opened) })
      assert.strictEqual(yield* ask("/echo", websocket, { accept }), response)
      const transport = new FakeMessages(best)
      yield* Deferred.succeed(opened, transport)
      yield* turn
      transport.push("a")
      yield* turn
      assert.deepStrictEqual(transport.said, ["a"])
      const lost = new IOError({ phase: "handshake", reason: "Reset", detail: "gone" })
      yield* ask("/echo", websocket, { accept: () => ({ response, transport: Effect.fail(lost) }) })
    }))

  it.effect("a refusal is answered with its status, and a line for each header", () =>
    Effect.gen(function*() {
      const { ask, answers } = yield* serve()
      const refused = yield* ask("/echo", { ...websocket, origin: "http://evil.example" })
      assert.strictEqual(refused!.status, 403)
      assert.strictEqual((yield* ask("/echo"))!.status, 426)
      assert.deepStrictEqual(answers, [])
    }))

  it.effect("one that no handler answers within the deadline is answered with 503", () =>
    Effect.gen(function*() {
      const { ask } = yield* serve({ upgrade: { handshakeTimeout: "3 seconds" } })
      const asking = yield* start(ask("/never", websocket))
      yield* TestClock.adjust("4 seconds")
      const exit = asking.pollUnsafe()
      assert.isDefined(exit)
      assert.isTrue(exit!._tag === "Success" && exit!.value!.status === 503)
    }))

  it.effect("a client that is gone before it is answered interrupts its handler", () =>
    Effect.gen(function*() {
      const { ask } = yield* serve()
      const gone = new AbortController()
      const asking = yield* start(ask("/never", {}, { signal: gone.signal }))
      gone.abort()
      yield* turn
      const exit = asking.pollUnsafe()
      assert.isTrue(exit?._tag === "Success" && exit.value!.status === 499)
    }))

  it.effect("its end closes connections with 1001, and later requests are answered with 503", () =>
    Effect.gen(function*() {
      const { ask, scope, transports } = yield* serve()
      yield* ask("/echo", websocket)
      yield* turn
      const closing = yield* start(Scope.close(scope, Exit.void))
      assert.deepStrictEqual(transports[0]!.said, ["close 1001"])
      transports[0]!.peerCloses(1001)
      yield* TestClock.adjust("1 second")
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual((yield* ask("/hello"))!.status, 503)
    }))
})
