/** Checks the promises from a process: `URL` says where, `CLIENT` how it connects. Prints the outcomes. */
import { NativeWebSocketClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect } from "effect"
import { readFileSync } from "node:fs"
import { run } from "./promises.ts"

const authority = new URL("../../../packages/node/test/support/tls/ca.pem", import.meta.url)

const clients = {
  node: NodeWebSocketClient.layer,
  tls: NodeWebSocketClient.layerDirectOptions({ tls: { ca: readFileSync(authority) } }),
  native: NativeWebSocketClient.layer
}

Effect.gen(function*() {
  const url = yield* Config.String("URL")
  const name = yield* Config.Literals(["node", "tls", "native"], "CLIENT")
  const outcomes = yield* Effect.provide(run({ url, isHandshakeHidden: name === "native" }), clients[name])
  yield* Console.log(`outcomes: ${JSON.stringify(outcomes)}`)
}).pipe(NodeRuntime.runMain)
