/**
 * Effect RPC over WebSockets: on our layers, or, with STOCK=true, on those of `@effect/platform-node`. Environment:
 * PORT.
 */
import * as Ours from "@effect-ws/node/NodeHttpServer"
import * as Stock from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const { PORT, STOCK } = process.env

const Order = Schema.Struct({
  id: Schema.Int,
  symbol: Schema.String,
  side: Schema.Literals(["buy", "sell"]),
  price: Schema.Finite,
  quantity: Schema.Int,
  note: Schema.String
})

const Placed = Schema.Struct({ ...Order.fields, state: Schema.Literal("accepted"), total: Schema.Finite })

const Api = RpcGroup.make(Rpc.make("Place", { payload: Order, success: Placed }))

const Handlers = Api.toLayer({
  Place: (order) => Effect.succeed({ ...order, state: "accepted" as const, total: order.price * order.quantity })
})

const Rpcs = RpcServer.layer(Api, { disableTracing: true }).pipe(
  Layer.provide(Handlers),
  Layer.provide(RpcServer.layerProtocolWebsocket({ path: "/" })),
  Layer.provide(RpcSerialization.layerNdjson)
)

const { layer } = STOCK === "true" ? Stock : Ours

Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`))).pipe(
  Layer.provideMerge(HttpRouter.serve(Rpcs, { disableLogger: true, disableListenLog: true })),
  Layer.provide(layer(createServer, { host: "127.0.0.1", port: Number(PORT) })),
  Layer.launch,
  NodeRuntime.runMain
)
