/** The flags of `effect-ws serve`. The command itself is loaded when it runs. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "../Flags.ts"

export const serve = Command.make("serve", {
  host: Flag.String("host").pipe(
    Flag.withDefault("127.0.0.1"),
    Flag.withDescription("Listen on this address; 127.0.0.1 unless given, which only this machine can reach")
  ),
  port: Flags.port("port").pipe(
    Flag.withAlias("p"),
    Flag.withDefault(9001),
    Flag.withDescription("Listen on this port, 0 for a free one; 9001 unless given")
  ),
  broadcast: Flag.Boolean("broadcast").pipe(
    Flag.withDefault(false),
    Flag.withoutNegation,
    Flag.withDescription("Send each message to all other clients instead of back")
  ),
  answers: Flag.Directory("answers", { mustExist: true }).pipe(
    Flag.withMetavar("DIRECTORY"),
    Flag.optional,
    Flag.withDescription("Answer with the JSON files of this directory, one for each path")
  ),
  subprotocols: Flag.String("subprotocol").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("NAME"),
    Flag.atLeast(0),
    Flag.withDescription("Accept this subprotocol if it is offered; may be given several times")
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
  Effect.flatMap(Effect.promise(() => import("./Serve.ts")), ({ run }) => run(options))).pipe(
    Command.withDescription(
      "A server for trying clients: it sends every message back, or to all other clients, or answers with the files of a " +
        "directory. Web pages of any origin may connect."
    ),
    Command.withShortDescription("A server for trying clients"),
    Command.withExamples([
      { command: "effect-ws serve", description: "Echo on ws://127.0.0.1:9001/" },
      { command: "effect-ws serve --answers ./answers --port 8080", description: "Answer with ./answers/*.json" }
    ])
  )
