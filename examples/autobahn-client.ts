/**
 * Runs the cases of an Autobahn fuzzing server against this library's client.
 *
 * Environment:
 * - URL: of the fuzzing server, default ws://127.0.0.1:9001
 * - AGENT: the name that the report shows, default effect-ws
 */
import { WebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Schema, Stream } from "effect"

// Some cases send messages of 16 MiB.
const options: WebSocketClient.ConnectOptions = { maxMessageSize: 16 * 1024 * 1024 }

const decodeCount = Schema.decodeUnknownEffect(Schema.NumberFromString.check(Schema.isInt()))

const program = Effect.gen(function*() {
  const url = yield* Config.String("URL").pipe(Config.withDefault("ws://127.0.0.1:9001"))
  const agent = yield* Config.String("AGENT").pipe(Config.withDefault("effect-ws"))
  const connect = (path: string, query: Record<string, string | number> = {}) => {
    const target = new URL(path, url)
    for (const [key, value] of Object.entries(query)) target.searchParams.set(key, `${value}`)
    return WebSocketClient.connect(target, options)
  }

  const count = yield* connect("/getCaseCount").pipe(
    Effect.flatMap((ws) => ws.receive),
    Effect.flatMap(decodeCount),
    Effect.scoped
  )
  yield* Console.log(`${count} cases as ${agent}`)

  // One case after the other, each on its own connection.
  for (let number = 1; number <= count; number++) {
    yield* connect("/runCase", { case: number, agent }).pipe(
      Effect.flatMap((ws) => Stream.run(ws.messages, ws.sink)),
      Effect.scoped,
      // Most cases break the protocol on purpose; what matters is how the connection is closed.
      Effect.catchTag(["ConnectionClosed", "ProtocolError", "IOError"], (error) =>
        Effect.logDebug(`case ${number}: ${error.message}`))
    )
  }

  yield* connect("/updateReports", { agent }).pipe(
    Effect.flatMap((ws) => Stream.runDrain(ws.messages)),
    Effect.scoped
  )
  yield* Console.log("done")
})

program.pipe(
  Effect.provide(NodeWebSocketClient.layer),
  NodeRuntime.runMain
)
