/**
 * Bounds what a server's handler may take until it has answered an upgrade, with the
 * connection or with a refusal: a request that is never answered holds a socket, and
 * none of the deadlines of an open connection is there yet.
 */
import * as Effect from "effect/Effect"
import * as Deadlines from "./Deadlines.ts"

class HandshakeAlarm extends Deadlines.Alarm {
  readonly onAlarm: () => void

  constructor(onAlarm: () => void) {
    super()
    this.onAlarm = onAlarm
  }
}

/**
 * Runs the handler of an upgrade; `expire` is called once `timeout` milliseconds have
 * passed and it still runs, whatever it has answered.
 */
export const watch = <A, E, R>(
  handler: Effect.Effect<A, E, R>,
  timeout: number,
  expire: () => void
): Effect.Effect<A, E, R> =>
  timeout === Infinity ? handler : Effect.flatMap(Deadlines.current, (deadlines) => {
    const alarm = new HandshakeAlarm(expire)
    deadlines.set(alarm, deadlines.now() + timeout)
    return Effect.onExit(handler, () => {
      deadlines.set(alarm, Infinity)
      return Effect.void
    })
  })
