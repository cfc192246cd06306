/**
 * A transport that the test controls: it pushes chunks, sees writes, holds or takes
 * them, ends and breaks. It is as unkind as the interface allows: a chunk that was
 * borrowed is destroyed after the call, `resume` delivers at once what was kept, and
 * what is held is compared with what was handed over.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as FrameDecoder from "../../src/codec/FrameDecoder.ts"
import * as Frame from "../../src/Frame.ts"
import type * as Opcode from "../../src/Opcode.ts"
import { portable, type Primitives } from "../../src/Primitives.ts"
import type { Transport, TransportHandlers } from "../../src/Transport.ts"
import { IOError } from "../../src/WebSocketError.ts"

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export interface FrameOptions {
  readonly fin?: boolean
  readonly masked?: boolean
}

/** The bytes of one frame. */
export const frame = (opcode: Opcode.Opcode, data: Uint8Array | string, options: FrameOptions = {}): Uint8Array =>
  Result.getOrThrow(
    Frame.encode({ ...Frame.make(opcode, data, { masked: options.masked ?? false }), fin: options.fin ?? true })
  )

/** A Close frame's body. */
export const closeBody = (code: number, reason = ""): Uint8Array =>
  concat([Uint8Array.of(code >> 8, code & 255), new TextEncoder().encode(reason)])

/** What stands in bytes that this library wrote: each frame, data as text if it is text. */
export const framesOf = (bytes: Uint8Array, mask: "required" | "forbidden"): Array<Frame.Frame> => {
  const decoder = FrameDecoder.make({ mask, maxPayloadLength: 2 ** 30 })
  const { error, frames } = decoder.push(bytes)
  assert.isUndefined(error)
  assert.isTrue(decoder.isEmpty(), "whole frames only")
  return [...frames]
}

interface HeldWrite {
  readonly chunks: ReadonlyArray<Uint8Array>
  readonly copies: ReadonlyArray<Uint8Array>
}

export interface FakeOptions {
  readonly chunks?: Transport["chunks"]
  readonly primitives?: Primitives
}

export class FakeTransport implements Transport {
  readonly chunks: Transport["chunks"]
  readonly primitives: Primitives
  handlers: TransportHandlers | undefined
  isPaused = false
  isEnded = false
  isDestroyed = false
  isClosed = false
  /** Writes are held until `take`. */
  holding = false
  /** What was taken, one entry for each write. */
  readonly writes: Array<Uint8Array> = []
  pendingBytes: (() => number) | undefined

  private held: HeldWrite | undefined
  private inbox: Array<Uint8Array | "end"> = []

  constructor(options: FakeOptions = {}) {
    this.chunks = options.chunks ?? "scratch"
    this.primitives = options.primitives ?? portable
  }

  start(handlers: TransportHandlers): void {
    assert.isUndefined(this.handlers, "started once")
    this.handlers = handlers
    this.drain()
  }

  pause(): void {
    assert.isFalse(this.isPaused, "paused twice")
    this.isPaused = true
  }

  resume(): void {
    assert.isTrue(this.isPaused, "resumed what runs")
    this.isPaused = false
    this.drain()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    assert.isFalse(this.isEnded || this.isDestroyed || this.isClosed, "a write behind the end")
    assert.isUndefined(this.held, "a write before the last was taken")
    assert.isAbove(chunks.reduce((sum, chunk) => sum + chunk.length, 0), 0, "an empty write")
    const copies = chunks.map((chunk) => new Uint8Array(chunk))
    if (this.holding) {
      this.held = { chunks, copies }
      return false
    }
    this.writes.push(concat(copies))
    return true
  }

  end(): void {
    assert.isFalse(this.isEnded || this.isDestroyed, "ended twice")
    assert.isUndefined(this.held, "ended before the last write was taken")
    this.isEnded = true
  }

  destroy(): void {
    if (this.isDestroyed || this.isClosed) return
    this.isDestroyed = true
    this.held = undefined
    this.inbox = []
    this.isClosed = true
    this.handlers!.onClosed(undefined)
  }

  // ---------------------------------------------------------------------------
  // for the test
  // ---------------------------------------------------------------------------

  get isHeld(): boolean {
    return this.held !== undefined
  }

  /** The held write is taken; what it holds must be what was handed over. */
  take(): void {
    const held = this.held
    assert.isDefined(held, "nothing is held")
    this.held = undefined
    held.chunks.forEach((chunk, i) => assert.deepStrictEqual(new Uint8Array(chunk), held.copies[i], "was overwritten"))
    this.writes.push(concat(held.copies))
    this.handlers!.onTaken()
  }

  /** Takes the held write and all that follow. */
  release(): void {
    this.holding = false
    if (this.held !== undefined) this.take()
  }

  /** Bytes arrive, now or once reading is resumed. */
  push(...parts: ReadonlyArray<Uint8Array>): void {
    this.inbox.push(...parts)
    if (this.handlers !== undefined) this.drain()
  }

  /** The peer ends its half. */
  peerEnds(): void {
    this.inbox.push("end")
    this.drain()
  }

  /** The transport is gone. */
  closes(error?: IOError): void {
    assert.isFalse(this.isClosed)
    this.isClosed = true
    this.held = undefined
    this.handlers!.onClosed(error)
  }

  resets(): void {
    this.closes(new IOError({ phase: "read", reason: "Reset", detail: "the peer reset the connection" }))
  }

  /** Chunks that wait because reading is paused. */
  get waiting(): number {
    return this.inbox.length
  }

  get written(): Uint8Array {
    return concat(this.writes)
  }

  private drain(): void {
    while (!this.isPaused && !this.isClosed && this.inbox.length > 0) {
      const next = this.inbox.shift()!
      if (next === "end") {
        this.handlers!.onEnd()
        continue
      }
      const chunk = new Uint8Array(next)
      this.handlers!.onData(chunk)
      if (this.chunks === "borrowed") assert.deepStrictEqual(chunk, new Uint8Array(next), "a borrowed chunk changed")
      if (this.chunks !== "owned") chunk.fill(0xee)
    }
  }
}

/**
 * Two transports connected with each other. What one writes the other is given in
 * later microtasks, `maxChunk` bytes at a time; a write is taken once the other side
 * holds no more than `capacity` bytes.
 */
export const makePair = (
  options: { readonly capacity?: number; readonly maxChunk?: number; readonly chunks?: Transport["chunks"] } = {}
): readonly [PairedTransport, PairedTransport] => {
  const a = new PairedTransport(options.chunks ?? "scratch", options.capacity ?? Infinity, options.maxChunk ?? 16384)
  const b = new PairedTransport(options.chunks ?? "scratch", options.capacity ?? Infinity, options.maxChunk ?? 16384)
  a.other = b
  b.other = a
  return [a, b]
}

export class PairedTransport implements Transport {
  readonly chunks: Transport["chunks"]
  readonly primitives = portable
  other!: PairedTransport
  isEnded = false
  isClosed = false
  isPaused = false
  /** The most bytes that were ever on their way to this side. */
  mostBuffered = 0

  private handlers: TransportHandlers | undefined
  private inbox: Array<Uint8Array> = []
  private buffered = 0
  private endSeen: "no" | "waiting" | "told" = "no"
  private blocked = false
  private scheduled = false
  private readonly capacity: number
  private readonly maxChunk: number

  constructor(chunks: Transport["chunks"], capacity: number, maxChunk: number) {
    this.chunks = chunks
    this.capacity = capacity
    this.maxChunk = maxChunk
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers
    this.schedule()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.schedule()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    assert.isFalse(this.isEnded || this.isClosed, "a write behind the end")
    assert.isFalse(this.blocked, "a write before the last was taken")
    const other = this.other
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += this.maxChunk) {
        other.inbox.push(new Uint8Array(chunk.subarray(at, at + this.maxChunk)))
      }
      other.buffered += chunk.length
    }
    other.mostBuffered = Math.max(other.mostBuffered, other.buffered)
    other.schedule()
    this.blocked = other.buffered > this.capacity
    return !this.blocked
  }

  end(): void {
    if (this.isEnded || this.isClosed) return
    this.isEnded = true
    this.other.endSeen = "waiting"
    this.other.schedule()
    this.maybeClosed()
  }

  destroy(): void {
    if (this.isClosed) return
    this.end()
    this.isClosed = true
    this.handlers?.onClosed(undefined)
  }

  private maybeClosed(): void {
    if (this.isEnded && this.endSeen === "told" && !this.isClosed) {
      this.isClosed = true
      queueMicrotask(() => this.handlers?.onClosed(undefined))
    }
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.step()
    })
  }

  private step(): void {
    if (this.handlers === undefined || this.isPaused || this.isClosed) return
    const chunk = this.inbox.shift()
    if (chunk !== undefined) {
      this.buffered -= chunk.length
      this.handlers.onData(chunk)
      if (this.other.blocked && this.buffered <= this.capacity) {
        this.other.blocked = false
        if (!this.other.isClosed) this.other.handlers?.onTaken()
      }
      this.schedule()
    } else if (this.endSeen === "waiting") {
      this.endSeen = "told"
      this.handlers.onEnd()
      this.maybeClosed()
    }
  }
}
