/**
 * Shared boards: a page, a WebSocket route, topics. `npm start` runs it.
 *
 * Environment: PORT (default 8080; 0 picks one), HOST (default 127.0.0.1), and REDIS_URL: with it, several servers share
 * their boards, and boards outlive them.
 */
import { Broker, RedisBroker, Topics } from "@effect-ws/core/realtime"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRedis, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Page from "../page/Page.ts"
import { Board } from "./Board.ts"
import { Boards, BoardStore } from "./Boards.ts"

const PageRoutes = Page.layer(new URL("page/", import.meta.url))

const TopicsRoute = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const boards = yield* Boards
  const board = Topics.serve(Board, {
    publish: ({ params }) => boards.touch(params.id),
    snapshot: ({ params, position }) => Effect.orDie(boards.notes(params.id, position))
  })
  yield* router.add(
    "GET",
    "/topics",
    Topics.handle([board], {
      maxMessageSize: 16 * 1024,
      // Somebody whose network went away should not be shown for long.
      keepAlive: { interval: "5 seconds", timeout: "10 seconds" }
    })
  )
})).pipe(Layer.provide(Boards.layer))

/** What the topics and the boards rest on: Redis, or this process alone. */
const Backend = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.option(Config.String("REDIS_URL"))
  if (Option.isNone(url)) return Layer.mergeAll(Broker.layerMemory, BoardStore.layerMemory())
  return Layer.mergeAll(RedisBroker.layer(), BoardStore.layerRedis).pipe(Layer.provide(NodeRedis.layer({ url: url.value, disableOfflineQueue: true })))
}))

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => {
  const command = `npm run board -- --name Ada --url ${url.replace("http", "ws")}/topics`
  return Console.log(`board on ${url}\nfrom a second terminal: ${command}`)
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8080))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

Announce.pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.mergeAll(TopicsRoute, PageRoutes), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Topics.layer()),
  Layer.provide(Backend),
  Layer.provide(Server),
  Layer.launch,
  Effect.tapErrorTag("ServeError", ({ cause }) =>
    Console.error(`cannot listen there: ${cause} (PORT chooses another port)`)),
  Effect.tapErrorTag("RedisError", ({ cause }) => Console.error(`cannot reach Redis: ${cause} (REDIS_URL says where it is)`)),
  NodeRuntime.runMain
)
