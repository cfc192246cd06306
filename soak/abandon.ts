/** Raw peers that abandon a connection to a server, in every phase of its life. */
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { deflateRawSync } from "node:zlib"

/** The head of a request for a WebSocket. */
export const request = (path: string, ...headers: ReadonlyArray<string>): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...headers,
    "\r\n"
  ].join("\r\n")

/** A client's frame, masked with zeros, which change nothing. */
export const frame = (first: number, payload: Uint8Array | string): Buffer => {
  const body = Buffer.from(payload)
  const head = body.length < 126 ? Buffer.alloc(6) : Buffer.alloc(8)
  head[0] = first
  head[1] = 0x80 | Math.min(body.length, 126)
  if (body.length >= 126) head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, body])
}

const text = frame(0x81, "a message that is cut short")
const deflated = frame(0xc1, deflateRawSync(Buffer.alloc(5000, "again ")))
const close = frame(0x88, Buffer.from([0x03, 0xe8]))

export interface Phase {
  readonly name: string
  /** Sent at once. */
  readonly first: string
  /** Sent after the 101 was received; without it the peer does not wait for the 101. */
  readonly then?: ReadonlyArray<Uint8Array>
  /** How many bytes after the 101 it waits for first. Then it stops reading. */
  readonly awaits?: number
}

/** The paths: `/echo` echoes, `/slow` does so after a while, `/closing` closes, `/flood` sends without end. */
export const phases = (prefix: string): ReadonlyArray<Phase> => {
  const echo = request(`${prefix}/echo`)
  return [
    { name: "before it said anything", first: "" },
    { name: "within the head of its request", first: echo.slice(0, 60) },
    { name: "before it read the 101", first: echo },
    { name: "while the route still thinks", first: request(`${prefix}/slow`) },
    { name: "after the 101", first: echo, then: [] },
    { name: "within a frame's header", first: echo, then: [text.subarray(0, 1)] },
    { name: "within a frame", first: echo, then: [text.subarray(0, 12)] },
    { name: "within a message", first: echo, then: [frame(0x01, "one"), frame(0x00, "two")] },
    {
      name: "within a compressed message",
      first: request(`${prefix}/echo`, "Sec-WebSocket-Extensions: permessage-deflate"),
      then: [deflated, deflated.subarray(0, deflated.length - 3)]
    },
    { name: "with its own Close on the way", first: echo, then: [close] },
    { name: "without an answer to our Close", first: request(`${prefix}/closing`), then: [], awaits: 4 },
    { name: "with output that it never read", first: request(`${prefix}/flood`), then: [], awaits: 1 }
  ]
}

const headEnd = "\r\n\r\n"

/** One connection, abandoned, by a reset or an end of stream; resolves once its socket is closed. */
export const abandon = (port: number, phase: Phase, reset: boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    // The other side may have been first.
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    const leave = () => reset ? socket.resetAndDestroy() : socket.destroy()
    let head = ""
    let seen = 0
    socket.on("connect", () => {
      if (phase.first === "") {
        leave()
        return
      }
      socket.write(phase.first, "latin1", () => {
        if (phase.then === undefined) leave()
      })
    })
    socket.on("data", (chunk) => {
      if (phase.then === undefined) return
      if (head.includes(headEnd)) {
        seen += chunk.length
      } else {
        head += chunk.toString("latin1")
        const end = head.indexOf(headEnd)
        if (end < 0) return
        seen = head.length - end - headEnd.length
        if (!head.startsWith("HTTP/1.1 101 ")) reject(new Error(`${phase.name}: answered ${head.split("\r\n", 1)[0]}`))
      }
      if (seen < (phase.awaits ?? 0)) return
      socket.removeAllListeners("data").pause()
      if (phase.then.length === 0) leave()
      else socket.write(Buffer.concat(phase.then), leave)
    })
  })
