/**
 * The command `effect-ws` with its subcommands: their flags and what `--help` says. What a command does is loaded when
 * it is run.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "./Flags.ts"

const connect = Command.make("connect", {
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
    Flag.withDescription("Send stdin as binary messages and write what is received as it is, without line ends")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Write everything that happens as JSON, one object a line")
  ),
  count: Flag.Int("count").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.filter((count) => count > 0, () => "must be at least 1"),
    Flag.optional,
    Flag.withDescription("Leave after N messages; status 1 if fewer come")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.withAlias("t"),
    Flag.optional,
    Flag.withDescription("Leave after this long, such as 500ms, 5s or 2m")
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
  ping: Flags.duration("ping").pipe(
    Flag.withMetavar("INTERVAL"),
    Flag.optional,
    Flag.withDescription("Ping again and again and show the round trips")
  ),
  maxSize: Flags.size("max-size").pipe(
    Flag.withDefault(64 * 1024 * 1024),
    Flag.withDescription("The largest message to receive; 64MiB unless given")
  ),
  verbose: Flag.Boolean("verbose").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show pings of the server too, and in pipes how the connection opens and closes")
  )
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./connect/Connect.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Talk to a server. In a terminal what you type is sent line by line and JSON is shown in colours. In a pipe each " +
        "line of stdin is a message and each message a line of stdout, and the connection is closed after the end of stdin, once the server has nothing more to say."
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

const serve = Command.make("serve", {
  host: Flag.String("host").pipe(
    Flag.withDefault("127.0.0.1"),
    Flag.withDescription("Listen on this address; 127.0.0.1, which this machine alone reaches, unless given")
  ),
  port: Flag.Int("port").pipe(
    Flag.withAlias("p"),
    Flag.withMetavar("PORT"),
    Flag.withDefault(9001),
    Flag.withDescription("Listen on this port, 0 for a free one; 9001 unless given")
  ),
  broadcast: Flag.Boolean("broadcast").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send each message to everybody else instead of back")
  ),
  answers: Flag.Directory("answers", { mustExist: true }).pipe(
    Flag.withMetavar("DIRECTORY"),
    Flag.optional,
    Flag.withDescription("Answer as the JSON files in this directory say, one for each path")
  ),
  subprotocols: Flag.String("subprotocol").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("NAME"),
    Flag.atLeast(0),
    Flag.withDescription("Speak this subprotocol if it is offered; may be given several times")
  ),
  compression: Flag.Boolean("compression").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Accept compression (permessage-deflate)")
  ),
  cert: Flag.File("cert", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription("Serve wss with the certificate in this PEM file")
  ),
  key: Flag.File("key", { mustExist: true }).pipe(
    Flag.optional,
    Flag.withDescription("The private key of --cert, a PEM file")
  ),
  maxSize: Flags.size("max-size").pipe(
    Flag.withDefault(64 * 1024 * 1024),
    Flag.withDescription("The largest message to receive; 64MiB unless given")
  ),
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Do not show connections and messages")
  )
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./serve/Serve.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "A server for trying clients: it sends every message back, or to everybody else, or answers as the files of a " +
        "directory say. Web pages of any origin may connect."
    ),
    Command.withShortDescription("A server for trying clients"),
    Command.withExamples([
      { command: "effect-ws serve", description: "Echo on ws://127.0.0.1:9001/" },
      { command: "effect-ws serve --answers ./answers --port 8080", description: "Answer as ./answers/*.json say" }
    ])
  )

export const effectWs = Command.make("effect-ws").pipe(
  Command.withDescription(
    "WebSockets from the command line. Exit statuses: 0 success, 1 what was asked for did not happen, 2 a mistake in " +
      "the command line, 3 no connection to the server, 4 the server refused the handshake, 130 interrupted."
  ),
  Command.withSubcommands([connect, serve])
)
