// Runs in an empty project that has only the packed packages and their peers: an echo beside an ordinary route on a
// port that the system gives, over TCP and TLS and compressed, and a client that talks to it; then the same in memory,
// as users test it. Prints which of Node's undocumented interfaces were in use.
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { TestServer } from "@effect-ws/core/testing"
import { NodeHttpServer, NodeTuning, NodeWebSocketClient } from "@effect-ws/node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { deepStrictEqual } from "node:assert"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("hello")),
  HttpRouter.add(
    "GET",
    "/echo",
    WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), { compression: { threshold: 0 } })
  )
)

const listening = { host: "127.0.0.1", port: 0 }

const serving = (server) =>
  HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(server, listening))
  )

const sent = ["hello", new Uint8Array([0, 127, 255]), "жук ♥ 🐞", "much of it. ".repeat(20_000)]

const plain = (message) => (typeof message === "string" ? message : Uint8Array.from(message))

const echo = Effect.fnUntraced(function*(url, options) {
  const ws = yield* WebSocketClient.connect(url, options)
  deepStrictEqual(ws.extension, options.compression === false ? undefined : "permessage-deflate")
  yield* ws.sendAll(sent)
  const received = yield* Stream.runCollect(Stream.take(ws.messages, sent.length))
  deepStrictEqual(received.map(plain), sent)
  const { clean, code } = yield* ws.close(1000, "done")
  deepStrictEqual({ clean, code }, { clean: true, code: 1000 })
}, Effect.scoped)

const overHttp = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const authority = `127.0.0.1:${address.port}`
  const page = yield* Effect.promise(() => fetch(`http://${authority}/`).then((response) => response.text()))
  deepStrictEqual(page, "hello")
  yield* echo(`ws://${authority}/echo`, { compression: false })
  yield* echo(`ws://${authority}/echo`, {})
}).pipe(Effect.provide([serving(createServer), NodeWebSocketClient.layer]))

const file = (name) => readFileSync(new URL(`./tls/${name}`, import.meta.url))

const overHttps = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  yield* echo(`wss://localhost:${address.port}/echo`, {})
}).pipe(Effect.provide([
  serving(() => createSecureServer({ cert: file("server.pem"), key: file("server.key") })),
  NodeWebSocketClient.layerDirectOptions({ tls: { ca: file("ca.pem") } })
]))

const InMemory = HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(TestServer.layer({ link: { seed: 1, chop: true } }))
)

const inMemory = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect("ws://a.example/echo")
  yield* ws.send("in memory")
  deepStrictEqual(yield* ws.receive, "in memory")
}).pipe(Effect.scoped, Effect.provide(InMemory))

const found = await Effect.all([overHttp, overHttps, inMemory]).pipe(
  Effect.andThen(NodeTuning.undocumented),
  Effect.provide(NodeTuning.layerYoungCollections),
  Effect.timeout("30 seconds"),
  Effect.runPromise
)
console.log(`echo: ok, in use: ${found.filter(({ isActive }) => isActive).map(({ name }) => name).join(", ") || "nothing"}`)
