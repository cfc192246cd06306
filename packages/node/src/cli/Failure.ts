/**
 * How a command fails: with a text for people and an exit status for scripts.
 */
import * as Data from "effect/Data"

/**
 * The exit statuses. 130 means that the command was interrupted, as in shells.
 *
 * - `failed`: the command did not achieve what was asked for: too few messages, failed cases, a broken connection.
 * - `usage`: the command line is wrong, and nothing was done.
 * - `unreachable`: no connection to the server: nothing listens, the name is unknown, or TLS failed.
 * - `refused`: the server refused the opening handshake, or its answer breaks a rule.
 * - `internal`: a fault of this program.
 */
export const status = {
  success: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  internal: 70,
  interrupted: 130
} as const

export class Failure extends Data.TaggedError("Failure")<{
  readonly status: number
  /** The text for stderr, colours included; empty if the command has written everything already. */
  readonly text: string
}> {}

export const failed = (text: string): Failure => new Failure({ status: status.failed, text })
export const usage = (text: string): Failure => new Failure({ status: status.usage, text })
