/** The flags of `effect-ws load`. The command itself is loaded when it runs. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"
import { parseDuration } from "../text/Quantities.ts"

const expectation = (text: string): readonly [number, number] => {
  const [name = "", limit = ""] = text.split("=")
  const percentile = Number(name.startsWith("p") ? name.slice(1) : Number.NaN)
  if (!(percentile > 0 && percentile <= 100)) throw new Error(`${JSON.stringify(text)} is not an expectation; write p99=50ms`)
  return [percentile, parseDuration(limit)]
}

export const load = Command.make("load", {
  url: Argument.String("url").pipe(
    Argument.withDescription("A server that sends messages back: ws://… or wss://…")
  ),
  connections: Flag.Int("connections").pipe(
    Flag.withAlias("c"),
    Flag.withMetavar("N"),
    Flag.withDefault(10),
    Flag.filter((connections) => connections > 0, () => "must be at least 1"),
    Flag.withDescription("How many connections; 10 unless given")
  ),
  ramp: Flags.duration("ramp").pipe(
    Flag.withDefault(0),
    Flag.withDescription("Open them at even intervals over this time; as fast as possible unless given")
  ),
  duration: Flags.duration("duration").pipe(
    Flag.withAlias("d"),
    Flag.withDefault(10_000),
    Flag.withDescription("How long to send; 10s unless given")
  ),
  messages: Flag.Int("messages").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.filter((messages) => messages > 0, () => "must be at least 1"),
    Flag.optional,
    Flag.withDescription("Send at most N messages on each connection")
  ),
  rate: Flag.Finite("rate").pipe(
    Flag.withAlias("r"),
    Flag.withMetavar("N"),
    Flag.filter((rate) => rate > 0, () => "must be above 0"),
    Flag.optional,
    Flag.withDescription("Messages a second over all connections, sent at even intervals without waiting for answers")
  ),
  depth: Flag.Int("depth").pipe(
    Flag.withMetavar("N"),
    Flag.withDefault(1),
    Flag.filter((depth) => depth > 0, () => "must be at least 1"),
    Flag.withDescription("Without --rate: how many messages are under way on each connection; 1 unless given")
  ),
  size: Flags.size("size").pipe(
    Flag.withDefault(128),
    Flag.withDescription("The size of a message, such as 128, 16KiB or 1MiB; 128 unless given")
  ),
  binary: Flag.Boolean("binary").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send binary messages")
  ),
  oneWay: Flag.Boolean("one-way").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Expect no answers, and measure no latencies")
  ),
  expect: Flag.String("expect").pipe(
    Flag.withMetavar("pN=DURATION"),
    Flag.mapTryCatch(expectation, (error) => error instanceof Error ? error.message : String(error)),
    Flag.atLeast(0),
    Flag.withDescription("Status 1 if this percentile of the latencies is longer, such as p99=50ms; may be given several times")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Write the result as one JSON object")
  ),
  ...Flags.client,
  compression: Flag.Boolean("compression").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Offer compression (permessage-deflate); off unless given, since all messages are alike")
  )
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./Load.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Send many messages on many connections to a server that sends them back, and show how long they took. Status 1 if a " +
        "connection failed, a message was lost or altered, or an expectation was not met."
    ),
    Command.withShortDescription("How fast is a server?"),
    Command.withExamples([
      {
        command: "effect-ws load ws://127.0.0.1:9001/ --connections 100 --rate 5000 --duration 30s",
        description: "5000 messages a second over 100 connections"
      },
      { command: "effect-ws load ws://127.0.0.1:9001/ --depth 16 --size 1KiB", description: "As fast as the server answers" },
      {
        command: "effect-ws load ws://127.0.0.1:9001/ --rate 1000 --expect p99=20ms --json",
        description: "For a script: status 1 if the server is too slow"
      }
    ])
  )
