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

const resolved = Promise.resolve()
let waiting: Array<Flushable> = []

const flushAll = (): void => {
  const connections = waiting
  waiting = []
  for (const connection of connections) {
    try {
      connection.flushNow()
    } catch (defect) {
      uncaught(defect)
    }
  }
}

/** Schedules a flush. Called once until `flushNow`. */
export const flushSoon = (connection: Flushable): void => {
  if (waiting.push(connection) === 1) void resolved.then(flushAll)
}
