/**
 * The requests of each connection that are not answered yet. A client may send an upgrade after a request without
 * waiting for its answer. Node then releases the connection from HTTP, but the earlier answers must be sent first
 * (RFC 9112 §9.3.2).
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

/** A listener for the requests of a server. Calling it twice for one request has no effect. */
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

/** Calls `next` when all earlier requests are answered, at once if none waits, and never if the connection ends. */
export const afterAnswers = (socket: Duplex, next: () => void): void => {
  const turn = (socket as Keyed)[key]
  if (turn === undefined || turn.count === 0) return next()
  socket.on("error", ignore)
  turn.next = () => {
    // An answer that ends the connection is the last one.
    if (socket.destroyed || socket.writableEnded) return
    // Node waits for the next request from here on.
    if ("setTimeout" in socket && typeof socket.setTimeout === "function") socket.setTimeout(0)
    next()
  }
}
