/**
 * A transport that the test controls: it pushes chunks, sees writes, holds or takes
 * them, ends and breaks. It is as unkind as the interface allows: a chunk that was
 * borrowed is destroyed after the call, `resume` delivers at once what was kept, and
 * what is held is compared with what was handed over.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as FrameDecoder from "../../src/FrameDecoder.ts"
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
  /** A transport that was destroyed says only later that it is closed, as sockets do. */
  readonly closesLater?: boolean
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

  private readonly closesLater: boolean
  private held: HeldWrite | undefined
  private inbox: Array<Uint8Array | "end"> = []

  constructor(options: FakeOptions = {}) {
    this.chunks = options.chunks ?? "scratch"
    this.primitives = options.primitives ?? portable
    this.closesLater = options.closesLater ?? false
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
    assert.isFalse(this.isEnded || this.isDestroyed || this.isClosed, "a write after the end")
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
    assert.isFalse(this.isEnded || this.isDestroyed || this.isClosed, "ended after the end")
    assert.isUndefined(this.held, "ended before the last write was taken")
    this.isEnded = true
  }

  destroy(): void {
    if (this.isDestroyed || this.isClosed) return
    this.isDestroyed = true
    this.held = undefined
    this.inbox = []
    if (this.closesLater) return
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
