/**
 * A program that sends, ends its connection, and has nothing else to do. It prints when its connection has ended for it, and then
 * nothing keeps the process but the peer that does not answer. Arguments: port, dialler, payload in bytes.
 */
import { NodeWebSocketClient, NodeTuning } from "@effect-ws/node"
import { WebSocketClient } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const [port, dialler, size] = process.argv.slice(2)

const dialers = {
  HttpClient: NodeWebSocketClient.layer,
  direct: NodeWebSocketClient.layerDirect,
  portable: Layer.provide(NodeWebSocketClient.layerDirect, NodeTuning.layerPortable),
  http2: NodeWebSocketClient.layerHttp2({ plain: true })
}

const program = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/`, {
    compression: false,
    keepAlive: false,
    closeTimeout: 300,
    closeLimit: "20 seconds"
  })
  yield* ws.send(new Uint8Array(Number(size)))
}).pipe(Effect.scoped, Effect.andThen(Effect.sync(() => process.stdout.write("left\n"))))

Effect.runFork(Effect.provide(program, dialers[dialler as keyof typeof dialers]))
