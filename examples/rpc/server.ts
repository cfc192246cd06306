/**
 * An RPC service over WebSockets, and a page that uses it.
 *
 * Environment: PORT (default 8081; 0 picks one) and HOST (default 127.0.0.1).
 */
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { Api } from "./Api.ts"
import { bundle } from "./bundle.ts"
import { Handlers } from "./Handlers.ts"

// Effect's own RPC server, unchanged. Its `request.upgrade` becomes a connection of this library: with backpressure,
// keepalive and a close that says why.
const Rpcs = RpcServer.layer(Api).pipe(
  Layer.provide(Handlers),
  Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" })),
  Layer.provide(RpcSerialization.layerNdjson)
)

const page = (file: string) => fileURLToPath(new URL(`page/${file}`, import.meta.url))

const Page = Layer.unwrap(Effect.gen(function*() {
  // Once, when the server starts: the page's script, with Effect's own RPC client, is bundled for browsers.
  const script = yield* bundle(page("main.ts"))
  return Layer.mergeAll(
    HttpRouter.add("GET", "/", HttpServerResponse.file(page("index.html"))),
    HttpRouter.add("GET", "/page.css", HttpServerResponse.file(page("page.css"))),
    HttpRouter.add("GET", "/main.js", HttpServerResponse.text(script, { contentType: "text/javascript" }))
  )
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8081))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) =>
  Console.log(`listening on ${url}\nfrom a second terminal: node examples/rpc/client.ts ${url.replace("http", "ws")}/rpc`)
))

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Layer.mergeAll(Rpcs, Page), { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server),
  Layer.launch,
  NodeRuntime.runMain
)
