/** The ways to read and to send that the library has. Environment: WAY. */
import * as WebSocket from "@effect-ws/core/WebSocket"
import type * as WebSocketServer from "@effect-ws/core/WebSocketServer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { serve } from "./serve.ts"

const ways: Readonly<Record<string, (ws: WebSocket.WebSocket) => Effect.Effect<unknown, WebSocketServer.ConnectionError>>> = {
  "receive+send": (ws) =>
    Effect.gen(function*() {
      while (true) yield* ws.send(yield* ws.receive)
    }),
  "messages+send": (ws) => Stream.runForEach(ws.messages, ws.send),
  "messages+sink": (ws) => Stream.run(ws.messages, ws.sink),
  "batches+sendAll": (ws) => Stream.runForEach(ws.batches, ws.sendAll),
  "relay": (ws) => WebSocket.relay(ws, ws)
}

serve(ways[process.env["WAY"] ?? "relay"]!)
