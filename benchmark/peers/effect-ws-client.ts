/** Echo clients on effect-ws. Environment: URL and CONNECTIONS. */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const url = yield* Config.String("URL")
  const connections = yield* Config.Int("CONNECTIONS")
  const echo = Effect.scoped(Effect.gen(function*() {
    const ws = yield* WebSocketClient.connect(url, { compression: false })
    yield* Stream.run(ws.messages, ws.sink)
  }))
  yield* Effect.all(Array.from({ length: connections }, () => echo), { concurrency: "unbounded", discard: true })
})

program.pipe(Effect.provide(NodeWebSocketClient.layer), NodeRuntime.runMain)
