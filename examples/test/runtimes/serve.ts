/** Serves the programs, by what `SERVER` names: `node` (with `TLS` over TLS), `bun` or `deno`. Prints its address. */
import { BunHttpServer, DenoHttpServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { Programs } from "./programs.ts"

const tls = new URL("../../../packages/node/test/support/tls/", import.meta.url)
const credentials = () => ({ cert: readFileSync(new URL("server.pem", tls)), key: readFileSync(new URL("server.key", tls)) })

const at = { port: 0, hostname: "127.0.0.1" }

const servers = {
  node: NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }),
  tls: NodeHttpServer.layer(() => createSecureServer(credentials()), { port: 0, host: "127.0.0.1" }),
  bun: BunHttpServer.layer(at),
  deno: DenoHttpServer.layer(at)
}

const server = Config.Literals(["node", "tls", "bun", "deno"], "SERVER")

const Server = Layer.unwrap(Effect.map(server, (name) => servers[name]))

const Announce = Layer.effectDiscard(Effect.flatMap(server, (name) =>
  HttpServer.addressFormattedWith((url) =>
    Console.log(`listening on ${name === "tls" ? url.replace("http://127.0.0.1", "wss://localhost") : url.replace("http", "ws")}`)
  )))

Announce.pipe(
  Layer.provideMerge(Programs),
  Layer.provide(Server),
  Layer.launch,
  NodeRuntime.runMain({ disableErrorReporting: true })
)
