/** A chat room: what a member sends goes to all others. */
import * as Message from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/core/WebSocket"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { serve } from "./serve.ts"

const members = new Set<WebSocket.WebSocket>()

/** All members get the texts in one run of JavaScript; only those whose buffers are full are waited for. */
const passOn = (from: WebSocket.WebSocket) => (texts: ReadonlyArray<Message.Message>) =>
  Effect.suspend(() => {
    const prepared = texts.map(Message.prepare)
    const late: Array<Effect.Effect<void>> = []
    for (const to of members) {
      if (to === from) continue
      let taken = 0
      while (taken < prepared.length && to.offerUnsafe(prepared[taken]!)) taken++
      if (taken < prepared.length) late.push(Effect.ignore(to.sendAll(prepared.slice(taken))))
    }
    return Effect.all(late, { discard: true })
  })

serve((ws) =>
  Effect.acquireUseRelease(
    Effect.sync(() => members.add(ws)),
    () => Stream.runForEach(ws.batches, passOn(ws)),
    () => Effect.sync(() => members.delete(ws))
  )
)
