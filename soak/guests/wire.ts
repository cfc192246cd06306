/** WebSockets without a library, for peers of a soak that take their time or leave: enough of RFC 6455 to count messages. */
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import type * as Net from "node:net"

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

const headEnd = "\r\n\r\n"

/** What a {@link Reader} tells of. */
export interface Events {
  /** A data message: its place in the sequence, see {@link numbered}, and its length. */
  readonly message: (seq: number, length: number) => void
  readonly control: (opcode: number, payload: Buffer) => void
}

const seqLength = 8

/** A payload of that length (at least 8 bytes) that begins with its place in the sequence, in hexadecimal digits. */
export const numbered = (seq: number, length: number): Buffer => {
  const payload = Buffer.alloc(length, 0x2e)
  payload.write(seq.toString(16).padStart(seqLength, "0"), "latin1")
  return payload
}

/** Reads frames of either side; of a data frame it keeps no more than the number. */
export class Reader {
  private readonly events: Events
  private readonly header = Buffer.alloc(14)
  private headerLength = 0
  private needed = 2
  private missing = 0
  private length = 0
  private kept = Buffer.alloc(0)

  constructor(events: Events) {
    this.events = events
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.headerLength < this.needed) {
        this.header[this.headerLength++] = chunk[at++]!
        if (this.headerLength === 2) this.needed = this.lengthOfHeader()
        if (this.headerLength < this.needed) continue
        this.missing = this.length = this.lengthOfPayload()
      } else {
        const taken = Math.min(this.missing, chunk.length - at)
        const wanted = Math.min(taken, 125 - this.kept.length)
        if (wanted > 0) this.kept = Buffer.concat([this.kept, chunk.subarray(at, at + wanted)])
        this.missing -= taken
        at += taken
      }
      if (this.missing === 0) this.end()
    }
  }

  private lengthOfHeader(): number {
    const second = this.header[1]!
    const length = second & 127
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second >= 128 ? 4 : 0)
  }

  private lengthOfPayload(): number {
    const length = this.header[1]! & 127
    if (length === 126) return this.header.readUInt16BE(2)
    return length === 127 ? Number(this.header.readBigUInt64BE(2)) : length
  }

  private end(): void {
    const opcode = this.header[0]! & 15
    const payload = this.kept
    if (this.header[1]! >= 128) {
      for (let i = 0; i < payload.length; i++) payload[i]! ^= this.header[this.needed - 4 + (i & 3)]!
    }
    this.headerLength = 0
    this.needed = 2
    this.kept = Buffer.alloc(0)
    if (opcode >= 8) this.events.control(opcode, payload)
    else this.events.message(Number.parseInt(payload.toString("latin1", 0, seqLength), 16), this.length)
  }
}

/** Collects the head of a request or an answer; gives it with what follows it. */
export const headReader = () => {
  let collected = Buffer.alloc(0)
  return (chunk: Buffer): { readonly head: string; readonly rest: Buffer } | undefined => {
    collected = Buffer.concat([collected, chunk])
    const end = collected.indexOf(headEnd)
    return end < 0
      ? undefined
      : { head: collected.toString("latin1", 0, end), rest: collected.subarray(end + headEnd.length) }
  }
}

/** The answer of a server to the handshake in `head`. */
export const accepted = (head: string): string => {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? ""
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}${headEnd}`
}

/** A frame of a server. */
export const unmasked = (opcode: number, payload: Buffer): Buffer => Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload])

/** Takes one chunk, of at most 64 KiB, and then nothing for a while; at once where that is 0. */
export const readSlowly = (socket: Net.Socket, pauseMillis: () => number, onChunk: (chunk: Buffer) => void): void => {
  socket.on("data", (chunk: Buffer) => {
    onChunk(chunk)
    const millis = pauseMillis()
    if (millis === 0) return
    socket.pause()
    setTimeout(() => socket.resume(), millis)
  })
}
