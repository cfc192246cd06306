/**
 * When messages are due: at even intervals, on each connection in turn. It does not depend on the answers, so a server
 * that stops for a second is late for every message that was due in that second. A load that sends less to a slow server
 * hides that ("coordinated omission").
 */

export interface Plan {
  /** Milliseconds from the start at which message `index` of a connection is due. */
  readonly dueAt: (connection: number, index: number) => number
  /** How many messages of a connection are due before this time. */
  readonly dueBefore: (connection: number, millis: number) => number
}

/** `rate` messages a second over all connections. */
export const make = (connections: number, rate: number): Plan => {
  const interval = 1000 / rate
  return {
    dueAt: (connection, index) => (index * connections + connection) * interval,
    dueBefore: (connection, millis) => Math.max(0, Math.ceil((millis / interval - connection) / connections))
  }
}

const digits = 10

/**
 * Messages of one size that differ: each begins with its number, so that an answer can be compared with it. A
 * message of less than ten bytes carries the last digits of the number.
 */
export const numbered = (size: number): { readonly make: (index: number) => string; readonly fits: (message: string, index: number) => boolean } => {
  const room = Math.min(digits, size)
  const rest = "x".repeat(size - room)
  const numberOf = (index: number): string => room === 0 ? "" : String(index).padStart(digits, "0").slice(-room)
  return {
    make: (index) => numberOf(index) + rest,
    fits: (message, index) => message.length === size && message.startsWith(numberOf(index))
  }
}
