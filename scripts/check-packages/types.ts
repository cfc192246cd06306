// Compiled in an empty project against the packed packages, by several compilers and with every check of declarations: what a
// user writes, with options that are there and left out.
import {
  CompressionBudget,
  Contract,
  Extension,
  Limits,
  MemoryBudget,
  NativeWebSocketClient,
  Origin,
  ReconnectingClient,
  WebSocket,
  WebSocketClient,
  WebSocketConfig,
  type WebSocketError,
  WebSocketServer
} from "@effect-ws/core"
import { TestServer } from "@effect-ws/core/testing"
import * as Frame from "@effect-ws/core/Frame"
import { NodeHttpServer, NodeWebSocketClient, NodeWebSocketServer } from "@effect-ws/node"
import * as NodeTuning from "@effect-ws/node/NodeTuning"
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"

const options: WebSocketServer.AcceptOptions = {
  ...Limits.defaults,
  compression: { threshold: 1024 },
  origin: Origin.sameHost,
  selectSubprotocol: ["a"],
  onDisconnect: { grace: "1 second" }
}

// A caller's option that may be undefined is an option left out.
const fromUser = (maxMessageSize: number | undefined): WebSocketServer.AcceptOptions => ({ maxMessageSize })

export const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), options))

export const Server = HttpRouter.serve(Echo).pipe(
  Layer.provide([
    NodeHttpServer.layer(createServer, { port: 0, shutdown: { grace: "1 second" }, processes: 2 }),
    MemoryBudget.layer({ bytes: 2 ** 20 }),
    CompressionBudget.layer(),
    NodeTuning.layerPortable
  ])
)

export const Alone = NodeWebSocketServer.layer((ws) => WebSocket.relay(ws, ws), { port: 0, ...fromUser(undefined) })

const said = (error: WebSocketError.HandshakeError | WebSocketError.IOError): string => {
  switch (error._tag) {
    case "HandshakeError":
      return `${error.reason} ${error.status ?? "without a status"}`
    case "IOError":
      return `${error.phase} ${error.reason}`
  }
}

export const client: Effect.Effect<string> = Effect.gen(function*() {
  const ws = yield* WebSocketClient.connect("ws://localhost", { subprotocols: ["a"], headers: { authorization: "Bearer x" } })
  yield* ws.send("hello")
  const message: string | Uint8Array = yield* ws.receive
  const { clean, code }: { readonly clean: boolean; readonly code: number } = yield* ws.close(1000)
  return `${message.length} ${clean} ${code}`
}).pipe(
  Effect.scoped,
  Effect.catchTag(["HandshakeError", "IOError"], (error) => Effect.succeed(said(error))),
  Effect.catch((error) => Effect.succeed(error.message)),
  Effect.provide(NodeWebSocketClient.layerDirectOptions({ tls: { rejectUnauthorized: true }, proxy: "environment" }))
)

export const Prices = Contract.make("prices", { toServer: Schema.String, toClient: Schema.Struct({ price: Schema.Number }) })

export const parts = [
  Extension,
  Frame,
  NativeWebSocketClient.layer,
  ReconnectingClient.make,
  TestServer.layer(),
  WebSocketConfig.accept("WEBSOCKET")
]
