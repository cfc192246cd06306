/**
 * The requests of each connection that are not answered yet. A client may send an upgrade behind
 * a request without waiting for its answer; Node lets go of the connection then, but the answers
 * that are due still go out first (RFC 9112 §9.3.2).
 */
import type * as Http from "node:http"
import type { Duplex } from "node:stream"

interface Turn {
  count: number
  last: Http.ServerResponse | undefined
  next: (() => void) | undefined
}

const key = Symbol("unanswered")

interface Keyed {
  [key]?: Turn
}

function onClose(this: Http.ServerResponse): void {
  const turn = (this.req.socket as Keyed)[key]
  if (turn === undefined) return
  turn.count--
  if (turn.count > 0) return
  turn.last = undefined
  const { next } = turn
  turn.next = undefined
  next?.()
}

/** A listener for the requests of a server; to call it twice for one does no harm. */
export const onRequest = (message: Http.IncomingMessage, response: Http.ServerResponse): void => {
  // Streams of HTTP/2 do not wait for each other.
  if (message.httpVersionMajor !== 1) return
  const keyed = message.socket as Keyed
  const turn = keyed[key] ??= { count: 0, last: undefined, next: undefined }
  if (turn.last === response) return
  turn.last = response
  turn.count++
  response.once("close", onClose)
}

// Without a listener a reset would crash the process.
const ignore = () => {}

/** Calls `next` when all requests before it are answered, at once where none waits, and never if the connection ends. */
export const afterAnswers = (socket: Duplex, next: () => void): void => {
  const turn = (socket as Keyed)[key]
  if (turn === undefined || turn.count === 0) return next()
  socket.on("error", ignore)
  turn.next = () => {
    // An answer behind which the connection ends is the last.
    if (socket.destroyed || socket.writableEnded) return
    // Node waits for the next request from here on.
    if ("setTimeout" in socket && typeof socket.setTimeout === "function") socket.setTimeout(0)
    next()
  }
}
