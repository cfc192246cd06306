/**
 * DEFLATE for permessage-deflate by Node's zlib, synchronously, on contexts that live as
 * long as a connection.
 *
 * Node documents synchronous zlib for whole buffers only, streams only asynchronously:
 * a message then costs a turn through the thread pool, several times the work itself.
 * So this calls what both are built on, the `writeSync` of a zlib stream's handle. That
 * is not documented: {@link isSupported} tries it on known bytes, and where it does not
 * do what is expected, nothing is compressed.
 *
 * The `minizlib` package does the same one floor higher, through `_processChunk`, as
 * undocumented. Measured beside this, it takes the same time and, for streams and buffers
 * of its own, 12 KiB more of memory per context at first and 60 to 80 KiB more after 128
 * KiB of traffic. It cannot bound the output of a step, only the input, and it replaces
 * `Buffer.concat` while it works.
 *
 * @since 0.1.0
 */
import { type MessageExtension, PerMessageDeflate } from "@effect-ws/core"
import * as Layer from "effect/Layer"
import { Buffer } from "node:buffer"
import * as Zlib from "node:zlib"

const { Z_BLOCK, Z_NO_FLUSH, Z_SYNC_FLUSH } = Zlib.constants

/** The handle of a zlib stream. Its arguments must be right: what they point to is not checked. */
interface Handle {
  readonly onerror: (message: string, errno: number, code: string) => void
  readonly writeSync: (
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number
  ) => void
  readonly reset: () => void
  readonly close: () => void
}

/** A handle with its state: after a write, how much room is left in the output, and how much input. */
interface Raw {
  readonly handle: Handle
  readonly state: Uint32Array
}

const isHandle = (u: unknown): u is Handle =>
  typeof u === "object" && u !== null &&
  ["onerror", "writeSync", "reset", "close"].every((name) => typeof Reflect.get(u, name) === "function")

const rawOf = (stream: Zlib.DeflateRaw | Zlib.InflateRaw): Raw | undefined => {
  const handle: unknown = Reflect.get(stream, "_handle")
  const state: unknown = Reflect.get(stream, "_writeState")
  return isHandle(handle) && state instanceof Uint32Array && state.length >= 2 ? { handle, state } : undefined
}

// The stream around a handle is never used; its own buffer is as small as it may be.
const unusedChunkSize = 64

const deflateRaw = (options: PerMessageDeflate.CompressorOptions): Raw | undefined =>
  rawOf(Zlib.createDeflateRaw({ ...options, chunkSize: unusedChunkSize }))

const inflateRaw = (windowBits: number): Raw | undefined =>
  rawOf(Zlib.createInflateRaw({ windowBits, chunkSize: unusedChunkSize }))

const missing = (): never => {
  throw new Error("zlib's handle is not what NodeDeflate.isSupported found")
}

// One output buffer serves all contexts, since each step is over before the next.
// Nothing of it is handed out, but copies of what a step wrote.
const stepSize = 64 * 1024
const output = new Uint8Array(stepSize)

const nothing = new Uint8Array(0)

/** For what is handed to users: memory of its own. */
const copy = (length: number): Uint8Array => length === 0 ? nothing : output.slice(0, length)

/** For what goes to the socket: from Node's pool, which saves up to half a microsecond. */
const copyPooled = (length: number): Uint8Array => {
  const bytes = Buffer.allocUnsafe(length)
  bytes.set(output.subarray(0, length))
  return bytes
}

// RFC 7692 §7.2.1: what a flush ends with, and what does not travel.
const tailSize = 4

class NodeCompressor implements PerMessageDeflate.Compressor {
  readonly #raw: Raw

  constructor(raw: Raw) {
    this.#raw = raw
    // With a level, window and memory that were accepted, deflate fails on nothing.
    Object.assign(raw.handle, { onerror: () => {} })
  }

  push(bytes: Uint8Array, last: boolean): Uint8Array {
    const { handle, state } = this.#raw
    const flush = last ? Z_SYNC_FLUSH : Z_NO_FLUSH
    let parts: Array<Uint8Array> | undefined
    let size = 0
    let at = 0
    for (;;) {
      handle.writeSync(flush, bytes, at, bytes.length - at, output, 0, stepSize)
      const written = stepSize - state[0]!
      if (state[0] !== 0) {
        const ends = last ? tailSize : 0
        if (parts === undefined) return written === ends ? nothing : copyPooled(written - ends)
        parts.push(copyPooled(written))
        return join(parts, size + written - ends)
      }
      at = bytes.length - state[1]!
      parts ??= []
      parts.push(copyPooled(written))
      size += written
    }
  }

  reset(): void {
    this.#raw.handle.reset()
  }

  close(): void {
    this.#raw.handle.close()
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

// One step reads and writes no more than that. Output is fast; input is not if it is
// made of tiny blocks: 16 KiB of the worst found took 1.2 ms.
const inputStep = 16 * 1024

// A final block ends a stream, and the next byte starts another (RFC 7692 §7.2.1); the
// smallest has two bytes, so a step with very many of them goes no further.
const streamsAtOnce = 256

class NodeDecompressor implements PerMessageDeflate.Decompressor {
  readonly #raw: Raw
  #bytes: Uint8Array = nothing
  #at = 0
  #last = false
  /** Whether the last step left no room, so that there may be more to come without input. */
  #full = false
  #failure: MessageExtension.DecodeFailure | undefined

  constructor(raw: Raw) {
    this.#raw = raw
    Object.assign(raw.handle, {
      onerror: (message: string) => {
        this.#failure = { detail: message }
      }
    })
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

  #step(): number {
    const { handle, state } = this.#raw
    const end = Math.min(this.#bytes.length, this.#at + inputStep)
    let written = 0
    for (let streams = 0; streams < streamsAtOnce; streams++) {
      handle.writeSync(Z_SYNC_FLUSH, this.#bytes, this.#at, end - this.#at, output, written, stepSize - written)
      if (this.#failure !== undefined) return 0
      this.#at = end - state[1]!
      written = stepSize - state[0]!
      this.#full = state[0] === 0
      // Room is left and input as well only where a final block has ended.
      if (this.#full || this.#at === end) return written
      handle.reset()
    }
    return written
  }

  #end(): void {
    const { handle, state } = this.#raw
    handle.writeSync(Z_BLOCK, tail, 0, tail.length, output, 0, stepSize)
    if (this.#failure !== undefined) return
    if (state[1] === tail.length) handle.reset() // the message ended with a final block
    else if (state[1] !== 1 || state[0] !== stepSize) this.#failure = { detail: "the message ends within a block" }
  }

  reset(): void {
    this.#raw.handle.reset()
  }

  close(): void {
    this.#raw.handle.close()
  }
}

// A context beside its arrays: the state of zlib (6 to 7 KiB) and the stream's objects.
const overhead = 12 * 1024

// zlib as Node builds it hashes with at least 15 bits where the processor can, whatever
// the memLevel says: two bytes for each.
const leastHashBits = 15

const compressorBytes = ({ memLevel, windowBits }: PerMessageDeflate.CompressorOptions): number =>
  (4 << windowBits) + (2 << Math.max(memLevel + 7, leastHashBits)) + (4 << (memLevel + 6)) + overhead

const decompressorBytes = ({ windowBits }: PerMessageDeflate.DecompressorOptions): number =>
  (1 << windowBits) + overhead + 2048

// What takes at most about 4 ms of the slowest input that was found, random letters out of
// two or four, by level: it takes level 4 2 ms for 64 KiB, level 6 16, level 9 215.
// Ordinary text takes 1 to 2 ms for 64 KiB at level 6.
const sliceSizes = [64, 64, 64, 64, 32, 16, 8, 2, 1].map((size) => size * 1024)

// zlib inflates with at least 9 bits; what was made with a smaller window fits.
const leastInflateBits = 9

// RFC 7692 §7.2.3.1: "Hello" in a fixed block.
const hello = Uint8Array.of(0x48, 0x65, 0x6c, 0x6c, 0x6f)
const helloDeflated = Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00)

const equals = (a: Uint8Array | MessageExtension.DecodeFailure | undefined, b: Uint8Array): boolean =>
  a instanceof Uint8Array && Buffer.compare(a, b) === 0

const deflates = (raw: Raw | undefined): boolean => {
  if (raw === undefined) return false
  const compressor = new NodeCompressor(raw)
  const right = equals(compressor.push(hello, true), helloDeflated)
  compressor.close()
  return right
}

const inflates = (raw: Raw | undefined): boolean => {
  if (raw === undefined) return false
  const decompressor = new NodeDecompressor(raw)
  decompressor.push(helloDeflated, true)
  const right = equals(decompressor.next(), hello) && decompressor.next() === undefined
  decompressor.push(Uint8Array.of(0x06), true) // a block of type 3, which does not exist (RFC 1951 §3.2.3)
  const failed = decompressor.next()
  decompressor.close()
  return right && failed !== undefined && !(failed instanceof Uint8Array)
}

let supported: boolean | undefined

/**
 * Whether this process can deflate and inflate synchronously, tried once on known bytes.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSupported = (): boolean => {
  try {
    supported ??= deflates(deflateRaw({ windowBits: 15, level: 1, memLevel: 8 })) && inflates(inflateRaw(15))
  } catch {
    supported = false
  }
  return supported
}

/**
 * The codec by Node's zlib.
 *
 * **Details**
 *
 * Measured per context: 268 KiB to deflate and 48 KiB to inflate with full windows and
 * memLevel 8; 78 and 14 KiB with windows of 9 bits and memLevel 1.
 *
 * @category constants
 * @since 0.1.0
 */
export const codec: PerMessageDeflate.Codec["Service"] = {
  get available() {
    return isSupported()
  },
  compressor: (options) => new NodeCompressor(deflateRaw(options) ?? missing()),
  compressorBytes,
  decompressor: ({ windowBits }) =>
    new NodeDecompressor(inflateRaw(Math.max(windowBits, leastInflateBits)) ?? missing()),
  decompressorBytes,
  sliceSize: (level) => sliceSizes[level - 1] ?? 1024
}

/**
 * Provides {@link codec}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PerMessageDeflate.Codec> = Layer.succeed(PerMessageDeflate.Codec, codec)
