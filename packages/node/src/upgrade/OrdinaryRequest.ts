/**
 * A request that offered an upgrade and is served as if it had not (RFC 9110 §7.8 lets a server ignore the offer).
 * Node has taken such a connection out of HTTP, with an unread body after the head. So the head is put back without
 * its offer, and the connection enters again by the event that Node documents for that.
 */
import type * as Http from "node:http"
import { Buffer } from "node:buffer"
import type { Duplex } from "node:stream"
import { refuse, tooManyHeaders } from "./Refusals.ts"

// Node drops header lines beyond as many as this (1,000 pairs), so a head may lack the one that frames its body.
const mostLines = 2000

/** Whether Node may have dropped header lines of a request. */
export const isTruncated = ({ rawHeaders }: Http.IncomingMessage, { maxHeadersCount }: Http.Server): boolean =>
  rawHeaders.length >= (typeof maxHeadersCount === "number" && maxHeadersCount > 0 ? maxHeadersCount * 2 : mostLines)

/** The head of a request as it was, without an offer of an upgrade. */
const headOf = ({ httpVersion, method, rawHeaders, url }: Http.IncomingMessage): string => {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase()
    if (name === "upgrade" || name === "http2-settings") continue
    const value = name === "connection" ? withoutOffer(rawHeaders[i + 1]) : rawHeaders[i + 1]
    if (name !== "connection" || value !== "") head += `${rawHeaders[i]}: ${value}\r\n`
  }
  return `${head}\r\n`
}

const withoutOffer = (connection: string): string =>
  connection.split(",").map((option) => option.trim()).filter((option) => {
    const lower = option.toLowerCase()
    return lower !== "upgrade" && lower !== "http2-settings"
  }).join(", ")

/** Gives the connection back to its server, from the request on. */
export const serveAgain = (server: Http.Server, message: Http.IncomingMessage, socket: Duplex, early: Uint8Array): void => {
  if (isTruncated(message, server)) return refuse(socket, tooManyHeaders)
  socket.unshift(Buffer.concat([Buffer.from(headOf(message), "latin1"), early]))
  server.emit("encrypted" in socket ? "secureConnection" : "connection", socket)
}
