/** The flags of `effect-ws connect`. The command itself is loaded when it runs. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"

export const connect = Command.make("connect", {
  url: Argument.String("url").pipe(
    Argument.withDescription("The server: ws://…, wss://…, or a host alone, which means ws")
  ),
  ...Flags.client,
  send: Flag.String("send").pipe(
    Flag.withMetavar("TEXT"),
    Flag.atLeast(0),
    Flag.withDescription("Send this text message first; may be given several times")
  ),
  binary: Flag.Boolean("binary").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send stdin as binary messages, and write the messages received without line ends")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Write each event as a line of JSON")
  ),
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.filter((count) => count > 0, () => "must be at least 1"),
    Flag.optional,
    Flag.withDescription("Close after N messages; status 1 if fewer arrive")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.withAlias("t"),
    Flag.optional,
    Flag.withDescription("Close after this long, such as 500ms, 5s or 2m")
  ),
  keepOpen: Flag.Boolean("keep-open").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Go on receiving after the end of stdin, until the server closes")
  ),
  linger: Flags.duration("linger").pipe(
    Flag.withDefault(500),
    Flag.withDescription("After the end of stdin, close once the server has been silent for this long; 500ms unless given")
  ),
  reconnect: Flag.Boolean("reconnect").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription(
      "Connect again when the connection is lost, after longer and longer waits; --send is sent each time; status 1 if " +
        "messages may be lost"
    )
  ),
  ping: Flags.duration("ping").pipe(
    Flag.withMetavar("INTERVAL"),
    Flag.optional,
    Flag.withDescription("Send pings at this interval and show the round trips")
  ),
  maxSize: Flags.size("max-size").pipe(
    Flag.withDefault(64 * 1024 * 1024),
    Flag.withDescription("The largest message to receive; 64MiB unless given")
  ),
  verbose: Flag.Boolean("verbose").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Also show the server's pings, and in a pipe how the connection opens and closes")
  )
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./Connect.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Talk to a server. In a terminal each line that you type is sent as a message, and JSON is shown in colours. In a " +
        "pipe each line of stdin is sent as a message, and each message received is a line of stdout; after the end of " +
        "stdin the connection is closed once the server is silent."
    ),
    Command.withShortDescription("Talk to a server"),
    Command.withExamples([
      { command: "effect-ws connect wss://echo.example/", description: "Type messages" },
      {
        command: "echo '{\"op\":\"subscribe\"}' | effect-ws connect wss://feed.example/ --count 3 --timeout 10s",
        description: "Send one message and print three"
      },
      {
        command: "effect-ws connect wss://api.example/ --header 'Authorization: Bearer …' --subprotocol v2.json",
        description: "Log in and choose a subprotocol"
      }
    ])
  )
