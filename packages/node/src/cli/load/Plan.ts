/**
 * When messages are due: evenly over time, and over connections in turn. It does not depend on what was answered
 * until then, so a server that stands still for a second is late with all that was due in it ("coordinated omission" is
 * to ask less of a server while it is slow, and then to measure less).
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
 * Messages of a size that can be told apart: each begins with its number, so that what comes back can be compared. A
 * message below ten bytes carries as many of the last digits as it has room for.
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
