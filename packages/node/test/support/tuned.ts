/** A server and its client in one process, over TCP and TLS and compressed; it tells which undocumented interfaces were in use. */
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeTuning, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"

const file = (name: string) => readFileSync(`${import.meta.dirname}/tls/${name}`)
const credentials = { cert: file("server.pem"), key: file("server.key") }

const routes = HttpRouter.add(
  "GET",
  "/",
  WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), { compression: { threshold: 0 } })
)

const exchange = Effect.fnUntraced(function*(server: () => Http.Server, scheme: string, client: typeof NodeWebSocketClient.layer) {
  const serving = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(server, { host: "127.0.0.1", port: 0 })),
    Layer.provideMerge(client)
  )
  return yield* Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${"port" in address ? address.port : 0}`)
    const large = "large and compressed, ".repeat(20_000)
    yield* ws.sendAll(["hello", large, new Uint8Array([1, 2, 3])])
    const echoed = yield* Stream.runCollect(Stream.take(ws.messages, 3))
    const { clean } = yield* ws.close(1000)
    return clean && echoed[0] === "hello" && echoed[1] === large && echoed[2]!.length === 3 && ws.extension === "permessage-deflate"
  }).pipe(Effect.scoped, Effect.provide(serving))
})

const program = Effect.gen(function*() {
  const direct = NodeWebSocketClient.layerDirectOptions({ tls: { ca: file("ca.pem") } })
  const echoed = [
    yield* exchange(() => Http.createServer(), "ws", NodeWebSocketClient.layer),
    yield* exchange(() => Https.createServer(credentials), "wss", direct)
  ]
  const active = (yield* NodeTuning.undocumented).filter(({ isActive }) => isActive).map(({ name }) => name)
  process.stdout.write(`${JSON.stringify({ echoed, active })}\n`)
})

const tuning = process.argv[2] === "portable"
  ? NodeTuning.layerPortable
  : process.argv[2] === "collections"
  ? NodeTuning.layerYoungCollections
  : Layer.empty

await Effect.runPromise(Effect.provide(program, tuning))
