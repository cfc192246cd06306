/** A Node stream as a transport, by its documented interface. TLS sockets are read into one buffer where that works. */
import { type Primitives, Transport, type WebSocketError } from "@effect-ws/core"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as SharedReads from "../undocumented/SharedReads.ts"

/** What all transports of a layer share. */
export interface Options {
  readonly primitives: Primitives.Primitives
  /** Whether TLS sockets may be read into one buffer. */
  readonly isShared: boolean
}

/** Makes a transport from a stream that nothing else reads; `early` are bytes that were read before. */
export const make = (duplex: Duplex, early: Uint8Array | undefined, options: Options): Transport.Transport =>
  new DuplexTransport(duplex, early, options)

// A larger write is made in pieces, because a stream reports only when a whole write is taken. For a slow peer they
// are smaller, so that even one of some KiB a second can be distinguished from one that takes nothing.
const largePiece = 64 * 1024
const smallPiece = 16 * 1024

// A write that took this long was for a slow peer.
const slowMillis = 50

const sizeOf = (chunks: ReadonlyArray<Uint8Array>): number => {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  return size
}

/**
 * Whether a stream calls back only once it no longer reads what it was given: sockets and the streams of HTTP/2. One in memory
 * may call back while its other end has not read, and passes on the very bytes.
 */
const readsBeforeCallback = (duplex: Duplex): boolean => duplex instanceof Socket || "rstCode" in duplex

class DuplexTransport implements Transport.Transport {
  readonly chunks: Transport.Transport["chunks"]
  readonly primitives: Primitives.Primitives

  private readonly duplex: Duplex
  private readonly isCopying: boolean
  private handlers: Transport.TransportHandlers | undefined
  private early: Uint8Array | undefined
  private error: WebSocketError.IOError | undefined
  private closed = false
  private paused = false
  // With a shared buffer: bytes that arrived while reading was paused, and whether the end followed them.
  private readonly unread: Array<Uint8Array> = []
  private endsBehindUnread = false
  // The chunks of the last write, and the part of them that is not written yet.
  private chunksLeft: ReadonlyArray<Uint8Array> = []
  private at = 0
  private offset = 0
  private unwritten = 0
  private isWaiting = false
  // The stream calls back in order, even for what it took at once.
  private issued = 0
  private answered = 0
  private issuedAt = 0
  private pieceSize = largePiece
  private ended = false
  // Failures that follow from it are no errors of the connection.
  private dropped = false

  constructor(duplex: Duplex, early: Uint8Array | undefined, { isShared, primitives }: Options) {
    this.duplex = duplex
    this.isCopying = !readsBeforeCallback(duplex)
    this.primitives = primitives
    this.early = early !== undefined && early.length > 0 ? early : undefined
    // The chunks of a socket belong to it. Those of other streams may be shared: a pair in memory passes on what its
    // other end wrote.
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
      // One read may bring several TLS records and the end, even after reading was paused.
      if (this.unread.length > 0) this.endsBehindUnread = true
      // Bun ends what is destroyed.
      else if (!this.closed && !duplex.destroyed) handlers.onEnd()
    }
    if (duplex.destroyed) {
      process.nextTick(() => this.onClose())
      return
    }
    if (duplex.readableEnded) {
      // Nothing can be put before an end that was already reported.
      process.nextTick(() => {
        if (early !== undefined && !this.closed) handlers.onData(early)
        onEnd()
      })
      return
    }
    duplex.on("end", onEnd)
    if (this.chunks === "scratch") return this.readShared(early, handlers)
    // Before the input that is not read yet, so that the order is kept.
    if (early !== undefined) this.duplex.unshift(early)
    this.duplex.on("data", (chunk: Uint8Array) => handlers.onData(chunk))
    this.duplex.resume()
  }

  private readShared(early: Uint8Array | undefined, handlers: Transport.TransportHandlers): void {
    if (early !== undefined) this.unread.push(early)
    // Bytes that arrived since the transport was made.
    const waiting: Uint8Array | null = this.duplex.read()
    if (waiting !== null) this.unread.push(waiting)
    SharedReads.share(this.duplex, (chunk) => {
      if (this.paused || this.unread.length > 0) this.unread.push(Uint8Array.from(chunk))
      else if (!this.closed) handlers.onData(chunk)
      return !this.paused
    })
    process.nextTick(() => this.readOn())
  }

  /** Delivers what arrived before reading was allowed, then reads. */
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
    // Deno cancels a write before it tells of the reset behind it.
    if (!this.dropped && (this.error === undefined || this.error.reason === "Aborted")) {
      this.error = Transport.toIOError(phase, cause)
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
    if (this.ended || this.duplex.destroyed || this.duplex.writableEnded) return true
    this.chunksLeft = this.isCopying ? chunks.map((chunk) => Uint8Array.from(chunk)) : chunks
    this.at = this.offset = 0
    this.unwritten = sizeOf(chunks)
    return !(this.isWaiting = !this.writeOn())
  }

  /** Writes what the stream takes at once, and one piece that waits. Returns whether nothing waits. */
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
    // The stream calls back for what it takes at once, too.
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
    // Otherwise after the last piece.
    if (this.unwritten === 0 && !this.duplex.destroyed) this.duplex.end()
  }

  unref(): void {
    const duplex: Duplex & { readonly unref?: () => unknown } = this.duplex
    duplex.unref?.()
  }

  destroy(): void {
    this.dropped = true
    this.duplex.destroy()
  }
}
