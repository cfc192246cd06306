/** The flags of `effect-ws conformance`. The command itself is loaded when it runs. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"

export const conformance = Command.make("conformance", {
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
  port: Flags.port("port").pipe(
    Flag.withAlias("p"),
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
    Flag.withDescription("The name of the server or client in the reports")
  ),
  full: Flag.Boolean("full").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send all 1000 messages of each case in groups 12 and 13, instead of a sample")
  ),
  parallel: Flag.Int("parallel").pipe(
    Flag.withMetavar("N"),
    Flag.withDefault(8),
    Flag.filter((parallel) => parallel > 0, () => "must be at least 1"),
    Flag.withDescription("How many cases to play at once against a server; 8 unless given")
  ),
  timeout: Flags.duration("timeout").pipe(
    Flag.optional,
    Flag.withDescription("How long a peer may take for a step; unless given, 5s for most cases and 60s for large messages")
  ),
  json: Flag.String("json").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as JSON; results of other agents in an existing file are kept")
  ),
  html: Flag.String("html").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as an HTML page, with all agents of the --json file")
  ),
  markdown: Flag.String("markdown").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("Write the results as Markdown, with all agents of the --json file")
  ),
  strict: Flag.Boolean("strict").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Exit with status 1 for non-strict results too")
  ),
  list: Flag.Boolean("list").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("List the cases and play none")
  ),
  headers: Flags.headers,
  ...Flags.tls
}, (options) =>
  Effect.flatMap(Effect.promise(() => import("./Conformance.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "Find out whether a server or a client keeps the rules of RFC 6455 and RFC 7692: 548 cases, numbered as in the " +
        "Autobahn testsuite, against any peer that sends messages back. Status 1 if a case failed."
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
