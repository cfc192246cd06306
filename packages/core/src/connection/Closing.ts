/**
 * How far the end of a connection has come, and who waits for it. Apart from the connection, so
 * that one that is open, and whose end nobody waits for, holds none of it: all of them read
 * {@link notClosing}.
 */
import type { CloseInfo } from "../CloseCode.ts"
import type { IOError } from "../WebSocketError.ts"
import type { Listeners } from "../runtime/Listeners.ts"

export class Closing {
  /** An end stands behind the messages that wait. */
  ended = false
  /** The reader has reached it, or nobody reads: it takes effect. */
  reached = false
  /** The peer's stream has ended. */
  halfClosed = false
  /** Ours as well. */
  endSent = false
  /** When the next step is forced. */
  due: number | undefined
  /** How the connection closed: its closing handshake is over, one way or the other. */
  info: CloseInfo | undefined
  /** What the connection held is given back. */
  disposed = false
  /** What broke the connection. */
  broken: IOError | undefined
  /** When its transport closed. */
  goneAt: number | undefined
  /** Who waits for the end of the handshake, and of the transport. */
  whenClosed: Listeners | undefined
  whenGone: Listeners | undefined
}

export const notClosing: Readonly<Closing> = new Closing()
