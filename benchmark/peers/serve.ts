/**
 * Serves one route, as a program on effect-ws does it. Environment: PORT, COMPRESSION, TLS_CERT and TLS_KEY; and
 * TUNED, which asks V8 for collections of young messages.
 */
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as WebSocketServer from "@effect-ws/core/WebSocketServer"
import * as NodeHttpServer from "@effect-ws/node/NodeHttpServer"
import * as NodeTuning from "@effect-ws/node/NodeTuning"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"

const { COMPRESSION, PORT, TLS_CERT, TLS_KEY, TUNED } = process.env

const makeServer = () =>
  TLS_CERT !== undefined && TLS_KEY !== undefined
    ? createSecureServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
    : createServer()

const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(`listening on ${url.replace("http", "ws")}`)))

/** Runs a server of one handler until its process is ended. */
export const serve = (
  handler: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, WebSocketServer.ConnectionError>,
  options: WebSocketServer.AcceptOptions = {}
): void => {
  const compression = COMPRESSION === "true" && { threshold: 0 }
  const route = HttpRouter.add("GET", "/", WebSocketServer.handle(handler, { compression, ...options }))
  announce.pipe(
    Layer.provideMerge(HttpRouter.serve(route, { disableLogger: true, disableListenLog: true })),
    Layer.provide(NodeHttpServer.layer(makeServer, { host: "127.0.0.1", port: Number(PORT) })),
    Layer.provide(TUNED === "true" ? NodeTuning.layerYoungCollections : Layer.empty),
    Layer.launch,
    NodeRuntime.runMain
  )
}
