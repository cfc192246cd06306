/** Slow peers: clients that take what a server sends little by little, and a server that does so with what clients send. */
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { frame } from "../abandon.ts"
import type { Received } from "../messages.ts"
import { drawPlan } from "../pour.ts"
import type { Random } from "../traffic.ts"
import { dial, within } from "./dial.ts"
import { drawPace, type Pace, paces } from "./paces.ts"
import { accepted, headReader, opcodes, Reader, readSlowly, unmasked } from "./wire.ts"

const patienceMillis = 120_000

// A peer that reads slowly sends nevertheless. Data for a socket that was destroyed too early resets the connection, and the
// kernel then throws away what the peer has not read yet.
const talkMillis = 300
const word = "still reading"

const talk = (socket: Net.Socket, bytes: Uint8Array, mayTalk: () => boolean): void => {
  const timer = setInterval(() => {
    if (socket.writable && mayTalk()) socket.write(bytes)
  }, talkMillis)
  socket.once("close", () => clearInterval(timer))
}

/** Takes slowly what the server sends, to its end. */
export const drink = async (port: number, key: string, random: Random, most: number): Promise<Received> => {
  let received = 0
  let bytes = 0
  let outOfPlace = 0
  const pace = drawPace(random)
  const { count, end, flush, size } = drawPlan(random, most)
  const guest = await dial(port, `/life/pour?key=${key}&count=${count}&size=${size}&flush=${flush}&end=${end}`, {
    message: (seq) => {
      if (seq !== received) outOfPlace++
      received++
    },
    read: (socket, onChunk) =>
      readSlowly(socket, () => paces[pace](bytes), (chunk) => {
        onChunk(chunk)
        bytes += chunk.length
      })
  })
  let closing = false
  void guest.closeFrame.then(() => {
    closing = true
  })
  talk(guest.socket, frame(0x80 | opcodes.text, word), () => !closing)
  const { ended } = await within(patienceMillis, `a client that reads ${pace}: the server did not end`, guest, guest.closed)
  return { key, pace, received, outOfPlace, end: ended ? "end of stream" : "reset" }
}

/** A server for our clients that reads slowly; the path says how and as whom. */
export const sip = (onReceived: (received: Received) => void): Promise<Net.Server> =>
  new Promise((resolve) => {
    const server = Net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      const readHead = headReader()
      let received = 0
      let bytes = 0
      let outOfPlace = 0
      let ended = false
      socket.on("error", () => {})
      socket.on("end", () => {
        ended = true
        socket.end()
      })
      const reader = new Reader({
        message: (seq) => {
          if (seq !== received) outOfPlace++
          received++
        },
        control: (opcode, payload) => {
          if (opcode === opcodes.ping) socket.write(unmasked(opcodes.pong, payload))
          // A server ends the stream first (RFC 6455 §7.1.1).
          if (opcode === opcodes.close) socket.end(unmasked(opcodes.close, payload))
        }
      })
      const onHead = (chunk: Buffer) => {
        const asked = readHead(chunk)
        if (asked === undefined) return
        socket.off("data", onHead)
        socket.write(accepted(asked.head))
        talk(socket, unmasked(opcodes.text, Buffer.from(word)), () => true)
        const query = new URL(asked.head.split(" ")[1]!, "http://localhost").searchParams
        const key = query.get("key") ?? ""
        const pace = query.get("pace") as Pace
        socket.on("close", () => onReceived({ key, pace, received, outOfPlace, end: ended ? "end of stream" : "reset" }))
        readSlowly(socket, () => paces[pace](bytes), (piece) => {
          reader.push(piece)
          bytes += piece.length
        })
        reader.push(asked.rest)
      }
      socket.on("data", onHead)
    })
    server.listen(0, "127.0.0.1", () => resolve(server))
  })
