/**
 * What one client sends goes to all of them, the sender included: the handler of a route,
 * for as many routes as there are rooms.
 */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const make = () => {
  const all = new Set<WebSocket.WebSocket>()
  // Encoded once, and all that has arrived in one write to each. Who has gone meanwhile is
  // left out.
  const tellAll = (messages: ReadonlyArray<Message.Message>) => {
    const prepared = messages.map(Message.prepare)
    return Effect.forEach(all, (ws) => Effect.ignore(ws.sendAll(prepared)), { discard: true })
  }
  return (ws: WebSocket.WebSocket) =>
    Effect.acquireUseRelease(
      Effect.sync(() => all.add(ws)),
      () => Stream.runForEach(ws.batches, tellAll),
      () => Effect.sync(() => all.delete(ws))
    )
}
