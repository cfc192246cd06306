/** An echo client of this library. */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const url = process.argv[2]

const connect = (path: string) =>
  WebSocketClient.connect(`${url}${path}`, {
    compression: { threshold: 0 },
    maxMessageSize: 16 * 1024 * 1024,
    keepAlive: false
  })

const program = Effect.gen(function*() {
  const count = Number(yield* Effect.scoped(Effect.flatMap(connect("getCaseCount"), (ws) => ws.receive)))
  for (let number = 1; number <= count; number++) {
    // Most cases break the protocol on purpose.
    yield* connect(`runCase?case=${number}`).pipe(
      Effect.flatMap((ws) => Stream.run(ws.messages, ws.sink)),
      Effect.scoped,
      Effect.ignore
    )
  }
  yield* connect("updateReports").pipe(Effect.flatMap((ws) => ws.closed), Effect.scoped)
})

program.pipe(Effect.provide(NodeWebSocketClient.layer), NodeRuntime.runMain)
