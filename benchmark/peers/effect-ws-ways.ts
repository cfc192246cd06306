/** The ways to read and to send that the library has. Environment: WAY. */
import type * as WebSocket from "@effect-ws/core/WebSocket"
import type * as WebSocketServer from "@effect-ws/core/WebSocketServer"
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { serve } from "./serve.ts"

const ways: Readonly<Record<string, (ws: WebSocket.WebSocket) => Effect.Effect<unknown, WebSocketServer.ConnectionError>>> = {
  send: (ws) => Stream.runForEach(ws.messages, ws.send),
  sendAll: (ws) => Stream.runForEachArray(ws.messages, ws.sendAll),
  sink: (ws) => Stream.run(ws.messages, ws.sink)
}

serve(ways[process.env["WAY"] ?? "sink"]!)
