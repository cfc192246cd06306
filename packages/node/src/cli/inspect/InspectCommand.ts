/** The flags of `effect-ws inspect`. The command itself is loaded when it runs. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"

export const inspect = Command.make("inspect", {
  target: Argument.String("target").pipe(
    Argument.withDescription("The server: ws://… or wss://…; clients then connect to this program instead")
  ),
  host: Flags.host,
  port: Flags.port("port").pipe(
    Flag.withAlias("p"),
    Flag.withDefault(9002),
    Flag.withDescription("Listen on this port, 0 for a free one; 9002 unless given")
  ),
  page: Flag.Boolean("page").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show everything on a local web page too; its address is printed")
  ),
  pagePort: Flags.port("page-port").pipe(
    Flag.withDefault(0),
    Flag.withDescription("The port of the page; a free one unless given")
  ),
  record: Flag.String("record").pipe(
    Flag.withAlias("r"),
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Record everything in this file, for effect-ws replay")
  ),
  full: Flags.full,
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show nothing here")
  ),
  showSecrets: Flag.Boolean("show-secrets").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show and record credentials in headers and queries, which are otherwise replaced by ***")
  ),
  headers: Flags.headers,
  origin: Flags.origin,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./Inspect.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Stand between a client and a server and show everything that passes: handshakes, every frame of both directions with " +
        "its flags, length and decompressed payload, and each broken rule with its section of the RFC. Bytes pass " +
        "unchanged, except the Host header and those given by --header and --origin."
    ),
    Command.withShortDescription("See everything that passes between a client and a server"),
    Command.withExamples([
      { command: "effect-ws inspect wss://feed.example/", description: "Connect your client to ws://127.0.0.1:9002/" },
      {
      command: "effect-ws inspect ws://127.0.0.1:8080 --page --record session.jsonl",
      description: "Watch in a browser, and record"
    }
    ])
  )
