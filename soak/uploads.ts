/** Our clients that send to slow peers: a raw server that takes its time, and a handler of ours that does. */
import { WebSocketClient } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { drawPace } from "./guests/paces.ts"
import type { Accepted } from "./messages.ts"
import { drawPlan, pour } from "./pour.ts"
import { makeRandom } from "./traffic.ts"

export interface Uploads {
  /** The raw server and ours. */
  readonly urls: { readonly raw: string; readonly ours: string }
  readonly seed: number
  /** About how many each upload has. */
  readonly bytes: number
  readonly isStopping: () => boolean
  readonly record: (accepted: Accepted) => void
  readonly problem: (what: string) => void
}

/** One upload after the other, until all stop. */
export const uploads = ({ bytes, isStopping, problem, record, seed, urls }: Uploads, prefix: string): Effect.Effect<void, never, WebSocketClient.Connector> =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    for (let i = 0; !isStopping(); i++) {
      const key = `${prefix}.${i}`
      const isOurs = random() < 0.3
      const plan = { key, ...drawPlan(random, bytes) }
      const url = isOurs ? `${urls.ours}/life/sip?key=${key}` : `${urls.raw}/?key=${key}&pace=${encodeURIComponent(drawPace(random))}`
      yield* WebSocketClient.connect(url, { compression: false }).pipe(
        Effect.flatMap((ws) => pour(ws, plan, record)),
        Effect.scoped,
        Effect.timeout("2 minutes"),
        Effect.catchCause((cause) => Effect.sync(() => problem(`upload ${key}: ${String(cause)}`)))
      )
    }
  })
