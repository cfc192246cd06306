/**
 * How far the end of a connection has come. Apart from the connection, so that one that is
 * open holds none of it: all of them read {@link notClosing}.
 */
import type { CloseInfo } from "../CloseCode.ts"

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
}

export const notClosing: Readonly<Closing> = new Closing()
