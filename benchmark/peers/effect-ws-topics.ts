/** Topics of texts in which all may do everything. Environment: PORT, and REDIS_URL for several servers. */
import { Broker, RedisBroker, Topic, Topics } from "@effect-ws/core/realtime"
import * as NodeHttpServer from "@effect-ws/node/NodeHttpServer"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const { PORT, REDIS_URL } = process.env

const broker = REDIS_URL === undefined
  ? Broker.layerMemory
  : RedisBroker.layer().pipe(Layer.provide(NodeRedis.layer({ url: REDIS_URL })))

const Room = Topic.make("room/:id", { publication: Schema.String, member: Schema.Struct({ name: Schema.String }) })
const Warm = Topic.make("warm/:id", { publication: Schema.String })

// What is measured is not to be held up by limits that are made for people.
const limits = { publish: { count: 1_000_000 } }

Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`))).pipe(
  Layer.provideMerge(HttpRouter.serve(
    HttpRouter.add("GET", "/", Topics.handle([Topics.serve(Room), Topics.serve(Warm)], { limits })),
    { disableLogger: true, disableListenLog: true }
  )),
  Layer.provide(Topics.layer()),
  Layer.provide(broker),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: Number(PORT) })),
  Layer.launch,
  NodeRuntime.runMain
)
