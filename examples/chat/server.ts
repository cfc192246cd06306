/**
 * A chat: one page, one WebSocket route, one room.
 *
 * Environment: PORT (default 8080; 0 picks one) and HOST (default 127.0.0.1).
 */
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse, HttpStaticServer } from "effect/http"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { bundle } from "../rpc/bundle.ts"
import { ChatRoute } from "./Visit.ts"

// Ordinary HTTP routes beside the chat's, on the same port.
const Page = Layer.unwrap(Effect.gen(function*() {
  const page = fileURLToPath(new URL("page", import.meta.url))
  // The page imports the contract of the server, and is made ready for a browser once.
  const script = yield* bundle(`${page}/main.ts`)
  return Layer.mergeAll(
    HttpStaticServer.layer({ root: page, cacheControl: "no-cache" }),
    HttpRouter.add("GET", "/main.js", HttpServerResponse.text(script, {
      contentType: "text/javascript",
      headers: { "cache-control": "no-cache" }
    }))
  )
}))

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
    HttpRouter.serve(Layer.mergeAll(ChatRoute, Page), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Server),
  Layer.launch,
  Effect.tapErrorTag("ServeError", ({ cause }) =>
    Console.error(`cannot listen there: ${cause} (PORT chooses another port)`)),
  NodeRuntime.runMain
)
