/** Sends to a slow peer, from either side, and records what was accepted. */
import type { WebSocket } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import { pick, type Random } from "./traffic.ts"
import { numbered } from "./guests/wire.ts"
import type { Accepted } from "./messages.ts"

/** What is sent, and how the connection is ended. */
export interface Plan {
  readonly size: number
  readonly count: number
  readonly flush: boolean
  readonly end: "close" | "scope"
}

/** A plan for about so many bytes. */
export const drawPlan = (random: Random, bytes: number): Plan => {
  const size = pick(random, [[1, 1000], [1, 16_384], [1, 131_072]] as const)
  const count = Math.ceil(bytes * (0.75 + random() / 2) / size)
  return { size, count, flush: random() < 0.5, end: random() < 0.5 ? "close" : "scope" }
}

/** Sends what it is asked for and records what was accepted; the end of the connection says whether it was clean. */
export const pour = (
  ws: WebSocket.WebSocket,
  plan: Plan & { readonly key: string },
  record: (accepted: Accepted) => void
): Effect.Effect<unknown, WebSocket.SendError> => {
  const { count, end, flush, key, size } = plan
  let sent = 0
  let flushed = 0
  const body = (seq: number) => size < 8192 ? numbered(seq, size).toString("latin1") : numbered(seq, size)
  return Effect.gen(function*() {
    yield* Effect.forkDetach(Effect.map(ws.closed, ({ clean, code }) => record({ key, end, sent, flushed, clean, code })))
    for (; sent < count; sent++) yield* ws.send(body(sent))
    if (flush) {
      yield* ws.flush
      flushed = sent
    }
    if (end === "close") yield* Effect.orDie(ws.close(1000))
  })
}
