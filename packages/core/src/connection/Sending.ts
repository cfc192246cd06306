/** What the senders of a connection share: the outcome of an attempt, and the queue of turns. */
import type * as Effect from "effect/Effect"
import type { ConnectionClosed, IOError } from "../WebSocketError.ts"

/** What can keep a message from being sent. */
export type SendError = ConnectionClosed | IOError

/** The exception of an extension that failed to encode. */
export class Thrown {
  readonly defect: unknown

  constructor(defect: unknown) {
    this.defect = defect
  }
}

/**
 * The outcome of an attempt to send: not yet, done, done once the transport has taken an
 * uncopied payload, never, or what an extension threw.
 */
export type Outcome = "wait" | "accepted" | "inFlight" | "closed" | Thrown

/** A sender that waits for its turn. */
export interface Waiter {
  readonly attempt: () => Outcome
  readonly resume: (effect: Effect.Effect<void, SendError>) => void
}

/** A link as the sender of a message in several pieces sees it. */
export interface SendingLink {
  readonly isOpen: boolean
  readonly isClosed: boolean
  once(what: "closed", listener: () => void): () => void
  /** A message that was begun will not be completed. */
  cutMessage(): void
  sendersMoved(): void
}

/** The writer of a connection as the sender of a message in several pieces sees it. */
export interface Turns {
  readonly link: SendingLink
  /** A message is being sent fragment by fragment, so other data must wait. */
  isStreaming: boolean
  /** Whether a new sender has its turn at once. */
  readonly isFree: boolean
  /** Runs an attempt, at once where no sender waits or `overtakes` says so, and again at its turn if it has to wait. */
  run(attempt: () => Outcome, overtakes?: boolean): Effect.Effect<void, SendError>
  /** Waits for the turn of `attempt`. */
  turn(attempt: () => Outcome): Effect.Effect<void, SendError>
  /** The result of an attempt that is not repeated. */
  settle(outcome: Exclude<Outcome, "wait">): Effect.Effect<void, SendError>
  fail(): Effect.Effect<never, SendError>
  onWritable(): void
}
