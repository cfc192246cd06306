/**
 * Answers on a connection that Node has released from HTTP. The connection ends after them.
 */
import type { Duplex } from "node:stream"

// How long a refused client may take to read its answer and to end.
const lingerMillis = 500

const head = (status: string, extra = ""): string =>
  `HTTP/1.1 ${status}\r\n${extra}Connection: close\r\nContent-Length: 0\r\n\r\n`

export const unavailable = head("503 Service Unavailable", "Retry-After: 1\r\n")
export const notFound = head("404 Not Found")
export const tooManyHeaders = head("431 Request Header Fields Too Large")

const ignore = () => {}

/** Writes an answer and ends the connection. */
export const refuse = (socket: Duplex, answer: string): void => {
  // Without a listener a reset would crash the process.
  socket.on("error", ignore)
  socket.write(answer, "latin1")
  endSoon(socket)
}

/** Ends a refused connection, whether the client does or not. */
export const endSoon = (socket: Duplex): void => {
  socket.end()
  // Input is read and dropped; otherwise the client's end after it would never be seen.
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMillis)
  socket.once("close", () => clearTimeout(timer))
}
