/** A feed: each tick goes to all connections; one that reads too slowly misses the oldest. See `tick.ts`. */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { serve } from "./serve.ts"
import { everyMillis, next } from "./tick.ts"

const subscribers = new Set<WebSocket.WebSocket>()

const tick = Effect.suspend(() => {
  const prepared = Message.prepare(next())
  return Effect.forEach(subscribers, (ws) => Effect.ignore(ws.send(prepared)), { discard: true })
})

setInterval(() => Effect.runFork(tick), everyMillis)

serve((ws) =>
  Effect.acquireUseRelease(
    Effect.sync(() => subscribers.add(ws)),
    () => Stream.runDrain(ws.messages),
    () => Effect.sync(() => subscribers.delete(ws))
  ), { slowConsumer: "dropOldest" })
