/** An echo server; see `serve.ts`. */
import * as WebSocket from "@effect-ws/core/WebSocket"
import { serve } from "./serve.ts"

serve((ws) => WebSocket.relay(ws, ws), { maxMessageSize: Number(process.env["MAX_MESSAGE_SIZE"]) })
