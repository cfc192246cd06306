// Runs in an empty project that has only the packed packages and their peers: an echo beside an ordinary route on a
// port that the system gives, and a client that talks to it; then the same in memory, as users test it.
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { TestServer } from "@effect-ws/core/testing"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { deepStrictEqual } from "node:assert"
import { createServer } from "node:http"

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("hello")),
  HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))
)

const Server = HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

const sent = ["hello", new Uint8Array([0, 127, 255]), "жук ♥ 🐞"]

const program = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const authority = `127.0.0.1:${address.port}`

  const page = yield* Effect.promise(() => fetch(`http://${authority}/`).then((response) => response.text()))
  deepStrictEqual(page, "hello")

  const ws = yield* WebSocketClient.connect(`ws://${authority}/echo`)
  yield* ws.sendAll(sent)
  const received = yield* Stream.runCollect(Stream.take(ws.messages, sent.length))
  deepStrictEqual(received.map((message) => (typeof message === "string" ? message : Uint8Array.from(message))), sent)
  const { clean, code } = yield* ws.close(1000, "done")
  deepStrictEqual({ clean, code }, { clean: true, code: 1000 })
})

await program.pipe(
  Effect.scoped,
  Effect.provide([Server, NodeWebSocketClient.layer]),
  Effect.timeout("20 seconds"),
  Effect.runPromise
)

const InMemory = HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(TestServer.layer({ link: { seed: 1, chop: true } }))
)

await Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect("ws://a.example/echo")
  yield* ws.send("in memory")
  deepStrictEqual(yield* ws.receive, "in memory")
}).pipe(Effect.scoped, Effect.provide(InMemory), Effect.timeout("20 seconds"), Effect.runPromise)
console.log("echo: ok")
