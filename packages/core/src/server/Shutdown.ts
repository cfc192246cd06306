/**
 * The end of a server: its handlers learn of it and may send a last message, then their connections are
 * closed, at once or spread over a time. Connections that have not closed at the end of the grace are cut
 * and counted.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Connection } from "../connection/Connection.ts"
import { checkClose } from "../protocol/CloseFrame.ts"
import * as Deadlines from "../runtime/Deadlines.ts"

/**
 * How a server ends.
 *
 * **Details**
 *
 * - `notice`: how long the handlers of a connection that asked to learn of the end
 *   (`WebSocketServer.onGoingAway`, `WebSocketServer.goingAway`) may delay its Close. The
 *   other connections are not delayed. Default 2 seconds.
 * - `code`, `reason`: those of the Close. Default 1001, without a reason.
 * - `over`: the time over which the Closes are spread, so that many clients do not come back at once.
 *   The handlers of a connection learn of the end when its turn comes; until then it stays open.
 *   Default 0: all at once.
 * - `grace`: the most that all of it may take; connections that have not closed by then are
 *   cut. Default 5 seconds more than `over`.
 * - `report`: called at the end with how many connections closed and how many were cut. If any were
 *   cut, there is a warning in the log too.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShutdownOptions {
  readonly notice?: Duration.Input | undefined
  readonly code?: number | undefined
  readonly reason?: string | undefined
  readonly over?: Duration.Input | undefined
  readonly grace?: Duration.Input | undefined
  readonly report?: ((report: ShutdownReport) => Effect.Effect<void>) | undefined
}

/**
 * How the connections of a server ended: `closed` in time, or `cut`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShutdownReport {
  readonly closed: number
  readonly cut: number
}

/** {@link ShutdownOptions} with all defaults, in milliseconds. */
export interface Policy {
  readonly notice: number
  readonly code: number
  readonly reason: string
  readonly over: number
  readonly grace: number
  readonly report: ((report: ShutdownReport) => Effect.Effect<void>) | undefined
}

const defaultNotice = 2000
const defaultGrace = 5000
const defaultCode = 1001

const millis = (input: Duration.Input | undefined, fallback: number): number =>
  input === undefined ? fallback : Duration.toMillis(Duration.fromInputUnsafe(input))

/** Throws `InvalidArgument` where the code or the reason cannot be sent. */
export const makePolicy = (options: ShutdownOptions = {}): Policy => {
  const { code = defaultCode, reason = "", report } = options
  const checked = checkClose("server", code, reason)
  if (Result.isFailure(checked)) throw checked.failure
  const over = millis(options.over, 0)
  return { notice: millis(options.notice, defaultNotice), code, reason, over, grace: millis(options.grace, over + defaultGrace), report }
}

/** What a handler does before the Close of its connection. */
export type LastWord = () => Effect.Effect<void>

/** The connections of a server that ends. */
export interface Leaving {
  /** Stops admitting connections, and returns those that are open. */
  readonly begin: () => ReadonlyArray<Connection>
  /** The turn of a connection has come: returns what its handlers do before the Close. */
  readonly tell: (connection: Connection) => ReadonlyArray<LastWord>
  /** How many were released since the beginning. */
  readonly gone: () => number
  /** The connections that are still open. */
  readonly left: () => ReadonlyArray<Connection>
  /** Waits until none is left. */
  readonly empty: Effect.Effect<void>
}

/** Ends the connections of a server. Run it once. */
export const shutdown = (leaving: Leaving, policy: Policy): Effect.Effect<ShutdownReport> =>
  Effect.gen(function*() {
    const batches = spread(leaving.begin(), policy.over)
    const closing = Effect.andThen(
      Effect.forEach(batches, (batch) => Effect.delay(closeAll(leaving, batch.connections, policy), batch.delay), {
        concurrency: "unbounded",
        discard: true
      }),
      leaving.empty
    )
    yield* Deadlines.timeoutOption(closing, policy.grace)
    const left = leaving.left()
    const report: ShutdownReport = { closed: leaving.gone(), cut: left.length }
    for (const connection of left) {
      connection.goAway(policy.code, policy.reason)
      connection.cut("The server shut down and the peer did not close in time")
    }
    yield* leaving.empty
    if (report.cut > 0) {
      yield* Effect.logWarning(`Cut ${report.cut} WebSocket connections that did not close in time`)
    }
    if (policy.report !== undefined) yield* policy.report(report)
    return report
  })

const closeAll = (
  leaving: Leaving,
  connections: ReadonlyArray<Connection>,
  { code, notice, reason }: Policy
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const delayed: Array<Effect.Effect<void>> = []
    for (const connection of connections) {
      const words = leaving.tell(connection)
      if (words.length === 0) {
        connection.goAway(code, reason)
        continue
      }
      const said = Effect.forEach(words, (word) => word(), { concurrency: "unbounded", discard: true })
      delayed.push(Effect.map(Deadlines.timeoutOption(said, notice), () => connection.goAway(code, reason)))
    }
    return Effect.forEach(delayed, (one) => one, { concurrency: "unbounded", discard: true })
  })

interface Batch {
  readonly delay: number
  readonly connections: ReadonlyArray<Connection>
}

// At most one batch in 100 ms: more would cost timers and not spread the Closes better.
const batchInterval = 100

/** Batches of about the same size, evenly over the time, the first at once. */
const spread = (connections: ReadonlyArray<Connection>, over: number): ReadonlyArray<Batch> => {
  const count = Math.max(1, Math.min(connections.length, Math.ceil(over / batchInterval)))
  return Array.from({ length: count }, (_, i) => ({
    delay: over * i / count,
    connections: connections.slice(
      Math.floor(connections.length * i / count),
      Math.floor(connections.length * (i + 1) / count)
    )
  }))
}
