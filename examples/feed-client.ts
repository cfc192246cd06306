/**
 * Reads a feed for as long as there is one: prints each message as a line, and each status as a line
 * that begins with `# status` on standard error. It comes back by itself, and ends only by a signal.
 *
 * Environment:
 * - URL: default ws://127.0.0.1:9001
 */
import { Message, ReconnectingClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const url = yield* Config.String("URL").pipe(Config.withDefault("ws://127.0.0.1:9001"))
  const feed = yield* ReconnectingClient.make(url)
  const statuses = Stream.runForEach(feed.statuses, (status) =>
    Console.error(`# status ${ReconnectingClient.describe(status)}`))
  const messages = Stream.runForEach(feed.messages, (message) =>
    Console.log(Message.isText(message) ? message : `${message.length} bytes`))
  yield* Effect.all([statuses, messages], { concurrency: "unbounded" })
})

program.pipe(
  Effect.scoped,
  // The last status said what another attempt cannot mend. The program stays, and a signal ends it.
  Effect.catch(() => Effect.never),
  Effect.provide(NodeWebSocketClient.layer),
  NodeRuntime.runMain
)
