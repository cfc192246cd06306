/** A proxy: what a connection sends goes to one of its own to UPSTREAM, and back; see `serve.ts`. */
import * as WebSocket from "@effect-ws/core/WebSocket"
import * as WebSocketClient from "@effect-ws/core/WebSocketClient"
import * as NodeWebSocketClient from "@effect-ws/node/NodeWebSocketClient"
import * as Effect from "effect/Effect"
import { serve } from "./serve.ts"

const options = { maxMessageSize: Number(process.env["MAX_MESSAGE_SIZE"]) }

serve((downstream) =>
  Effect.gen(function*() {
    const upstream = yield* WebSocketClient.connect(process.env["UPSTREAM"]!, { compression: false, ...options })
    yield* Effect.raceFirst(WebSocket.relay(downstream, upstream), WebSocket.relay(upstream, downstream))
  }).pipe(Effect.scoped, Effect.ignore, Effect.provide(NodeWebSocketClient.layer)), options)
