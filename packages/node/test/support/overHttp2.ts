/** A program of nothing but a connection over HTTP/2: prints the first message. */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const program = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect(process.argv[2]!)
  yield* Console.log(yield* ws.receive)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, NodeWebSocketClient.layerHttp2({ plain: true })))
