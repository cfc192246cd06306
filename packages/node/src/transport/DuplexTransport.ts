/** A Node stream as a transport, by its documented interface, and TLS sockets read into one buffer where that works. */
import { type Primitives, Transport, type WebSocketError } from "@effect-ws/core"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as SharedReads from "../undocumented/SharedReads.ts"

/** What is the same for all transports of a layer. */
export interface Options {
  readonly primitives: Primitives.Primitives
  /** Whether TLS sockets may be read into one buffer. */
  readonly isShared: boolean
}

/** Makes a transport of a stream that nobody else reads; `early` are bytes that were read before. */
export const make = (duplex: Duplex, early: Uint8Array | undefined, options: Options): Transport.Transport =>
  new DuplexTransport(duplex, early, options)

// A larger write is made in pieces, since a stream says of each write only when it is taken as a whole. To a peer
// that is slow they are smaller, so that even one of some KiB a second is told from one that takes nothing.
const largePiece = 64 * 1024
const smallPiece = 16 * 1024

// A write that took that long was for a slow peer.
const slowMillis = 50

const sizeOf = (chunks: ReadonlyArray<Uint8Array>): number => {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  return size
}

class DuplexTransport implements Transport.Transport {
  readonly chunks: Transport.Transport["chunks"]
  readonly primitives: Primitives.Primitives

  private readonly duplex: Duplex
  private handlers: Transport.TransportHandlers | undefined
  private early: Uint8Array | undefined
  private error: WebSocketError.IOError | undefined
  private closed = false
  private paused = false
  // Of a shared buffer: what came while reading was paused, and whether the end came behind it.
  private readonly unread: Array<Uint8Array> = []
  private endsBehindUnread = false
  // Of the last write: its chunks, and what of them the stream was not given yet.
  private chunksLeft: ReadonlyArray<Uint8Array> = []
  private at = 0
  private offset = 0
  private unwritten = 0
  private isWaiting = false
  // The stream answers in order, also what it took at once.
  private issued = 0
  private answered = 0
  private issuedAt = 0
  private pieceSize = largePiece
  private ended = false
  // What fails because of that is no error of the connection's.
  private dropped = false

  constructor(duplex: Duplex, early: Uint8Array | undefined, { isShared, primitives }: Options) {
    this.duplex = duplex
    this.primitives = primitives
    this.early = early !== undefined && early.length > 0 ? early : undefined
    // A socket's chunks are read for it alone. Those of other streams may be anyone's: a pair in
    // memory hands on what its other end wrote.
    this.chunks = isShared && SharedReads.canShare(duplex) ? "scratch" : duplex instanceof Socket ? "owned" : "borrowed"
    // The peer's end does not end our side: a Close is answered first.
    duplex.allowHalfOpen = true
    duplex.on("error", (cause: Error) => this.fail("read", cause))
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
    SharedReads.share(this.duplex, (chunk) => {
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
    if (this.paused) return
    if (this.endsBehindUnread) {
      this.endsBehindUnread = false
      if (!this.closed) this.handlers!.onEnd()
    } else {
      duplex.resume()
    }
  }

  private fail(phase: "read" | "write", cause: Error): void {
    if (!this.dropped) this.error ??= Transport.toIOError(phase, cause)
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
    if (this.ended || this.duplex.destroyed || this.duplex.writableEnded) return true
    this.chunksLeft = chunks
    this.at = this.offset = 0
    this.unwritten = sizeOf(chunks)
    return !(this.isWaiting = !this.writeOn())
  }

  /** Writes what the stream takes at once, and a piece that waits; says whether nothing waits. */
  private writeOn(): boolean {
    const { duplex } = this
    do this.writePiece()
    while (this.unwritten > 0 && duplex.writableLength === 0)
    if (this.unwritten === 0) this.chunksLeft = []
    return this.unwritten === 0 && duplex.writableLength === 0
  }

  /** Writes the next piece, which may lie in several chunks. */
  private writePiece(): void {
    const { chunksLeft, duplex } = this
    let room = this.pieceSize
    duplex.cork()
    for (;;) {
      const chunk = chunksLeft[this.at]!
      const piece = this.offset === 0 && chunk.length <= room ? chunk : chunk.subarray(this.offset, this.offset + room)
      room -= piece.length
      this.unwritten -= piece.length
      this.offset += piece.length
      if (this.offset === chunk.length) {
        this.at++
        this.offset = 0
      }
      if (this.unwritten === 0 || room === 0) {
        this.issued++
        this.issuedAt = performance.now()
        duplex.write(piece, this.onWritten)
        break
      }
      duplex.write(piece)
    }
    duplex.uncork()
  }

  private readonly onWritten = (error?: Error | null): void => {
    this.answered++
    if (error !== undefined && error !== null) {
      this.unwritten = 0
      this.chunksLeft = []
      return this.fail("write", error)
    }
    if (!this.isWaiting || this.answered < this.issued) return
    this.pieceSize = performance.now() - this.issuedAt > slowMillis ? smallPiece : largePiece
    // What it takes at once is answered as well.
    if (this.unwritten > 0) {
      this.writeOn()
      return
    }
    this.isWaiting = false
    if (!this.closed) this.handlers?.onTaken()
    if (this.ended) this.duplex.end()
  }

  pendingBytes(): number {
    return this.duplex.destroyed ? 0 : this.unwritten + this.duplex.writableLength
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    // Otherwise behind the last piece.
    if (this.unwritten === 0 && !this.duplex.destroyed) this.duplex.end()
  }

  destroy(): void {
    this.dropped = true
    this.duplex.destroy()
  }
}
