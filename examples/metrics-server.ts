/**
 * A server with observability: an echo, and its metrics for Prometheus.
 *
 * The environment has the options of its connections, under `WEBSOCKET_`
 * (`WEBSOCKET_MAX_MESSAGE_SIZE="64 KiB"`, `WEBSOCKET_KEEP_ALIVE=off`, ...): see
 * `WebSocketConfig`. It also reads:
 * - PORT: default 9464, where Prometheus looks by convention; 0 picks a free one
 * - HOST: default 127.0.0.1
 * - DEVTOOLS: where Effect's DevTools listen, such as ws://localhost:34437; they get spans and metrics
 */
import { WebSocketConfig, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Stream } from "effect"
import { DevTools } from "effect/devtools"
import { HttpRouter, HttpServer } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"

const Echo = Layer.unwrap(Effect.gen(function*() {
  const options = yield* WebSocketConfig.accept("WEBSOCKET")
  return HttpRouter.add("GET", "/echo", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), options))
}))

// Connections count in plain fields, which are added up when this page is read.
const Metrics = PrometheusMetrics.layerHttp()

const Server = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(9464))
  const host = yield* Config.String("HOST").pipe(Config.withDefault("127.0.0.1"))
  return NodeHttpServer.layer(createServer, { port, host, ...yield* WebSocketConfig.server("WEBSOCKET") })
}))

// With a tracer each connection has a span, linked to that of its request.
const Observed = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.String("DEVTOOLS").pipe(Config.withDefault(undefined))
  return url === undefined ? Layer.empty : DevTools.layer(url)
}))

const Announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) =>
  Console.log(`listening on ${url}\n/echo answers WebSockets, /metrics tells Prometheus about them`)
))

Announce.pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.mergeAll(Echo, Metrics), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Server),
  Layer.provide(Observed),
  Layer.launch,
  NodeRuntime.runMain
)
