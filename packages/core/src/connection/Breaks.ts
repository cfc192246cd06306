/** What a connection that did not end in order is broken by, where no error of its transport says it. */
import { IOError } from "../WebSocketError.ts"

/** The peer ended its half, and had not closed. */
export const noClose = (): IOError =>
  new IOError({
    phase: "read",
    reason: "EndOfStream",
    detail: "The peer ended the connection without a Close frame: it went away, or a proxy cut it off"
  })

/** The transport is gone, without an error. */
export const gone = (): IOError =>
  new IOError({ phase: "read", reason: "EndOfStream", detail: "The connection ended without a Close frame" })

/** The peer's Close, or its end, did not come in time. */
export const closeTimedOut = (closeTimeout: number): IOError =>
  new IOError({
    phase: "close",
    reason: "TimedOut",
    detail: `The closing handshake took longer than ${closeTimeout} ms (closeTimeout)`
  })
