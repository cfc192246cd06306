/**
 * An RPC service over WebSockets, and a page that uses it.
 *
 * Environment: PORT (default 8081; 0 picks one) and HOST (default 127.0.0.1).
 */
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { createServer } from "node:http"
import * as Page from "../page/Page.ts"
import { Api } from "./Api.ts"
import { Handlers } from "./Handlers.ts"

// Effect's own RPC server, unchanged. Its `request.upgrade` becomes a connection of this library: with backpressure,
// keepalive and a close that says why.
const Rpcs = RpcServer.layer(Api).pipe(
  Layer.provide(Handlers),
  Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/rpc" })),
  Layer.provide(RpcSerialization.layerNdjson)
)

// The page's script, with Effect's own RPC client, is bundled for browsers.
const PageRoutes = Page.layer(new URL("page/", import.meta.url))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8081))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) =>
  Console.log(`listening on ${url}\nfrom a second terminal: node examples/rpc/client.ts ${url.replace("http", "ws")}/rpc`)
))

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Layer.mergeAll(Rpcs, PageRoutes), { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server),
  Layer.launch,
  NodeRuntime.runMain
)
