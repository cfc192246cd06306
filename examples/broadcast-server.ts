/**
 * A broadcast server: it sends what one client sends to all clients, the sender included.
 *
 * Environment: PORT (default 9002; 0 picks a free one) and HOST (default 127.0.0.1).
 */
import { WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Broadcast from "./Broadcast.ts"

const Everybody = HttpRouter.add(
  "GET",
  "/",
  WebSocketServer.handle(Broadcast.make(), {
    // A client that reads too slowly misses the oldest messages, instead of holding up the others. One that
    // takes nothing at all for 30 seconds is cut.
    slowConsumer: "dropOldest",
    maxMessageSize: 64 * 1024
  })
)

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9002))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

// The address that was bound; with PORT=0 the system chooses the port.
const Announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`))
)

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Everybody, { disableLogger: true, disableListenLog: true })),
  Layer.provide(Server),
  Layer.launch,
  NodeRuntime.runMain
)
