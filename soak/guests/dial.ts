/** A guest's connection to the server. */
import type { Buffer } from "node:buffer"
import * as Net from "node:net"
import { frame, request } from "../abandon.ts"
import { headReader, opcodes, Reader } from "./wire.ts"

export interface Guest {
  readonly socket: Net.Socket
  /** Resolves when the socket is closed: whether the other side ended its stream before. */
  readonly closed: Promise<{ readonly ended: boolean }>
  /** Resolves with the payload of the server's Close. */
  readonly closeFrame: Promise<Buffer>
}

export interface Hooks {
  readonly message?: (seq: number, length: number) => void
  readonly pong?: () => void
  /** Reads what follows the handshake; default: at once. */
  readonly read?: (socket: Net.Socket, onChunk: (chunk: Buffer) => void) => void
}

/**
 * Opens a connection and reads it; Pings and the server's Close are answered. Resolves after the 101, and rejects where
 * there is none.
 */
export const dial = (port: number, path: string, { message = () => {}, pong = () => {}, read }: Hooks): Promise<Guest> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true })
    let ended = false
    const closeFrame = Promise.withResolvers<Buffer>()
    const closed = new Promise<{ readonly ended: boolean }>((done) => socket.on("close", () => done({ ended })))
    // A reset shows in `ended`.
    socket.on("error", () => {})
    socket.on("close", () => reject(new Error(`${path}: the server ended the connection before it answered`)))
    socket.on("end", () => {
      ended = true
      socket.end()
    })
    const reader = new Reader({
      message,
      control: (opcode, payload) => {
        if (opcode === opcodes.pong) pong()
        if (opcode === opcodes.ping && socket.writable) socket.write(frame(0x8a, payload))
        if (opcode !== opcodes.close) return
        closeFrame.resolve(payload)
        if (socket.writable) socket.write(frame(0x88, payload))
      }
    })
    const readHead = headReader()
    const onHead = (chunk: Buffer) => {
      const answer = readHead(chunk)
      if (answer === undefined) return
      socket.off("data", onHead)
      if (!answer.head.startsWith("HTTP/1.1 101 ")) {
        socket.destroy()
        return reject(new Error(`${path}: answered ${answer.head.split("\r\n", 1)[0]}`))
      }
      const onChunk = (bytes: Buffer) => reader.push(bytes)
      if (read === undefined) socket.on("data", onChunk)
      else read(socket, onChunk)
      resolve({ socket, closed, closeFrame: closeFrame.promise })
      if (answer.rest.length > 0) onChunk(answer.rest)
    }
    socket.on("data", onHead)
    socket.on("connect", () => socket.write(request(path)))
  })

/** Fails when something takes too long, and ends the socket then. */
export const within = <A>(millis: number, what: string, guest: Guest, promise: Promise<A>): Promise<A> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    guest.socket.destroy()
    late.reject(new Error(what))
  }, millis)
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
