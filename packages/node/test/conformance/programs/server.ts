/** An echo server of this library. */
import { NodeWebSocketServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const Echo = NodeWebSocketServer.layer((ws) => Stream.run(ws.messages, ws.sink), {
  host: "127.0.0.1",
  port: 0,
  compression: { threshold: 0 },
  maxMessageSize: 16 * 1024 * 1024,
  keepAlive: false
})

const Announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(`${url.replace("http:", "ws:")}/`))
)

NodeRuntime.runMain(Layer.launch(Announce.pipe(Layer.provide(Echo))).pipe(Effect.asVoid))
