/**
 * What Node itself costs where all are told what one says: texts of up to 125 bytes are unmasked, and go to all sockets with one
 * write for each, 64 sockets between two looks at what has arrived. No rule of the protocol is checked. Environment: PORT.
 */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"

const slice = 64
const maskedHeader = 6

interface Member {
  readonly socket: Duplex
  /** How many of all frames it has. */
  has: number
}

// All frames there ever were; the first ones are gone.
let frames: Array<Buffer> = []
let gone = 0
// From here on all are joined: nearly every member needs the same ones.
let joined: { readonly from: number; readonly to: number; readonly bytes: Buffer } | undefined
const members: Array<Member> = []
let next = 0
let isTurning = false

const bytesFrom = (from: number): Buffer => {
  const to = gone + frames.length
  if (joined?.from !== from || joined.to !== to) joined = { from, to, bytes: Buffer.concat(frames.slice(from - gone)) }
  return joined.bytes
}

/** Writes to the next members that lack something, all around. */
const turn = (): void => {
  const to = gone + frames.length
  let written = 0
  for (let seen = 0; seen < members.length && written < slice; seen++) {
    const member = members[next]!
    next = (next + 1) % members.length
    if (member.has === to) continue
    member.socket.write(bytesFrom(member.has))
    member.has = to
    written++
  }
  if (written === slice) return void setImmediate(turn)
  isTurning = false
  gone = to
  frames = []
}

const tellAll = (frame: Buffer): void => {
  frames.push(frame)
  if (isTurning) return
  isTurning = true
  setImmediate(turn)
}

/** Takes the frames out of what has arrived. Returns what is left. */
const read = (bytes: Buffer): Buffer => {
  let at = 0
  while (at + 2 <= bytes.length) {
    const size = bytes[at + 1]! & 127
    const end = at + maskedHeader + size
    if (end > bytes.length) break
    const frame = Buffer.allocUnsafe(2 + size)
    frame[0] = bytes[at]!
    frame[1] = size
    for (let i = 0; i < size; i++) frame[2 + i] = bytes[at + maskedHeader + i]! ^ bytes[at + 2 + (i & 3)]!
    tellAll(frame)
    at = end
  }
  return bytes.subarray(at)
}

const server = createServer()

server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] ?? ""
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  const head = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`].join("\r\n")
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n\r\n`)
  const member = { socket, has: gone + frames.length }
  members.push(member)
  let left: Buffer = Buffer.alloc(0)
  socket.on("data", (chunk: Buffer) => {
    left = read(left.length === 0 ? chunk : Buffer.concat([left, chunk]))
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    members.splice(members.indexOf(member), 1)
    next = 0
  })
})

server.listen(Number(process.env["PORT"]), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
