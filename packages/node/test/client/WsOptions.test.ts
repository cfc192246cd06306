/** The options that Effect's layers hand to `ws`, on our layers and on the stock ones. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeSocketServer } from "@effect-ws/node"
import type * as NodeWS from "@effect/platform-node/NodeWS"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { clientFrame, closeBody, connectRaw, connectUpgraded, until, upgradeRequest } from "../support/RawPeer.ts"
import { listen, type ours, portOf, sets, type stock } from "../support/Stock.ts"

type Set = typeof ours | typeof stock

const echo = (socket: Socket.Socket) =>
  Effect.gen(function*() {
    const { writeAll } = yield* socket.writer
    const { pull } = yield* socket.reader
    return yield* Effect.forever(Effect.flatMap(pull, writeAll))
  }).pipe(Effect.scoped, Effect.ignore)

/** An echo on a `SocketServer`. */
const sockets = Effect.fnUntraced(function*({ NodeSocketServer }: Set, options: NodeWS.ServerOptions) {
  const context = yield* Layer.build(NodeSocketServer.layerWebSocket(options))
  const server = Context.get(context, SocketServer.SocketServer)
  yield* Effect.forkScoped(server.run(echo))
  return portOf(server)
})

/** An echo on a route, by `request.upgrade`. */
const route = ({ NodeHttpServer }: Set, websocket: NodeWS.ServerOptions) =>
  Effect.map(
    Layer.build(
      HttpRouter.serve(
        HttpRouter.add("GET", "/*", Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          yield* echo(yield* request.upgrade)
          return HttpServerResponse.empty()
        })),
        { disableListenLog: true, disableLogger: true }
      ).pipe(Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { ...listen, websocket })))
    ),
    (context) => portOf(Context.get(context, HttpServer.HttpServer))
  )

const answerTo = Effect.fnUntraced(function*(port: number, path = "/", headers: Record<string, string> = {}) {
  const peer = yield* connectRaw(port)
  peer.write(upgradeRequest(path, headers))
  return { ...yield* peer.head, peer }
})

const deflate = { "Sec-WebSocket-Extensions": "permessage-deflate" }

for (const [name, set] of Object.entries(sets)) {
  const servers = {
    "a SocketServer": (options: NodeWS.ServerOptions) => sockets(set, { ...listen, ...options }),
    "request.upgrade": (options: NodeWS.ServerOptions) => route(set, options)
  }
  for (const [where, serve] of Object.entries(servers)) {
    describe(`${name}, ${where}`, () => {
      it.live("perMessageDeflate", () =>
        Effect.gen(function*() {
          const on = yield* answerTo(yield* serve({ perMessageDeflate: true }), "/", deflate)
          assert.strictEqual(on.headers["sec-websocket-extensions"], "permessage-deflate")
          const tuned = yield* serve({ perMessageDeflate: { serverMaxWindowBits: 10, serverNoContextTakeover: true } })
          const { headers } = yield* answerTo(tuned, "/", deflate)
          assert.include(headers["sec-websocket-extensions"], "server_max_window_bits=10")
          assert.include(headers["sec-websocket-extensions"], "server_no_context_takeover")
          const off = yield* answerTo(yield* serve({}), "/", deflate)
          assert.isUndefined(off.headers["sec-websocket-extensions"])
        }))

      it.live("maxPayload", () =>
        Effect.gen(function*() {
          const peer = yield* connectUpgraded(yield* serve({ maxPayload: 10 }))
          peer.write(clientFrame(Opcode.Text, "0123456789"))
          yield* peer.untilFrames(1)
          peer.write(clientFrame(Opcode.Text, "0123456789x"))
          yield* peer.untilFrames(2)
          assert.deepStrictEqual([...peer.frames()[1].data.subarray(0, 2)], [...closeBody(1009)])
        }))

      it.live("handleProtocols", () =>
        Effect.gen(function*() {
          const port = yield* serve({
            handleProtocols: (offered, request) => request.url === "/none" ? false : [...offered].at(-1) ?? false
          })
          const offer = { "Sec-WebSocket-Protocol": "a, b" }
          assert.strictEqual((yield* answerTo(port, "/", offer)).headers["sec-websocket-protocol"], "b")
          const none = yield* answerTo(port, "/none", offer)
          assert.strictEqual(none.status, 101)
          assert.isUndefined(none.headers["sec-websocket-protocol"])
        }))

      it.live("verifyClient, at once and later", () =>
        Effect.gen(function*() {
          const atOnce = yield* serve({ verifyClient: ({ req }: { req: Http.IncomingMessage }) => req.url === "/ok" })
          assert.strictEqual((yield* answerTo(atOnce, "/ok")).status, 101)
          assert.strictEqual((yield* answerTo(atOnce, "/no")).status, 401)
          const later = yield* serve({
            verifyClient: ({ origin }, decide) =>
              setImmediate(() => origin === "" || origin === undefined
                ? decide(false, 418, "no origin", { "x-why": "origin" })
                : decide(true))
          })
          const refused = yield* answerTo(later)
          assert.strictEqual(refused.status, 418)
          assert.strictEqual(refused.headers["x-why"], "origin")
          const origin = { Origin: `http://127.0.0.1:${later}`, Host: `127.0.0.1:${later}` }
          assert.strictEqual((yield* answerTo(later, "/", origin)).status, 101)
        }))
    })
  }

  describe(`${name}, a SocketServer`, () => {
    it.live("path", () =>
      Effect.gen(function*() {
        const port = yield* sockets(set, { ...listen, path: "/rpc" })
        assert.strictEqual((yield* answerTo(port, "/rpc?token=1")).status, 101)
        assert.strictEqual((yield* answerTo(port, "/other")).status, 400)
      }))

    it.live("server: the upgrades of a server that someone else runs, and its requests untouched", () =>
      Effect.gen(function*() {
        const server = Http.createServer((_, response) => response.end("page"))
        yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
        const scope = yield* Scope.make()
        setImmediate(() => server.listen(listen))
        const port = yield* Scope.provide(sockets(set, { server, path: "/rpc" }), scope)
        const peer = yield* connectUpgraded(port, "/rpc")
        peer.write(clientFrame(Opcode.Text, "hello"))
        yield* until("the echo", () => peer.texts().length === 1)
        const page = () => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text())
        assert.strictEqual(yield* Effect.promise(page), "page")
        peer.socket.on("data", () => peer.write(clientFrame(Opcode.Close, closeBody(1001))))
        yield* Scope.close(scope, Exit.void)
        yield* peer.untilEnded
        assert.isTrue(server.listening)
        assert.strictEqual(yield* Effect.promise(page), "page")
      }))
  })
}

describe("what only ours do", () => {
  it.live("a server that listens already, and several paths on one server", () =>
    Effect.gen(function*() {
      const server = Http.createServer()
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          server.listen(listen, () => resume(Effect.void))
        }),
        () => Effect.sync(() => server.close())
      )
      const serve = (path: string) =>
        Effect.gen(function*() {
          const sockets = yield* NodeSocketServer.makeWebSocket({ server, path, shutdown: { grace: 50 } })
          yield* Effect.forkChild(sockets.run((socket) =>
            Effect.gen(function*() {
              const { write } = yield* socket.writer
              const { pull } = yield* socket.reader
              yield* write(path)
              return yield* Effect.forever(pull)
            }).pipe(Effect.scoped, Effect.ignore)
          ))
          return portOf(sockets)
        })
      const port = yield* serve("/a")
      yield* serve("/b")
      for (const path of ["/a", "/b"]) {
        const peer = yield* connectUpgraded(port, path)
        yield* until("its name", () => peer.texts().length === 1)
        assert.deepStrictEqual(peer.texts(), [path])
      }
    }))

  it.live("our own words come before those of ws", () =>
    Effect.gen(function*() {
      const server = yield* NodeHttpServer.make(() => Http.createServer(), {
        ...listen,
        websocket: { maxPayload: 10, handleProtocols: () => "a" },
        upgrade: { selectSubprotocol: ["b"] }
      })
      yield* server.serve(Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        yield* echo(yield* request.upgrade)
        return HttpServerResponse.empty()
      }))
      const answer = yield* answerTo(portOf(server), "/", { "Sec-WebSocket-Protocol": "a, b" })
      assert.strictEqual(answer.headers["sec-websocket-protocol"], "b")
      answer.peer.write(clientFrame(Opcode.Text, "01234567890"))
      yield* answer.peer.untilFrames(1)
      assert.deepStrictEqual([...answer.peer.frames()[0].data.subarray(0, 2)], [...closeBody(1009)])
    }))
})

describe("makeUpgradeHandler", () => {
  it.live("accepts on a server that someone else made, and its scope's end tells the connections", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = Http.createServer()
      const handle = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
      server.on("upgrade", yield* NodeHttpServer.makeUpgradeHandler(handle, { scope }))
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          server.listen(listen, () => resume(Effect.void))
        }),
        () => Effect.sync(() => server.close())
      )
      const address = server.address()
      const port = typeof address === "object" ? address?.port ?? 0 : 0
      const peer = yield* connectUpgraded(port)
      peer.write(clientFrame(Opcode.Text, "hello"))
      yield* until("the echo", () => peer.texts().length === 1)
      assert.strictEqual((yield* answerTo(port, "/", { Upgrade: "other" })).status, 426)
      peer.socket.on("data", () => peer.write(clientFrame(Opcode.Close, closeBody(1001))))
      yield* Scope.close(scope, Exit.void)
      yield* peer.untilEnded
      const close = peer.frames().find(({ opcode }) => opcode === Opcode.Close)
      assert.deepStrictEqual([...close?.data ?? []], [...closeBody(1001)])
    }))
})
