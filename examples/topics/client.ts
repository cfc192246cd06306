/**
 * Topics from scripts. Both commands survive the death of the server.
 *
 * - `node examples/topics/client.ts subscribe URL TOPIC` prints a line of JSON for each publication, `{"epoch","offset","value"}`,
 *   and for each gap, `{"gap":{"reason","from","to"}}`. It begins with what is published from then on, with `--since start` at the
 *   oldest publication that is kept, with `--since EPOCH:OFFSET` behind a position. It ends only by a signal.
 * - `node examples/topics/client.ts publish URL TOPIC` publishes each line of its input, which is JSON, and prints
 *   `{"epoch","offset","key"}` for each one that is acknowledged. It ends when all are; with status 1 if one was not.
 *
 * What the connection does is said on standard error, in lines that begin with `# status`.
 */
import { ReconnectingClient } from "@effect-ws/core"
import { type Broker, Topic, TopicClient } from "@effect-ws/core/realtime"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Option, Schema, Stdio, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Room } from "./Room.ts"

const url = Argument.String("url").pipe(Argument.withDescription("Where the server is: ws://127.0.0.1:9003"))
const topic = Argument.String("topic").pipe(
  Argument.withDescription("The name of the topic: room/7"),
  Argument.mapTryCatch(
    (name) => Option.getOrThrow(Topic.paramsOf(Room, name)),
    () => "A topic is written as room/7"
  )
)

const Position = Schema.TemplateLiteralParser([Schema.NonEmptyString, ":", Schema.NumberFromString])
const since = Flag.String("since").pipe(
  Flag.withDescription("start, or EPOCH:OFFSET as they were printed"),
  Flag.mapTryCatch((text): "start" | Broker.Position => {
    if (text === "start") return text
    const [epoch, , offset] = Schema.decodeUnknownSync(Position)(text)
    return { epoch, offset }
  }, () => "A position is start or EPOCH:OFFSET"),
  Flag.optional
)

const print = (value: unknown) => Console.log(JSON.stringify(value))

const connected = Effect.fnUntraced(function*(url: string) {
  const client = yield* TopicClient.make(url)
  yield* Stream.runForEach(client.statuses, (status) => Console.error(`# status ${ReconnectingClient.describe(status)}`)).pipe(
    Effect.forkScoped
  )
  return client
})

const subscribe = Command.make("subscribe", { url, topic, since }, ({ since, topic, url }) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* connected(url)
    yield* Stream.runForEach(client.subscribe(Room, topic, { since: Option.getOrUndefined(since) }), (event) => {
      switch (event._tag) {
        case "Subscribed":
          return Console.error(`# subscribed at ${event.position.epoch}:${event.position.offset}`)
        case "Publication":
          return print({ ...event.position, value: event.value })
        case "Gap":
          return print({ gap: { reason: event.reason, from: event.from, to: event.to } })
        case "Snapshot":
          return Effect.void
      }
    })
  })))

// So many are under way at a time.
const concurrency = 64

const publish = Command.make("publish", { url, topic }, ({ topic, url }) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* connected(url)
    const { stdin } = yield* Stdio.Stdio
    const one = Effect.fnUntraced(function*(line: string) {
      const value = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Json))(line)
      const { epoch, key, offset } = yield* client.publish(Room, topic, value, { timeout: "5 minutes" })
      yield* print({ epoch, offset, key })
      return true
    })
    const acknowledged = yield* stdin.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.filter((line) => line.trim() !== ""),
      Stream.mapEffect(
        (line) => Effect.catch(one(line), (error) => Effect.as(Console.error(`not acknowledged: ${line}: ${error.message}`), false)),
        { concurrency }
      ),
      Stream.runFold(() => true, (all, is) => all && is)
    )
    yield* client.close(1000)
    if (!acknowledged) process.exitCode = 1
  })))

Command.make("topics").pipe(
  Command.withSubcommands([subscribe, publish]),
  Command.run({ version: "0.1.0" }),
  Effect.provide([NodeServices.layer, NodeWebSocketClient.layer]),
  NodeRuntime.runMain
)
