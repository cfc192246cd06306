/** A server for WebSockets alone. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode } from "@effect-ws/core"
import { NodeWebSocketServer } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { clientFrame, connectRaw, connectUpgraded, upgradeRequest } from "./support/RawPeer.ts"
import { portOf } from "./support/Serve.ts"

describe("NodeWebSocketServer", () => {
  it.live("serves on a port of its own, whatever the path, and tells where", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(
        NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), { host: "127.0.0.1", port: 0, selectSubprotocol: ["a"] })
      )
      const port = portOf(Context.get(context, HttpServer.HttpServer))
      for (const path of ["/", "/any/where?x=1"]) {
        const peer = yield* connectUpgraded(port, path, { "Sec-WebSocket-Protocol": "a" })
        peer.write(clientFrame(Opcode.Text, path))
        yield* peer.untilFrames(1)
        assert.deepStrictEqual(peer.texts(), [path])
      }
      const plain = yield* connectRaw(port)
      plain.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.strictEqual((yield* plain.head).status, 426)
    }))

  it.live("the handler sees the request", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(NodeWebSocketServer.layer(
        (ws) => Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => ws.send(request.url)),
        { host: "127.0.0.1", port: 0 }
      ))
      const peer = yield* connectUpgraded(portOf(Context.get(context, HttpServer.HttpServer)), "/room/7")
      yield* peer.untilFrames(1)
      assert.deepStrictEqual(peer.texts(), ["/room/7"])
    }))

  it.live("options of both kinds hold: maxConnections and origin", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(NodeWebSocketServer.layer(() => Effect.never, {
        host: "127.0.0.1",
        port: 0,
        maxConnections: 1,
        shutdown: { grace: 50 }
      }))
      const port = portOf(Context.get(context, HttpServer.HttpServer))
      const statusOf = Effect.fn(function*(headers: Readonly<Record<string, string>>) {
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/", headers))
        return (yield* peer.head).status
      })
      assert.strictEqual(yield* statusOf({ Origin: "http://elsewhere.example" }), 403)
      assert.strictEqual(yield* statusOf({}), 101)
      assert.strictEqual(yield* statusOf({}), 503)
    }))
})
