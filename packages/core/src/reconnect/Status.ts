/** What a client that comes back is doing, for programs and people. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type { Loss } from "./Verdict.ts"

export interface Connecting<out E = never> {
  readonly _tag: "Connecting"
  /** 1 for the first attempt since the last healthy connection. */
  readonly attempt: number
  /** Why the last connection or attempt ended; `undefined` at the very first attempt. */
  readonly loss: Loss<E> | undefined
}

export interface Open {
  readonly _tag: "Open"
  readonly since: DateTime.Utc
  /** The last round trip, measured by the keepalive or by `ping`. */
  readonly roundTrip: Duration.Duration | undefined
}

export interface Waiting<out E = never> {
  readonly _tag: "Waiting"
  /** When the next attempt begins. */
  readonly until: DateTime.Utc
  /** How many attempts there were since the last healthy connection. */
  readonly attempts: number
  readonly loss: Loss<E>
}

export interface Ended<out E = never> {
  readonly _tag: "Ended"
  /** The loss after which no attempt can succeed; `undefined` if the program ended the client. */
  readonly loss: Loss<E> | undefined
}

export type Status<E = never> = Connecting<E> | Open | Waiting<E> | Ended<E>

const because = (loss: unknown): string =>
  loss === undefined ? "" : `: ${loss instanceof Error ? loss.message : String(loss)}`

/** One line for people and logs. */
export const describe = (status: Status<unknown>): string => {
  switch (status._tag) {
    case "Connecting":
      return `connecting, attempt ${status.attempt}${because(status.loss)}`
    case "Open": {
      const { roundTrip, since } = status
      const measured = roundTrip === undefined ? "" : `, round trip ${Duration.format(roundTrip)}`
      return `open since ${DateTime.formatIso(since)}${measured}`
    }
    case "Waiting":
      return `waiting until ${DateTime.formatIso(status.until)}${because(status.loss)}`
    case "Ended":
      return `ended${because(status.loss)}`
  }
}
