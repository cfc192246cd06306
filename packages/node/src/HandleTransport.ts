/**
 * The fast road of a plain TCP socket: its handle is moved to a new socket that reads
 * into one buffer shared by all connections (`onread` of `net.Socket`), in place of a
 * stream that allocates a chunk for each read and queues it. Measured on the echo of
 * 1 MiB messages it costs about 0.6 of the stream's `data` events.
 *
 * Moving a handle is not in Node's documentation. All that is assumed of it stands in
 * this file and is looked for first; where something is missing, and for TLS, the
 * stream's own road serves.
 */
import type { Transport } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { NodeTransport } from "./NodeTransport.ts"

/** What is assumed of a socket's handle. */
interface Handle {
  reading: boolean
  readonly readStart: () => number
  readonly readStop: () => number
  readonly useUserBuffer: (buffer: Uint8Array) => void
}

/** What is assumed of a socket. */
interface Internals {
  _handle: Handle | null
  server?: unknown
  _server?: unknown
}

// A read is handed on before the next one, so one buffer serves all connections.
const buffer = Buffer.allocUnsafeSlow(64 * 1024)
const bytes = new Uint8Array(buffer.buffer, 0, buffer.length)

const isHandle = (handle: unknown): handle is Handle =>
  typeof handle === "object" && handle !== null &&
  "readStart" in handle && typeof handle.readStart === "function" &&
  "readStop" in handle && typeof handle.readStop === "function" &&
  "useUserBuffer" in handle && typeof handle.useUserBuffer === "function"

/**
 * Takes over a socket that nobody else reads or writes any more; `undefined` where
 * that cannot be done, and the socket is as it was.
 */
export const take = (socket: unknown, early: Uint8Array | undefined): Transport.Transport | undefined => {
  if (!(socket instanceof Net.Socket) || Object.getPrototypeOf(socket) !== Net.Socket.prototype) return undefined
  const internals = socket as unknown as Internals
  const handle = internals._handle
  if (
    !isHandle(handle) || socket.destroyed || socket.connecting || socket.writableLength > 0 ||
    socket.readableLength > 0 || socket.readableEnded || socket.writableEnded
  ) return undefined
  let transport: HandleTransport | undefined
  handle.readStop()
  handle.reading = false
  const options: Net.SocketConstructorOpts = {
    allowHalfOpen: true,
    onread: { buffer, callback: (size) => transport!.onRead(size) }
  }
  const moved = new Net.Socket(Object.assign(options, { handle, manualStart: true }))
  // The server counts its connections by what their sockets say.
  const fresh = moved as unknown as Internals
  fresh.server = internals.server
  fresh._server = internals._server
  internals._server = null
  internals._handle = null
  socket.setTimeout(0)
  return transport = new HandleTransport(moved, early)
}

class HandleTransport extends NodeTransport {
  // Frames are unmasked where they lie, and what outlives the call is copied out.
  override readonly chunks = "scratch"
  private paused = false

  /** Called by Node for each read; `false` stops the reading. */
  onRead(size: number): boolean {
    this.handlers!.onData(size === bytes.length ? bytes : bytes.subarray(0, size))
    return !this.paused
  }

  protected override read(early: Uint8Array | undefined, handlers: Transport.TransportHandlers): void {
    if (early === undefined) {
      this.duplex.resume()
      return
    }
    process.nextTick(() => {
      if (!this.duplex.destroyed) handlers.onData(early)
      if (!this.paused) this.duplex.resume()
    })
  }

  override pause(): void {
    this.paused = true
    this.duplex.pause()
  }

  override resume(): void {
    this.paused = false
    this.duplex.resume()
  }
}
