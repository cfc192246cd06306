/** Requests that offer an upgrade to a protocol that is not spoken here, as if they offered none. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Tls from "node:tls"
import * as UpgradeChoice from "../../src/undocumented/UpgradeChoice.ts"
import { connectRaw, RawPeer, until, upgradeRequest } from "../support/RawPeer.ts"
import { serve } from "../support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/../support/tls/${name}`)

const servers: ReadonlyArray<readonly [name: string, evaluate: () => Http.Server]> = [
  ["http", () => Http.createServer()],
  ["https", () => Https.createServer({ cert: file("server.pem"), key: file("server.key") })]
]

const Mirror = Layer.mergeAll(
  HttpRouter.add("*", "/", Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* request.text
    return HttpServerResponse.text(`${request.method} ${request.url} ${request.headers["x-a"] ?? ""} ${body}`)
  })),
  HttpRouter.add("GET", "/ws", WebSocketServer.handle((ws) => ws.closed))
)

const connectTo = (port: number, server: Http.Server) =>
  server instanceof Https.Server
    ? Effect.acquireRelease(
      Effect.sync(() => new RawPeer(Tls.connect({ host: "127.0.0.1", port, ca: file("ca.pem"), servername: "localhost" }))),
      ({ socket }) => Effect.sync(() => socket.destroy())
    )
    : connectRaw(port)

const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"

for (const [name, evaluate] of servers) {
  describe(`a request that offers h2c, over ${name}`, () => {
    const answered = Effect.fn(function*(peer: RawPeer, body: string) {
      const head = yield* peer.head
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.headers["connection"], "keep-alive")
      yield* until("the body", () => peer.bytes.length >= body.length)
      assert.strictEqual(peer.text.slice(0, body.length), body)
      peer.bytes = peer.bytes.subarray(body.length)
    })

    it.live("is answered like any other, bodies of all kinds included, and the connection is kept", () =>
      Effect.gen(function*() {
        const { node, port } = yield* serve(Mirror, { evaluate })
        const peer = yield* connectTo(port, node as Http.Server)
        peer.write(`GET /?a=%20 HTTP/1.1\r\nHost: a\r\nX-A: b\xe9\r\n${offer}\r\n`)
        yield* answered(peer, "GET /?a=%20 b\xc3\xa9 ")
        peer.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n${offer}\r\nhel`)
        peer.write("lo")
        yield* answered(peer, "POST /  hello")
        peer.write(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${offer}\r\n5\r\nhello\r\n6\r\n`)
        peer.write(" world\r\n0\r\n\r\n")
        yield* answered(peer, "POST /  hello world")
        peer.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        yield* answered(peer, "GET /  ")
      }))

    it.live("is answered in its turn, and so is what follows", (context) =>
      Effect.gen(function*() {
        if (UpgradeChoice.readsBodies) context.skip("Node loses what is pipelined behind such a request")
        const { node, port } = yield* serve(Mirror, { evaluate })
        const peer = yield* connectTo(port, node as Http.Server)
        peer.write(
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
          `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n${offer}\r\nb`,
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nc",
          upgradeRequest("/ws")
        )
        for (const body of ["a", "b", "c"]) yield* answered(peer, `POST /  ${body}`)
        assert.strictEqual((yield* peer.head).status, 101)
      }))

    it.live("beside websocket is one for a WebSocket", () =>
      Effect.gen(function*() {
        const { node, port } = yield* serve(Mirror, { evaluate })
        const peer = yield* connectTo(port, node as Http.Server)
        peer.write(upgradeRequest("/ws", { Upgrade: "h2c, WebSocket" }))
        assert.strictEqual((yield* peer.head).status, 101)
      }))

    it.live("with more header lines than Node keeps is not put back without them", () =>
      Effect.gen(function*() {
        const { node, port } = yield* serve(Mirror, { evaluate })
        const peer = yield* connectTo(port, node as Http.Server)
        const many = "a:b\r\n".repeat(1100)
        const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.write(`POST / HTTP/1.1\r\nHost: a\r\n${offer}${many}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`)
        const { status } = yield* peer.head
        assert.strictEqual(status, 431)
        peer.write(upgradeRequest("/ws"))
        yield* until("the answers", () => peer.closed || peer.ended || peer.text.includes(" 101 "))
        assert.notInclude(peer.text, "404")
      }))
  })
}
