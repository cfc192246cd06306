/** Finds out whether an open connection still works: by the platform's network events, by Pings, and by silence. */
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { WebSocket } from "../WebSocket.ts"
import { IOError } from "../WebSocketError.ts"
import { Reachability } from "./Reachability.ts"

/** Milliseconds for a Pong after the platform has reported a change of the network. */
const probeTimeout = 5000

/** Listens to the platform's network events, until the scope ends. */
export const listening = (improved: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const signs = yield* Reachability
    if (signs === undefined) return
    yield* Effect.forkScoped(Stream.runForEach(signs, () => Effect.sync(improved)))
  })

/** Why a connection that is open is given up: no Pong once `probe` has opened, or no message for `maxSilence` milliseconds. */
export const givenUp = (ws: WebSocket, probe: Latch.Latch, maxSilence: number): Effect.Effect<IOError> =>
  maxSilence === Infinity ? probing(ws, probe) : Effect.raceFirst(probing(ws, probe), silence(ws, maxSilence))

const timedOut = (detail: string) => new IOError({ phase: "keepalive", reason: "TimedOut", detail })

const probing = (ws: WebSocket, probe: Latch.Latch): Effect.Effect<IOError> =>
  Effect.gen(function*() {
    while (true) {
      probe.closeUnsafe()
      yield* probe.await
      // A connection that cannot ping, or that closes meanwhile, is reported elsewhere.
      const answered = yield* Effect.timeoutOption(Effect.exit(ws.ping()), probeTimeout)
      if (answered._tag === "None") return timedOut(`No Pong within ${probeTimeout} ms after the network came back`)
    }
  })

const silence = (ws: WebSocket, millis: number): Effect.Effect<IOError> =>
  Effect.gen(function*() {
    // Checked four times in that time, so that messages cost nothing.
    let received = -1
    let quiet = 0
    while (quiet < 4) {
      const stats = yield* ws.stats
      // Unread messages are not silence. Neither is the pause of a peer that has to wait because of them.
      if (stats.messagesReceived !== received || stats.bytesUnread > 0) quiet = 0
      received = stats.messagesReceived
      yield* Effect.sleep(millis / 4)
      quiet++
    }
    return timedOut(`No message for ${millis} ms (maxSilence)`)
  })
