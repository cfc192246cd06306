/** A chat room: what a member sends goes to all others. */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { serve } from "./serve.ts"

const members = new Set<WebSocket.WebSocket>()

const passOn = (from: WebSocket.WebSocket) => (texts: ReadonlyArray<Message.Message>) => {
  const prepared = texts.map(Message.prepare)
  return Effect.forEach(members, (to) => to === from ? Effect.void : Effect.ignore(to.sendAll(prepared)), { discard: true })
}

serve((ws) =>
  Effect.acquireUseRelease(
    Effect.sync(() => members.add(ws)),
    () => Stream.runForEachArray(ws.messages, passOn(ws)),
    () => Effect.sync(() => members.delete(ws))
  )
)
