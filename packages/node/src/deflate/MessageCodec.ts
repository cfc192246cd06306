/**
 * DEFLATE by documented interfaces only: `deflateRawSync` and `inflateRawSync` process whole buffers, so each message
 * gets its own context, whose dictionary is the window of earlier messages (RFC 1951 §2 makes no difference).
 * Measured: about 100 µs more for each message than by handles, which continue from one message to the next.
 */
import type { MessageExtension, PerMessageDeflate } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as Zlib from "node:zlib"
import { works } from "./Probe.ts"

const { Z_SYNC_FLUSH } = Zlib.constants

const nothing = new Uint8Array(0)

/** The last bytes, as many as a peer may refer to. */
class Window {
  bytes: Uint8Array = nothing
  private readonly size: number

  constructor(bits: number) {
    this.size = 1 << bits
  }

  add(bytes: Uint8Array): void {
    const { size } = this
    this.bytes = bytes.length >= size
      ? bytes.slice(-size)
      : Buffer.concat([this.bytes.subarray(Math.max(0, this.bytes.length + bytes.length - size)), bytes])
  }

  forget(): void {
    this.bytes = nothing
  }
}

/** As an option of zlib's functions, which do not accept an empty dictionary. */
const dictionaryOf = ({ bytes }: Window) => bytes.length > 0 ? { dictionary: bytes } : {}

// RFC 7692 §7.2.1: the end of a flush, which is not sent.
const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff)

class Compressor implements PerMessageDeflate.Compressor {
  readonly #window: Window
  readonly #options: PerMessageDeflate.CompressorOptions

  constructor(options: PerMessageDeflate.CompressorOptions) {
    this.#options = options
    this.#window = new Window(options.windowBits)
  }

  push(bytes: Uint8Array, last: boolean): Uint8Array {
    if (bytes.length === 0 && !last) return nothing
    const options = { ...this.#options, ...dictionaryOf(this.#window), finishFlush: Z_SYNC_FLUSH }
    const deflated = Zlib.deflateRawSync(bytes, options)
    this.#window.add(bytes)
    return last ? deflated.subarray(0, -tail.length) : deflated
  }

  reset(): void {
    this.#window.forget()
  }

  close(): void {
    this.#window.forget()
  }
}

// The tail, an empty final block, and a byte behind the end. The message ended between two blocks if the tail
// makes no output, and all but that byte is read.
const ending = Uint8Array.of(...tail, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00)

// Each step inflates the message from its start, so each may double the output, and the whole stays linear. If a step
// makes too much, it is tried with less input.
const firstStep = 256 * 1024

// The most bytes that are returned at once.
const chunkSize = 64 * 1024

// What a message may have besides its content: blocks without output, and separate streams (RFC 7692 §7.2.1), of which
// compressors make at most one.
const mostUseless = 64 * 1024
const mostStreams = 64

interface Inflated {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

class Decompressor implements PerMessageDeflate.Decompressor {
  readonly #windowBits: number
  readonly #window: Window
  // The message from its last stream on, as far as it has arrived.
  #input = nothing
  #size = 0
  #last = false
  // How much of the input was inflated, and how long its output is.
  #done = 0
  #made = 0
  #streams = 0
  #output: Uint8Array = nothing
  #isPending = false
  #failure: MessageExtension.DecodeFailure | undefined

  constructor(windowBits: number) {
    this.#windowBits = windowBits
    this.#window = new Window(windowBits)
  }

  push(bytes: Uint8Array, last: boolean): void {
    const size = this.#size + bytes.length
    if (size > this.#input.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#input.length))
      larger.set(this.#input.subarray(0, this.#size))
      this.#input = larger
    }
    this.#input.set(bytes, this.#size)
    this.#size = size
    this.#last = last
    // A message that arrives in many small parts is inflated each time it has doubled.
    this.#isPending = last || size >= 2 * this.#done
  }

  next(): Uint8Array | MessageExtension.DecodeFailure | undefined {
    if (this.#failure !== undefined) return this.#failure
    if (this.#output.length === 0 && this.#isPending) {
      try {
        this.#step()
      } catch (error) {
        return this.#fail(error instanceof Error ? error.message : String(error))
      }
      // An empty step made no output.
      if (this.#output.length === 0) return this.#failure ?? nothing
    }
    if (this.#output.length === 0) return undefined
    const chunk = new Uint8Array(this.#output.subarray(0, chunkSize))
    this.#output = this.#output.subarray(chunk.length)
    return chunk
  }

  #fail(detail: string): MessageExtension.DecodeFailure {
    this.#output = this.#input = nothing
    return this.#failure = { detail }
  }

  #inflate(input: Uint8Array, most: number): Inflated {
    return Zlib.inflateRawSync(input, {
      ...dictionaryOf(this.#window),
      windowBits: this.#windowBits,
      finishFlush: Z_SYNC_FLUSH,
      maxOutputLength: most,
      info: true
    }) as unknown as Inflated
  }

  /** Inflates what has arrived since, or as much as is allowed at once. */
  #step(): void {
    const most = this.#made + Math.max(firstStep, this.#made)
    for (let end = this.#size;; end = this.#done + ((end - this.#done) >> 1)) {
      let inflated: Inflated
      try {
        inflated = this.#inflate(this.#input.subarray(0, end), most)
      } catch (error) {
        if (isTooMuch(error) && end > this.#done + 1) continue
        throw error
      }
      this.#take(inflated, end)
      return
    }
  }

  #take({ buffer, engine }: Inflated, end: number): void {
    this.#output = buffer.subarray(this.#made)
    this.#made = buffer.length
    this.#done = end
    if (engine.bytesWritten < end) return this.#beginStream(engine.bytesWritten)
    if (end > 2 * this.#made + mostUseless) {
      this.#fail("the message has too many blocks without content")
    } else if (end === this.#size) {
      this.#isPending = false
      if (this.#last) this.#end(buffer)
    }
  }

  /** A final block ended at `at`, and with it the window; more input follows. */
  #beginStream(at: number): void {
    if (++this.#streams > mostStreams) {
      this.#fail("the message has too many final blocks")
      return
    }
    this.#window.forget()
    this.#input = this.#input.slice(at, this.#size)
    this.#size -= at
    this.#done = this.#made = 0
  }

  #end(made: Buffer): void {
    const whole = Buffer.concat([this.#input.subarray(0, this.#size), ending])
    const ended = this.#tryEnd(whole, made.length)
    if (ended === undefined) {
      this.#fail("the message ends within a block")
      return
    }
    if (ended === "final") this.#window.forget()
    else this.#window.add(made)
    this.#input = nothing
    this.#size = this.#done = this.#made = this.#streams = 0
    this.#last = false
  }

  /** Whether the message, with this much output, ended with a final block or between two blocks. */
  #tryEnd(whole: Uint8Array, made: number): "final" | "between" | undefined {
    try {
      const { buffer, engine } = this.#inflate(whole, made + 1)
      if (engine.bytesWritten === this.#size) return "final"
      return engine.bytesWritten === whole.length - 1 && buffer.length === made ? "between" : undefined
    } catch {
      return undefined
    }
  }

  reset(): void {
    this.#window.forget()
  }

  close(): void {
    this.#window.forget()
    this.#output = this.#input = nothing
  }
}

const isTooMuch = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"

// zlib inflates with at least 9 bits, which fits data of a smaller window.
const leastInflateBits = 9

export const compressor = (options: PerMessageDeflate.CompressorOptions): PerMessageDeflate.Compressor =>
  new Compressor(options)

export const decompressor = ({ windowBits }: PerMessageDeflate.DecompressorOptions): PerMessageDeflate.Decompressor =>
  new Decompressor(Math.max(windowBits, leastInflateBits))

let supported: boolean | undefined

/** Whether the functions process known streams correctly, tried once. On Deno they ignore the dictionary. */
export const isSupported = (): boolean => supported ??= works({ compressor, decompressor })
