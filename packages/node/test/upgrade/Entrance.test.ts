/** Where requests come in: before something is served, and beside other listeners on one server. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeSocketServer } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { SocketServer } from "effect/socket/SocketServer"
import * as Http from "node:http"
import { connectRaw, connectUpgraded, upgradeRequest } from "../support/RawPeer.ts"
import { portOf, serve } from "../support/Serve.ts"

const request = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"

const answerTo = Effect.fn(function*(port: number, text: string) {
  const peer = yield* connectRaw(port)
  peer.write(text)
  return { ...yield* peer.head, peer }
})

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/page", HttpServerResponse.text("a page")),
  HttpRouter.add("GET", "/chat", WebSocketServer.handle((ws) => Effect.andThen(ws.send("by a route"), ws.closed)))
)

describe("a server that listens and serves nothing", () => {
  it.live("answers requests and upgrades with 503, until routes are up and when they are gone", () =>
    Effect.gen(function*() {
      const server = yield* NodeHttpServer.make(() => Http.createServer(), { port: 0, host: "127.0.0.1" })
      const port = portOf(server)
      const refused = Effect.fn(function*() {
        for (const text of [request, upgradeRequest("/chat"), `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na`]) {
          const { headers, status } = yield* answerTo(port, text)
          assert.deepStrictEqual([status, headers["retry-after"]], [503, "1"])
        }
      })
      yield* refused()
      const scope = yield* Scope.make()
      const app = yield* HttpRouter.toHttpEffect(Routes)
      yield* server.serve(app).pipe(Scope.provide(scope))
      assert.strictEqual((yield* answerTo(port, request)).status, 200)
      yield* connectUpgraded(port, "/chat")
    }))

  it.live("leaves requests to listeners that it was made with", () =>
    Effect.gen(function*() {
      const make = () => Http.createServer((_, response) => response.end("mine"))
      const server = yield* NodeHttpServer.make(make, { port: 0, host: "127.0.0.1" })
      assert.strictEqual((yield* answerTo(portOf(server), request)).status, 200)
    }))
})

describe("routes and a socket server on one port", () => {
  /** A socket server that says which it is. */
  const sockets = (server: Http.Server, options: NodeSocketServer.WebSocketServerOptions = {}) =>
    Effect.gen(function*() {
      const socketServer: SocketServer["Service"] = yield* NodeSocketServer.makeWebSocket({ ...options, server })
      yield* Effect.forkScoped(socketServer.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          yield* (yield* socket.writer).write("by the socket server")
          yield* pull
        }))
      ))
    })

  const says = Effect.fn(function*(port: number, path: string) {
    const peer = yield* connectUpgraded(port, path)
    yield* peer.untilFrames(1)
    return peer.texts()[0]
  }, Effect.scoped)

  for (const order of ["before", "after"] as const) {
    it.live(`made ${order} the routes: each takes its own, and neither another path`, () =>
      Effect.gen(function*() {
        const node = Http.createServer()
        if (order === "before") yield* Effect.forkScoped(sockets(node, { path: "/ws" }))
        const { port } = yield* serve(Routes, { evaluate: () => node })
        if (order === "after") yield* sockets(node, { path: "/ws" })
        assert.strictEqual(yield* says(port, "/ws"), "by the socket server")
        assert.strictEqual(yield* says(port, "/chat"), "by a route")
        assert.strictEqual((yield* answerTo(port, upgradeRequest("/elsewhere"))).status, 404)
        assert.strictEqual((yield* answerTo(port, request)).status, 200)
      }))
  }

  it.live("without a path the socket server takes what no route wants", () =>
    Effect.gen(function*() {
      const { node, port } = yield* serve(Routes)
      const scope = yield* Scope.make()
      yield* Scope.provide(sockets(node as Http.Server), scope)
      assert.strictEqual(yield* says(port, "/elsewhere"), "by the socket server")
      assert.strictEqual(yield* says(port, "/chat"), "by a route")
      // A route that answers by itself has decided.
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/page"))).status, 200)
    }))

  it.live("a listener of your own takes what no route wants; what nobody answers is answered with 404 in the end", () =>
    Effect.gen(function*() {
      const { node, port } = yield* serve(Routes, { handshakeTimeout: 100 })
      node.on("upgrade", (message, socket) => {
        if (message.url !== "/mine") return
        setTimeout(() => socket.end("HTTP/1.1 299 Mine\r\n\r\n"), 10)
      })
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/mine"))).status, 299)
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/elsewhere"))).status, 404)
      yield* connectUpgraded(port, "/chat")
    }))
})

describe("upgradeProtocols", () => {
  it.live("are those that routes upgrade to by themselves", () =>
    Effect.gen(function*() {
      const route = HttpRouter.add("GET", "/", Effect.gen(function*() {
        const incoming = yield* HttpServerRequest.HttpServerRequest
        if (incoming.headers["upgrade"] !== "foo") return HttpServerResponse.text("an ordinary answer")
        const socket = yield* incoming.upgradeWith({ headers: { "x-a": "1" } })
        yield* Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          yield* (yield* socket.writer).write("foo it is")
          yield* Effect.ignore(pull)
        }))
        return HttpServerResponse.empty()
      }))
      const { port } = yield* serve(route, { upgradeProtocols: ["Foo"] })
      const { headers, status } = yield* answerTo(port, upgradeRequest("/", { Upgrade: "foo" }))
      assert.deepStrictEqual([status, headers["x-a"]], [101, "1"])
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/", { Upgrade: "bar" }))).status, 200)
    }))
})
