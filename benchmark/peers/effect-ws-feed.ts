/** A feed: each tick goes to all connections that have room for it. See `tick.ts`. */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import { serve } from "./serve.ts"
import { everyMillis, mostUnsent, next } from "./tick.ts"

const subscribers = new Set<WebSocket.WebSocket>()

setInterval(() => {
  const tick = Message.prepare(next())
  for (const ws of subscribers) ws.offerUnsafe(tick)
}, everyMillis)

serve((ws) =>
  Effect.acquireUseRelease(
    Effect.sync(() => subscribers.add(ws)),
    () => ws.drain,
    () => Effect.sync(() => subscribers.delete(ws))
  ), { outboundHighWaterMark: mostUnsent })
