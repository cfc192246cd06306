/** DEFLATE by the handles of zlib's streams; `undocumented/ZlibHandle.ts` says why. */
import type { MessageExtension, PerMessageDeflate } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as Zlib from "node:zlib"
import { isPortable } from "../undocumented/Switch.ts"
import * as ZlibHandle from "../undocumented/ZlibHandle.ts"
import { works } from "./Probe.ts"

const { Z_BLOCK, Z_NO_FLUSH, Z_SYNC_FLUSH } = Zlib.constants

// One output buffer serves all contexts, because each step is over before the next. Only copies of its contents are
// returned.
const stepSize = 64 * 1024
const output = new Uint8Array(stepSize)

const nothing = new Uint8Array(0)

// Small outputs share memory, as Node's small buffers do: memory of its own is a fifth of what inflating 1 KiB costs.
const slabSize = 8 * 1024
const shareLimit = slabSize / 4
let slab = new Uint8Array(slabSize)
let slabEnd = 0

/** For bytes that users get: nothing else is ever written there. */
const copy = (length: number): Uint8Array => {
  if (length === 0) return nothing
  if (length > shareLimit) return output.slice(0, length)
  if (length > slabSize - slabEnd) {
    slab = new Uint8Array(slabSize)
    slabEnd = 0
  }
  const bytes = slab.subarray(slabEnd, slabEnd += length)
  bytes.set(output.subarray(0, length))
  return bytes
}

/** For bytes that go to the socket: from Node's pool, which saves up to half a microsecond. */
const copyPooled = (length: number): Uint8Array => {
  const bytes = Buffer.allocUnsafe(length)
  bytes.set(output.subarray(0, length))
  return bytes
}

// RFC 7692 §7.2.1: the end of a flush, which is not sent.
const tailSize = 4

/** Compresses by a handle. With a level, window and memory that were accepted, deflate fails on nothing. */
class Compressor implements PerMessageDeflate.Compressor {
  readonly #zlib: ZlibHandle.ZlibHandle

  constructor(zlib: ZlibHandle.ZlibHandle) {
    this.#zlib = zlib
  }

  push(bytes: Uint8Array, last: boolean): Uint8Array {
    const zlib = this.#zlib
    const flush = last ? Z_SYNC_FLUSH : Z_NO_FLUSH
    let parts: Array<Uint8Array> | undefined
    let size = 0
    let at = 0
    for (;;) {
      zlib.step(flush, bytes, at, bytes.length - at, output, 0, stepSize)
      const { room } = zlib
      const written = stepSize - room
      if (room !== 0) {
        const ends = last ? tailSize : 0
        if (parts === undefined) return written === ends ? nothing : copyPooled(written - ends)
        parts.push(copyPooled(written))
        return join(parts, size + written - ends)
      }
      at = bytes.length - zlib.rest
      parts ??= []
      parts.push(copyPooled(written))
      size += written
    }
  }

  reset(): void {
    this.#zlib.reset()
  }

  close(): void {
    this.#zlib.close()
  }
}

/** The first `size` bytes of some parts as one. */
const join = (parts: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const joined = Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) {
    const rest = size - at
    joined.set(part.length > rest ? part.subarray(0, rest) : part, at)
    at += part.length
  }
  return joined
}

// The tail of a message, and one byte behind it that must not be read: with Z_BLOCK
// inflate stops at the end of a block, so that exactly this byte is left if the message
// ended where the tail completes an empty stored block (RFC 7692 §7.2.2). Should it be
// read, it is no valid length of a stored block.
const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0xff)

// One step reads and writes no more than this. Output is fast. Input of tiny blocks is not: 16 KiB of the slowest that
// was found took 1.2 ms.
const inputStep = 16 * 1024

// A final block ends a stream, and the next byte starts another (RFC 7692 §7.2.1); the
// smallest has two bytes, so a step with very many of them goes no further.
const streamsAtOnce = 256

class Decompressor implements PerMessageDeflate.Decompressor {
  readonly #zlib: ZlibHandle.ZlibHandle
  #bytes: Uint8Array = nothing
  #at = 0
  #last = false
  /** Whether the last step filled the output, so that there may be more without further input. */
  #full = false
  #failure: MessageExtension.DecodeFailure | undefined

  constructor(zlib: ZlibHandle.ZlibHandle) {
    this.#zlib = zlib
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#bytes = bytes
    this.#at = 0
    this.#last = last
  }

  next(): Uint8Array | MessageExtension.DecodeFailure | undefined {
    if (this.#failure === undefined) {
      if (this.#full || this.#at < this.#bytes.length) {
        const written = this.#step()
        if (this.#failure === undefined) return copy(written)
      } else if (this.#last) {
        this.#last = false
        this.#end()
      }
    }
    this.#bytes = nothing
    this.#at = 0
    return this.#failure
  }

  #work(flush: number, input: Uint8Array, at: number, length: number, to: number): void {
    this.#zlib.step(flush, input, at, length, output, to, stepSize - to)
    const { failure } = this.#zlib
    if (failure !== undefined) this.#failure = { detail: failure }
  }

  #step(): number {
    const zlib = this.#zlib
    const end = Math.min(this.#bytes.length, this.#at + inputStep)
    let written = 0
    for (let streams = 0; streams < streamsAtOnce; streams++) {
      this.#work(Z_SYNC_FLUSH, this.#bytes, this.#at, end - this.#at, written)
      if (this.#failure !== undefined) return 0
      const { room } = zlib
      this.#at = end - zlib.rest
      written = stepSize - room
      this.#full = room === 0
      // Room is left and input as well only where a final block has ended.
      if (this.#full || this.#at === end) return written
      zlib.reset()
    }
    return written
  }

  #end(): void {
    const zlib = this.#zlib
    this.#work(Z_BLOCK, tail, 0, tail.length, 0)
    if (this.#failure !== undefined) return
    const { rest, room } = zlib
    if (rest === tail.length) zlib.reset() // the message ended with a final block
    else if (rest !== 1 || room !== stepSize) this.#failure = { detail: "the message ends within a block" }
  }

  reset(): void {
    this.#zlib.reset()
  }

  close(): void {
    this.#zlib.close()
  }
}

// zlib inflates with at least 9 bits, which fits data of a smaller window.
const leastInflateBits = 9

export const compressor = (options: PerMessageDeflate.CompressorOptions): PerMessageDeflate.Compressor =>
  new Compressor(ZlibHandle.deflate(options))

export const decompressor = ({ windowBits }: PerMessageDeflate.DecompressorOptions): PerMessageDeflate.Decompressor =>
  new Decompressor(ZlibHandle.inflate(Math.max(windowBits, leastInflateBits)))

let supported: boolean | undefined

/** Whether handles process known streams correctly: tried once, and not with documented interfaces only. */
export const isSupported = (): boolean => supported ??= !isPortable && works({ compressor, decompressor })
