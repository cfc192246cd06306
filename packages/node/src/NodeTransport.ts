/**
 * A Node stream as the transport of a connection.
 *
 * @since 0.1.0
 */
import { type Primitives, Transport, type WebSocketError } from "@effect-ws/core"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as NodePrimitives from "./NodePrimitives.ts"
import * as SharedReading from "./undocumented/SharedReading.ts"

/**
 * Makes a transport of a duplex stream that nobody else reads.
 *
 * **Details**
 *
 * `early` are bytes that were read before, such as those behind the head of a request.
 * An error listener is attached at once and stays, so that a reset never crashes the
 * process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDuplex = (duplex: Duplex, early?: Uint8Array): Transport.Transport => new NodeTransport(duplex, early)

const maxPiece = 64 * 1024

const sizeOf = (chunks: ReadonlyArray<Uint8Array>): number => {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  return size
}

class NodeTransport implements Transport.Transport {
  readonly chunks: Transport.Transport["chunks"]
  readonly primitives: Primitives.Primitives = NodePrimitives.primitives

  private readonly duplex: Duplex
  private handlers: Transport.TransportHandlers | undefined
  private early: Uint8Array | undefined
  private error: WebSocketError.IOError | undefined
  private closed = false
  private paused = false
  // Of a shared buffer: what came while reading was paused, and whether the end came behind it.
  private readonly unread: Array<Uint8Array> = []
  private endsBehindUnread = false
  // Writes are answered in order: a write is taken when as many answers have come.
  private issued = 0
  private answered = 0
  private waiting = false
  // Of a write in pieces.
  private unwritten = 0
  private endsAfterwards = false
  // What fails because of that is no error of the connection's.
  private dropped = false

  constructor(duplex: Duplex, early: Uint8Array | undefined) {
    this.duplex = duplex
    this.early = early !== undefined && early.length > 0 ? early : undefined
    // A socket's chunks are read for it alone. Those of other streams may be anyone's: a pair in
    // memory hands on what its other end wrote.
    this.chunks = SharedReading.canShare(duplex) ? "scratch" : duplex instanceof Socket ? "owned" : "borrowed"
    duplex.on("error", (cause: Error) => {
      if (!this.dropped) this.error ??= Transport.toIOError("read", cause)
    })
    duplex.on("close", () => this.onClose())
  }

  start(handlers: Transport.TransportHandlers): void {
    this.handlers = handlers
    const { duplex } = this
    const early = this.early
    this.early = undefined
    const onEnd = () => {
      // Several records of TLS, and the end, may come by one read, whatever was said meanwhile.
      if (this.unread.length > 0) this.endsBehindUnread = true
      else if (!this.closed) handlers.onEnd()
    }
    if (duplex.destroyed) {
      process.nextTick(() => this.onClose())
      return
    }
    if (duplex.readableEnded) {
      // Nothing can be put in front of an end that was told already.
      process.nextTick(() => {
        if (early !== undefined && !this.closed) handlers.onData(early)
        onEnd()
      })
      return
    }
    duplex.on("end", onEnd)
    if (this.chunks === "scratch") return this.readShared(early, handlers)
    // In front of what is still to be read, so that there is one order.
    if (early !== undefined) this.duplex.unshift(early)
    this.duplex.on("data", (chunk: Uint8Array) => handlers.onData(chunk))
    this.duplex.resume()
  }

  private readShared(early: Uint8Array | undefined, handlers: Transport.TransportHandlers): void {
    if (early !== undefined) this.unread.push(early)
    // What came since the transport was made.
    const waiting: Uint8Array | null = this.duplex.read()
    if (waiting !== null) this.unread.push(waiting)
    SharedReading.share(this.duplex, (chunk) => {
      if (this.paused || this.unread.length > 0) this.unread.push(Uint8Array.from(chunk))
      else if (!this.closed) handlers.onData(chunk)
      return !this.paused
    })
    process.nextTick(() => this.readOn())
  }

  /** Hands on what came before reading was allowed, then reads. */
  private readOn(): void {
    const { duplex, unread } = this
    while (!this.paused && unread.length > 0) {
      const chunk = unread.shift()!
      if (!duplex.destroyed) this.handlers!.onData(chunk)
    }
    if (unread.length === 0 && this.endsBehindUnread) {
      this.endsBehindUnread = false
      if (!this.closed) this.handlers!.onEnd()
    } else if (!this.paused) {
      duplex.resume()
    }
  }

  private onClose(): void {
    if (this.closed || this.handlers === undefined) return
    this.closed = true
    this.handlers.onClosed(this.error)
  }

  pause(): void {
    this.paused = true
    this.duplex.pause()
  }

  resume(): void {
    this.paused = false
    this.readOn()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const { duplex } = this
    if (duplex.destroyed || duplex.writableEnded) return true
    this.issued++
    if (this.queuedBytes() === undefined && sizeOf(chunks) > maxPiece) {
      this.writePieces(chunks)
      return false
    }
    if (chunks.length === 1) {
      duplex.write(chunks[0], this.onWritten)
    } else {
      duplex.cork()
      const last = chunks.length - 1
      for (let i = 0; i < last; i++) duplex.write(chunks[i])
      duplex.write(chunks[last], this.onWritten)
      duplex.uncork()
    }
    // A socket that could take everything has done so by now.
    if (duplex.writableLength === 0) return true
    this.waiting = true
    return false
  }

  private readonly onWritten = (error?: Error | null): void => {
    this.answered++
    if (error !== undefined && error !== null) {
      if (!this.dropped) this.error ??= Transport.toIOError("write", error)
      return
    }
    if (!this.waiting || this.answered < this.issued) return
    this.waiting = false
    if (!this.closed) this.handlers?.onTaken()
  }

  /** Writes one piece after the other, so that a slow write is told from a stalled one. */
  private writePieces(chunks: ReadonlyArray<Uint8Array>): void {
    const { duplex } = this
    this.waiting = true
    this.unwritten = sizeOf(chunks)
    let at = 0
    let offset = 0
    const next = (error?: Error | null): void => {
      if (error !== undefined && error !== null) this.unwritten = 0
      if (this.unwritten === 0) {
        this.onWritten(error)
        if (this.endsAfterwards) this.end()
        return
      }
      const piece = chunks[at].subarray(offset, offset + maxPiece)
      this.unwritten -= piece.length
      offset += piece.length
      if (offset >= chunks[at].length) {
        at++
        offset = 0
      }
      duplex.write(piece, next)
    }
    next()
  }

  /**
   * What the system has not taken of the last writes: libuv's queue, which shrinks with
   * each partial write. Not in Node's documentation, so looked for. TLS takes a write as
   * a whole and tells nothing, and the stream's own count changes with whole chunks only.
   */
  private queuedBytes(): number | undefined {
    if ("encrypted" in this.duplex) return undefined
    const handle = (this.duplex as { readonly _handle?: { readonly writeQueueSize?: unknown } | null })._handle
    const queued = handle?.writeQueueSize
    return typeof queued === "number" ? queued : undefined
  }

  pendingBytes(): number {
    return this.queuedBytes() ?? this.unwritten + this.duplex.writableLength
  }

  end(): void {
    this.endsAfterwards = this.unwritten > 0
    if (this.endsAfterwards) return
    if (!this.duplex.destroyed && !this.duplex.writableEnded) this.duplex.end()
  }

  destroy(): void {
    this.dropped = true
    this.duplex.destroy()
  }
}
