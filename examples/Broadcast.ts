/**
 * Sends what one client sends to all clients, the sender included. Each call makes the handler of
 * one room, for one route.
 */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const make = () => {
  const all = new Set<WebSocket.WebSocket>()
  // Each message is encoded once, and all that have arrived go to each client in one write. A client
  // that has left fails, which is ignored: its own handler ends.
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
