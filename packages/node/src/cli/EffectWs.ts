/** The command `effect-ws` with its subcommands. */
import * as Command from "effect/cli/Command"
import { conformance } from "./conformance/ConformanceCommand.ts"
import { connect } from "./connect/ConnectCommand.ts"
import { inspect } from "./inspect/InspectCommand.ts"
import { load } from "./load/LoadCommand.ts"
import { replay } from "./replay/ReplayCommand.ts"
import { serve } from "./serve/ServeCommand.ts"

export const effectWs = Command.make("effect-ws").pipe(
  Command.withDescription(
    "WebSockets from the command line. Exit statuses: 0 success, 1 the command did not achieve what you asked for, 2 a " +
      "mistake in the command line, 3 no connection to the server, 4 the server refused the handshake, 130 interrupted."
  ),
  Command.withSubcommands([connect, serve, inspect, replay, conformance, load])
)
