/**
 * Which of the messages that connections accepted have reached the server.
 *
 * A connection accepts a message before the message is on its way. If it then ends, nothing says which messages have
 * arrived, except pongs: a server answers a Ping after it has received everything that was sent before.
 */
import type { WebSocket } from "@effect-ws/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"

/** Milliseconds between two Pings. */
const spacing = 100

/** One connection: how many messages it accepted, and how many of them have certainly arrived. */
interface Tally {
  readonly ws: WebSocket.WebSocket
  accepted: number
  arrived: number
  isAsking: boolean
}

export interface Deliveries {
  /** Another connection is open. It accepts the messages from now on. */
  readonly begin: (ws: WebSocket.WebSocket) => Effect.Effect<void>
  /** The connection has accepted a message. */
  readonly accepted: Effect.Effect<void>
  /** Pings on a connection, and returns the milliseconds until the pong. */
  readonly ping: (ws: WebSocket.WebSocket, payload?: Uint8Array) => Effect.Effect<number, unknown>
  /** Waits until all connections have closed, and returns how many messages may not have arrived. */
  readonly mayBeLost: Effect.Effect<number>
}

/** Calls `onLoss` when a connection ended with messages that may not have arrived, with their number. */
export const make = (onLoss: (count: number) => void): Effect.Effect<Deliveries, never, Scope.Scope> =>
  Effect.gen(function*() {
    const watchers = yield* FiberSet.make()
    const askers = yield* FiberSet.make()
    let lost = 0
    let current: Tally | undefined

    const ping = (ws: WebSocket.WebSocket, payload?: Uint8Array) =>
      Effect.suspend(() => {
        const record = current?.ws === ws ? current : undefined
        const accepted = record?.accepted ?? 0
        return Effect.map(ws.ping(payload), (roundTrip) => {
          if (record !== undefined) record.arrived = Math.max(record.arrived, accepted)
          return Duration.toMillis(roundTrip)
        })
      })

    const ask = (record: Tally): Effect.Effect<void> =>
      Effect.gen(function*() {
        while (record.accepted > record.arrived) {
          yield* ping(record.ws)
          yield* Effect.sleep(spacing)
        }
      }).pipe(
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => {
          record.isAsking = false
        }))
      )

    const watch = (record: Tally) =>
      Effect.map(record.ws.closed, ({ clean, initiator }) => {
        // A server that answers a Close has received everything before it. One that closes may have read nothing more.
        if (clean && initiator === "local") return
        const count = record.accepted - record.arrived
        if (count === 0) return
        lost += count
        onLoss(count)
      })

    return {
      begin: (ws) =>
        Effect.suspend(() => {
          current = { ws, accepted: 0, arrived: 0, isAsking: false }
          return Effect.asVoid(FiberSet.run(watchers, watch(current)))
        }),
      accepted: Effect.suspend(() => {
        const record = current
        if (record === undefined) return Effect.void
        record.accepted++
        if (record.isAsking) return Effect.void
        record.isAsking = true
        return Effect.asVoid(FiberSet.run(askers, ask(record)))
      }),
      ping,
      mayBeLost: Effect.map(FiberSet.awaitEmpty(watchers), () => lost)
    }
  })
