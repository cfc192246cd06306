/** A socket's handle as a transport; `undocumented/SocketHandle.ts` says what that is and what it gains. */
import { type Primitives, Transport, type WebSocketError } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as SocketHandle from "../undocumented/SocketHandle.ts"
import { primitives } from "./SystemPrimitives.ts"

/**
 * Takes over a socket that nothing else reads or writes any more, and writes `head` to it (Latin-1).
 * Returns `undefined`, and leaves the socket as it was, where that is not possible. Destroying the socket still
 * destroys the connection, and earlier listeners for its `close` are called when the connection is closed.
 */
export const take = (
  socket: unknown,
  early: Uint8Array | undefined,
  head?: string
): Transport.Transport | undefined => {
  const released = SocketHandle.release(socket)
  if (released === undefined) return undefined
  const transport = new HandleTransport(released, early)
  if (head !== undefined) transport.writeHead(head)
  return transport
}

const noBytes = new Uint8Array(0)

class HandleTransport extends SocketHandle.SocketHandle implements Transport.Transport {
  private handlers: Transport.TransportHandlers | undefined = undefined
  // Bytes that were read before the start.
  private early: Uint8Array | undefined
  private error: WebSocketError.IOError | undefined = undefined
  private paused = false
  private peerEnded = false
  private ended = false

  constructor(released: SocketHandle.Released, early: Uint8Array | undefined) {
    super(released)
    this.early = early !== undefined && early.length > 0 ? early : undefined
  }

  // Frames are unmasked in place, and whatever outlives the call is copied.
  get chunks(): "scratch" {
    return "scratch"
  }

  get primitives(): Primitives.Primitives {
    return primitives
  }

  start(handlers: Transport.TransportHandlers): void {
    this.handlers = handlers
    if (this.isClosed) process.nextTick(() => handlers.onClosed(this.error))
    else if (this.early === undefined) this.read()
    else process.nextTick(() => this.readEarly())
  }

  private readEarly(): void {
    const { early, handlers } = this
    if (early === undefined || handlers === undefined || this.paused || this.isClosed) return
    this.early = undefined
    handlers.onData(early)
    this.read()
  }

  private read(): void {
    if (!this.paused && !this.peerEnded && !this.isClosed && this.handlers !== undefined) this.startReading()
  }

  protected override onBytes(chunk: Uint8Array): void {
    if (this.handlers !== undefined) return this.handlers.onData(chunk)
    // There are no handlers yet, so these bytes are kept and reading stops.
    this.stopReading()
    this.early = Buffer.concat([this.early ?? noBytes, chunk])
  }

  protected override onEndRead(): void {
    // Before the start nothing happens: reading again reports the end again.
    if (this.handlers === undefined) return
    this.peerEnded = true
    this.handlers.onEnd()
    this.destroyIfOver()
  }

  pause(): void {
    this.paused = true
    if (!this.isClosed) this.stopReading()
  }

  resume(): void {
    this.paused = false
    if (this.early === undefined) this.read()
    else this.readEarly()
  }

  override write(chunks: ReadonlyArray<Uint8Array>): boolean {
    return this.isClosed || this.ended || super.write(chunks)
  }

  /** Writes before the output of the connection, which does not wait for it. */
  writeHead(text: string): void {
    this.writeText(text)
  }

  protected override onTakenWrite(): void {
    this.handlers?.onTaken()
  }

  pendingBytes(): number {
    return this.queuedBytes
  }

  end(): void {
    if (this.isClosed || this.ended) return
    this.ended = true
    // Closing sends the end too.
    if (!this.destroyIfOver()) this.shutDown()
  }

  protected override onShutDown(): void {
    this.destroyIfOver()
  }

  /** Closes once both ends are known and nothing is left to be written. */
  private destroyIfOver(): boolean {
    if (this.ended && this.peerEnded && this.queuedBytes === 0) this.destroy()
    return this.isClosed
  }

  protected override onFailure(phase: "read" | "write", error: Error): void {
    this.error ??= Transport.toIOError(phase, error)
    this.destroy()
  }

  override destroy(): void {
    if (this.isClosed) return
    this.closeHandle()
    this.handlers?.onClosed(this.error)
  }
}
