/** An echo server with compression and one flaw of choice, to see that the suite notices each. */
import type * as Net from "node:net"
import { tcpServer } from "./carelessSubject.ts"
import { Deflater } from "../../src/conformance/wire/Deflater.ts"
import { Inflater } from "../../src/conformance/wire/Inflater.ts"
import type { Agreement } from "../../src/conformance/wire/Parameters.ts"
import { acceptUpgrade } from "../../src/conformance/Peer.ts"
import { Binary, Close, closePayload, encode, type Event, FrameReader, type FrameSpec, Pong, Text } from "../../src/conformance/wire/Frames.ts"

export type DeflateFlaw =
  | "none"
  /** Refers to earlier messages although it agreed not to. */
  | "keeps its context"
  /** Refers to what lies beyond the window that it agreed to. */
  | "widens its window"
  /** Forgets the earlier messages of the other side, which may refer to them. */
  | "forgets the other's context"
  | "RSV1 on continuations"
  | "RSV1 on pongs"
  | "RSV1 on uncompressed messages"
  | "leaves the tail"
  /** Changes one octet of the ninth message. */
  | "corrupts"
  /** Forgets the ninth message. */
  | "drops"
  | "never compresses"

const tail = Buffer.from([0x00, 0x00, 0xff, 0xff])

const serve = (socket: Net.Socket, early: Buffer, agreement: Agreement, flaw: DeflateFlaw): void => {
  const deflater = new Deflater({
    windowBits: flaw === "widens its window" ? 15 : agreement.server.windowBits,
    noContextTakeover: flaw === "keeps its context" ? false : agreement.server.noContextTakeover
  })
  const { windowBits, noContextTakeover } = agreement.client
  const inflater = new Inflater({
    windowBits,
    noContextTakeover: noContextTakeover || flaw === "forgets the other's context"
  })
  let messages = 0
  const echo = (opcode: number, payload: Buffer): ReadonlyArray<FrameSpec> => {
    messages++
    if (flaw === "drops" && messages === 9) return []
    if (flaw === "corrupts" && messages === 9) payload[payload.length - 1]! ^= 1
    if (flaw === "never compresses") return [{ opcode, payload }]
    if (flaw === "RSV1 on uncompressed messages") return [{ opcode, payload, rsv: 4 }]
    const frames = deflater.frames(opcode, payload, flaw === "RSV1 on continuations" ? 7 : 0)
    if (flaw === "RSV1 on continuations") return frames.map((frame) => ({ ...frame, rsv: 4 }))
    if (flaw !== "leaves the tail") return frames
    return frames.map((frame) => ({ ...frame, payload: Buffer.concat([frame.payload, tail]) }))
  }
  let closed = false
  const send = (frames: ReadonlyArray<FrameSpec>) => {
    if (!closed) socket.write(encode(frames, false))
  }
  const end = (code: number | undefined) => {
    send([{ opcode: Close, payload: closePayload(code) }])
    closed = true
    socket.end()
  }
  const onEvent = (event: Event) => {
    switch (event._tag) {
      case "Message":
        return send(echo(event.binary ? Binary : Text, event.payload))
      case "Ping":
        return send([{ opcode: Pong, payload: event.payload, rsv: flaw === "RSV1 on pongs" ? 4 : 0 }])
      case "Pong":
        return
      case "Close":
        return end(event.code)
    }
  }
  const onFault = (fault: string) => end(fault.includes("UTF-8") || fault.includes("compressed") ? 1007 : 1002)
  const reader = new FrameReader(true, onEvent, onFault, inflater)
  socket.on("data", (chunk: Buffer) => reader.push(chunk))
  if (early.length > 0) reader.push(early)
  socket.resume()
}

export const carelessDeflateServer = (flaw: DeflateFlaw) =>
  tcpServer(async (socket) => {
    // An answer without wishes grants what the client asked for.
    const { agreement, early } = await acceptUpgrade(socket, 5_000, { offers: [], answers: [{}] })
    if (agreement === undefined) socket.destroy()
    else serve(socket, early, agreement, flaw)
  })
