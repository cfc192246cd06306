/**
 * How a command fails: with a text for people and an exit status for scripts.
 */
import * as Data from "effect/Data"

/**
 * The exit statuses. 130 says that the command was interrupted, as shells have it.
 *
 * - `failed`: what was asked for did not happen: too few messages, cases that failed, a connection that broke.
 * - `usage`: the command line is wrong, and nothing was done.
 * - `unreachable`: no connection to the server: refused, unknown name, no TLS.
 * - `refused`: the server answered the opening handshake, but not as a WebSocket server does.
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
  /** What is written to stderr, colours included; empty where all was said. */
  readonly text: string
}> {}

export const failed = (text: string): Failure => new Failure({ status: status.failed, text })
export const usage = (text: string): Failure => new Failure({ status: status.usage, text })
