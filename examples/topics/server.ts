/**
 * Topics for scripts: `room/:id`, in which everybody may do everything.
 *
 * Environment:
 * - PORT: default 9003; 0 picks a free one
 * - HOST: default 127.0.0.1
 * - HISTORY: how many publications of a room are kept, default 1000
 * - REDIS_URL: the Redis that several servers share, such as redis://127.0.0.1:6379. Without it the rooms are in memory, and end with
 *   the process.
 */
import { Broker, RedisBroker, Topics } from "@effect-ws/core/realtime"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRedis, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import { roomsThatKeep } from "./Room.ts"

const Rooms = Layer.unwrap(Effect.gen(function*() {
  const size = yield* Config.Int("HISTORY").pipe(Config.withDefault(1000))
  return HttpRouter.add("GET", "/", Topics.handle([Topics.serve(roomsThatKeep(size))]))
}))

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9003))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host })
}))

const SharedBroker = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.String("REDIS_URL").pipe(Config.option)
  return Option.isNone(url)
    ? Broker.layerMemory
    : RedisBroker.layer().pipe(Layer.provide(NodeRedis.layer({ url: url.value, disableOfflineQueue: true })))
}))

// The address that was bound; with PORT=0 the system chooses the port.
const Announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`))
)

Announce.pipe(
  Layer.provideMerge(HttpRouter.serve(Rooms, { disableLogger: true, disableListenLog: true })),
  Layer.provide([Server, Topics.layer()]),
  Layer.provide(SharedBroker),
  Layer.launch,
  NodeRuntime.runMain
)
