/**
 * The connections whose output goes out once the current run of JavaScript ends: one write
 * for many sends, and one microtask for all connections that were sent to, as in a
 * broadcast. A promise's, since `queueMicrotask` keeps an async resource for each call.
 */
import { uncaught } from "./Uncaught.ts"

/** A connection whose output waits. */
export interface Flushable {
  /** Writes what waits; it may be asked for again from here on. */
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

/** To be called once until `flushNow`. */
export const flushSoon = (connection: Flushable): void => {
  if (waiting.push(connection) === 1) void resolved.then(flushAll)
}
