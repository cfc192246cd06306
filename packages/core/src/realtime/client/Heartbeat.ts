/** Notices that a server is gone where the platform cannot send Pings, as in a page: by a request whose answer costs nothing. */
import * as Effect from "effect/Effect"
import type { WebSocket } from "../../WebSocket.ts"
import type { Calls } from "./Calls.ts"

/** A topic to which nobody is subscribed: the answer is always the same. */
const nowhere = "-"

/** Asks whenever nothing has arrived for `interval`, and closes the connection if nothing arrives within `timeout` after that. */
export const heartbeat = (
  calls: Calls,
  ws: WebSocket,
  keepAlive: { readonly interval: number; readonly timeout: number } | undefined
): Effect.Effect<void> => {
  if (keepAlive === undefined || ws.capabilities.ping) return Effect.void
  const received = Effect.map(ws.stats, ({ messagesReceived }) => messagesReceived)
  /** Whether something arrives within a time. */
  const hears = (millis: number) =>
    Effect.flatMap(received, (before) => Effect.andThen(Effect.sleep(millis), Effect.map(received, (now) => now > before)))
  return Effect.gen(function*() {
    while (true) {
      if (yield* hears(keepAlive.interval)) continue
      calls.ask({ type: "unsubscribe", topic: nowhere })
      if (yield* hears(keepAlive.timeout)) continue
      // The peer may be gone for good, so nobody waits for its Close.
      yield* Effect.forkDetach(Effect.ignore(ws.close(4408, "no answer")))
      return
    }
  })
}
