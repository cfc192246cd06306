/**
 * An echo client: connects once and sends every message back, until the server closes.
 * The exit status is 0 after a clean close; otherwise the typed error is printed.
 *
 * Environment:
 * - URL: default ws://127.0.0.1:9001
 * - COMPRESSION: whether to offer permessage-deflate; default true
 */
import { WebSocketClient, WebSocketError } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const url = yield* Config.String("URL").pipe(Config.withDefault("ws://127.0.0.1:9001"))
  const compression = yield* Config.Boolean("COMPRESSION").pipe(Config.withDefault(true))
  const ws = yield* WebSocketClient.connect(url, { compression })
  yield* Stream.run(ws.messages, ws.sink).pipe(
    // The server may close while an echo is being sent: that is the end, and no error.
    Effect.catchTag("ConnectionClosed", () => Effect.void)
  )
  const info = yield* ws.closed
  if (!info.clean) return yield* new WebSocketError.ConnectionClosed({ info })
  yield* Console.log(`closed: ${info.code}${info.reason === "" ? "" : ` ${info.reason}`}`)
})

program.pipe(
  Effect.scoped,
  Effect.provide(NodeWebSocketClient.layer),
  // Each way to fail has its tag: HandshakeError, IOError, ProtocolError, …
  Effect.tapError((error) => Console.error(`${error._tag}: ${error.message}`)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
