/**
 * A chat: one page, one WebSocket route, one room.
 *
 * Environment: PORT (default 8080; 0 picks one) and HOST (default 127.0.0.1).
 */
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Page from "../page/Page.ts"
import { ChatRoute } from "./Visit.ts"

// Ordinary HTTP routes beside the chat's, on the same port.
const PageRoutes = Page.layer(new URL("page/", import.meta.url))

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => {
  const command = `npm run chat -- --name Ada --url ${url.replace("http", "ws")}/chat`
  return Console.log(`chat on ${url}\nfrom a second terminal: ${command}`)
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8080))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

Announce.pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.mergeAll(ChatRoute, PageRoutes), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Server),
  Layer.launch,
  Effect.tapErrorTag("ServeError", ({ cause }) =>
    Console.error(`cannot listen there: ${cause} (PORT chooses another port)`)),
  NodeRuntime.runMain
)
