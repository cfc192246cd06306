/**
 * What Node's HTTP server can do, but documents in another place or not at all, and for which its documentation has
 * nothing else. None of it makes anything faster, so the switch leaves it on; what is missing one day is left out, and
 * a test tells.
 */
import type * as Http from "node:http"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"

/**
 * Has a response write to the socket of an upgrade, of which Node makes none. `@effect/platform-node` does the same, and
 * `@types/node` knows both methods.
 */
export const attach = (response: Http.ServerResponse, socket: Duplex): void => response.assignSocket(socket as Net.Socket)

/** Has a response write nowhere any more. */
export const detach = (response: Http.ServerResponse, socket: Duplex): void => {
  if (response.socket !== null) response.detachSocket(socket as Net.Socket)
}

/** Ends a response that has left its socket, without the head and the events that `end` would make for nobody. */
export const endUnwritten = (response: Http.ServerResponse): void => {
  Object.assign(response, { finished: true })
  if (!response.writableEnded) response.end()
}

/**
 * Looks for heads that are late once a second, not every 30 seconds. Documented as an option of `createServer`; it is
 * read when the server begins to listen, and this server was made by someone else.
 */
export const checkHeadsOften = (server: Http.Server): void => {
  Object.assign(server, { connectionsCheckingInterval: 1000 })
}
