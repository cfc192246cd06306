/**
 * The connections whose output is written once the current run of JavaScript ends: one write
 * for many sends, and one microtask for all connections of a broadcast. It is a promise's
 * microtask, because `queueMicrotask` allocates an async resource for each call.
 */
import { uncaught } from "./Uncaught.ts"

/** A connection whose output waits. */
export interface Flushable {
  /** Writes the output that waits. From here on it may be scheduled again. */
  flushNow(): void
}

export const resolved = Promise.resolve()

let waiting: Array<Flushable> = []

/** Flushes connections; what one of them throws holds up no other. */
export const flushAll = (connections: ReadonlyArray<Flushable>, from = 0, to = connections.length): void => {
  for (let at = from; at < to; at++) {
    try {
      connections[at].flushNow()
    } catch (defect) {
      uncaught(defect)
    }
  }
}

const flushWaiting = (): void => {
  const connections = waiting
  waiting = []
  flushAll(connections)
}

/** Schedules a flush. Called once until `flushNow`. */
export const flushSoon = (connection: Flushable): void => {
  if (waiting.push(connection) === 1) void resolved.then(flushWaiting)
}
