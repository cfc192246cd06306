/** The flags of `effect-ws replay`. The command itself is loaded when it runs. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"

export const replay = Command.make("replay", {
  file: Argument.String("file").pipe(Argument.withDescription("A recording that effect-ws inspect --record has written")),
  to: Flag.String("to").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("Play the recorded client to this server, and compare the server's messages")
  ),
  listen: Flag.Boolean("listen").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Play the recorded server to a client that connects, and compare the client's messages")
  ),
  host: Flags.host,
  port: Flags.port("port").pipe(
    Flag.withAlias("p"),
    Flag.withDefault(9003),
    Flag.withDescription("With --listen, listen on this port, 0 for a free one; 9003 unless given")
  ),
  connection: Flag.Int("connection").pipe(
    Flag.withAlias("c"),
    Flag.withMetavar("N"),
    Flag.optional,
    Flag.withDescription("Play only this connection of the recording; all, one after the other, unless given")
  ),
  speed: Flag.Finite("speed").pipe(
    Flag.withMetavar("FACTOR"),
    Flag.filter((speed) => speed > 0, () => "must be above 0"),
    Flag.optional,
    Flag.withDescription("Keep the pace of the recording (1), or twice that (2); as fast as the other side unless given")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.withDefault(5000),
    Flag.withDescription("How long the other side may take for each of its messages; 5s unless given")
  ),
  full: Flags.full,
  headers: Flags.headers,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./Replay.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Show a recorded inspection again, as inspect showed it, or play one side of it: the same bytes in the same order. " +
        "Status 1 if a message of the other side differs from the recording."
    ),
    Command.withShortDescription("Play a recording of inspect"),
    Command.withExamples([
      { command: "effect-ws replay session.jsonl --full", description: "Show it again" },
      { command: "effect-ws replay session.jsonl --to ws://127.0.0.1:8080/", description: "Does the server still answer the same?" },
      { command: "effect-ws replay session.jsonl --listen", description: "Play the server" }
    ])
  )
