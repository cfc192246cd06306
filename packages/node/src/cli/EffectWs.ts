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

const conformance = Command.make("conformance", {
  url: Argument.String("url").pipe(
    Argument.optional,
    Argument.withDescription("The echo server to test: ws://… or wss://…")
  ),
  client: Flag.Boolean("client").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Wait for an echo client and test it")
  ),
  host: Flag.String("host").pipe(
    Flag.withDefault("127.0.0.1"),
    Flag.withDescription("With --client, listen on this address; 127.0.0.1 unless given")
  ),
  port: Flag.Int("port").pipe(
    Flag.withAlias("p"),
    Flag.withMetavar("PORT"),
    Flag.withDefault(9001),
    Flag.withDescription("With --client, listen on this port, 0 for a free one; 9001 unless given")
  ),
  cases: Flag.String("cases").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDefault("*"),
    Flag.withDescription("Play these cases, such as 1,6.4,7.3.2; all unless given")
  ),
  exclude: Flag.String("exclude").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDefault(""),
    Flag.withDescription("Leave these cases out, such as 9,12,13")
  ),
  agent: Flag.String("agent").pipe(
    Flag.withMetavar("NAME"),
    Flag.optional,
    Flag.withDescription("The name of what is tested, for the report")
  ),
  full: Flag.Boolean("full").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send all 1000 messages of each case in groups 12 and 13, in place of a sample")
  ),
  parallel: Flag.Int("parallel").pipe(
    Flag.withMetavar("N"),
    Flag.withDefault(8),
    Flag.filter((parallel) => parallel > 0, () => "must be at least 1"),
    Flag.withDescription("How many cases are played at once against a server; 8 unless given")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.optional,
    Flag.withDescription("How long a peer may take for a step; 5s for most cases and 60s for large ones unless given")
  ),
  json: Flag.String("json").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as JSON; the other agents of a report that is there stay in it")
  ),
  html: Flag.String("html").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as a page, with all agents of --json")
  ),
  markdown: Flag.String("markdown").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as Markdown, with all agents of --json")
  ),
  strict: Flag.Boolean("strict").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Status 1 for non-strict results too")
  ),
  list: Flag.Boolean("list").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("List the cases and play none")
  ),
  headers: Flags.headers,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./conformance/Conformance.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Find out whether a server or a client keeps the rules of RFC 6455 and RFC 7692: 548 cases, numbered as in the " +
        "Autobahn testsuite, against anything that sends messages back. Status 1 if a case failed."
    ),
    Command.withShortDescription("Does a server or client keep the rules?"),
    Command.withExamples([
      { command: "effect-ws conformance ws://127.0.0.1:8080/echo", description: "Test a server" },
      {
        command: "effect-ws conformance ws://127.0.0.1:8080/echo --exclude 9,12,13 --html report.html",
        description: "Test a server without the slow cases and write a page"
      },
      { command: "effect-ws conformance --client --port 9001", description: "Wait for a client" }
    ])
  )

const host = Flag.String("host").pipe(
  Flag.withDefault("127.0.0.1"),
  Flag.withDescription("Listen on this address; 127.0.0.1, which this machine alone reaches, unless given")
)

const full = Flag.Boolean("full").pipe(
  Flag.withDefault(false),
  Flag.withoutNegation,
  Flag.withDescription("Show whole payloads, JSON laid out and bytes in hexadecimal, in place of their beginning")
)

const inspect = Command.make("inspect", {
  target: Argument.String("target").pipe(
    Argument.withDescription("The server: ws://… or wss://…; clients then connect to this program in its place")
  ),
  host,
  port: Flag.Int("port").pipe(
    Flag.withAlias("p"),
    Flag.withMetavar("PORT"),
    Flag.withDefault(9002),
    Flag.withDescription("Listen on this port, 0 for a free one; 9002 unless given")
  ),
  page: Flag.Boolean("page").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show everything on a local web page too; its address is printed")
  ),
  pagePort: Flag.Int("page-port").pipe(
    Flag.withMetavar("PORT"),
    Flag.withDefault(0),
    Flag.withDescription("The port of the page; a free one unless given")
  ),
  record: Flag.String("record").pipe(
    Flag.withAlias("r"),
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Keep everything in this file, for effect-ws replay")
  ),
  full,
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show nothing here")
  ),
  showSecrets: Flag.Boolean("show-secrets").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Show and keep credentials of headers and queries, which are replaced by *** otherwise")
  ),
  headers: Flags.headers,
  origin: Flags.origin,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./inspect/Inspect.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Stand between a client and a server and show everything that passes: handshakes, every frame of both directions with " +
        "its flags, lengths and inflated payload, and the rules that are broken, with their section of the RFC. Bytes pass " +
        "unchanged, but for the Host header and those given by --header and --origin."
    ),
    Command.withShortDescription("See everything that passes between a client and a server"),
    Command.withExamples([
      { command: "effect-ws inspect wss://feed.example/", description: "Connect your client to ws://127.0.0.1:9002/" },
      { command: "effect-ws inspect ws://127.0.0.1:8080 --page --record session.jsonl", description: "Watch in a browser and keep it" }
    ])
  )

const replay = Command.make("replay", {
  file: Argument.String("file").pipe(Argument.withDescription("What effect-ws inspect --record has written")),
  to: Flag.String("to").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("Play the recorded client to this server, and compare what the server says")
  ),
  listen: Flag.Boolean("listen").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Play the recorded server to a client that connects, and compare what the client says")
  ),
  host,
  port: Flag.Int("port").pipe(
    Flag.withAlias("p"),
    Flag.withMetavar("PORT"),
    Flag.withDefault(9003),
    Flag.withDescription("With --listen, listen on this port, 0 for a free one; 9003 unless given")
  ),
  connection: Flag.Int("connection").pipe(
    Flag.withAlias("c"),
    Flag.withMetavar("N"),
    Flag.optional,
    Flag.withDescription("Only this connection of the recording; all, one after the other, unless given")
  ),
  speed: Flag.Finite("speed").pipe(
    Flag.withMetavar("FACTOR"),
    Flag.filter((speed) => speed > 0, () => "must be above 0"),
    Flag.optional,
    Flag.withDescription("Keep the pace of the recording (1), or twice that (2); as fast as the other side goes unless given")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.withDefault(5000),
    Flag.withDescription("How long the other side may take for each of its messages; 5s unless given")
  ),
  full,
  headers: Flags.headers,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./replay/Replay.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Show a recorded inspection again, as inspect showed it, or play one side of it: byte for byte the same, in the same " +
        "order. Status 1 if the other side says something else than in the recording."
    ),
    Command.withShortDescription("Play what inspect has recorded"),
    Command.withExamples([
      { command: "effect-ws replay session.jsonl --full", description: "Look at it again" },
      { command: "effect-ws replay session.jsonl --to ws://127.0.0.1:8080/", description: "Does the server still answer the same?" },
      { command: "effect-ws replay session.jsonl --listen", description: "Stand in for the server" }
    ])
  )

export const effectWs = Command.make("effect-ws").pipe(
  Command.withDescription(
    "WebSockets from the command line. Exit statuses: 0 success, 1 what was asked for did not happen, 2 a mistake in " +
      "the command line, 3 no connection to the server, 4 the server refused the handshake, 130 interrupted."
  ),
  Command.withSubcommands([connect, serve, inspect, replay, conformance])
)
