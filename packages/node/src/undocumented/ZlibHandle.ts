/**
 * The handle of a zlib stream, which works synchronously and keeps its window from one message to the next. Node
 * documents synchronous zlib for whole buffers only, and streams only as asynchronous: a message then costs a turn
 * through the thread pool, several times the work itself. Measured against a new context for each message, which is
 * documented (`deflate/MessageCodec.ts`): about 100 µs less for each.
 *
 * The `minizlib` package does the same one level higher, through `_processChunk`, which is not documented either: in
 * the same time, with 12 KiB more memory for each context at first and 60 to 80 KiB more after 128 KiB of traffic. It
 * cannot bound the output of a step, only the input, and it replaces `Buffer.concat` while it works.
 */
import * as Zlib from "node:zlib"

/** Its arguments must be correct: they are not checked. */
interface Handle {
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

interface Internals {
  readonly _handle: Handle
  readonly _writeState: Uint32Array
}

// The stream around a handle is never used, so its buffer is as small as possible.
const chunkSize = 64

/** A context of zlib. */
export class ZlibHandle {
  /** Why the last step failed. */
  failure: string | undefined = undefined
  private readonly handle: Handle
  private readonly state: Uint32Array

  constructor(stream: Zlib.DeflateRaw | Zlib.InflateRaw) {
    const { _handle, _writeState } = stream as unknown as Internals
    this.handle = _handle
    this.state = _writeState
    Object.assign(_handle, {
      onerror: (message: string) => {
        this.failure = message
      }
    })
  }

  /** Runs until the input is used up, the output is full, or a stream or (with Z_BLOCK) a block has ended. */
  step(flush: number, input: Uint8Array, at: number, length: number, output: Uint8Array, to: number, room: number): void {
    this.handle.writeSync(flush, input, at, length, output, to, room)
  }

  /** How much room the last step left in its output. */
  get room(): number {
    return this.state[0]!
  }

  /** How much of its input the last step left. */
  get rest(): number {
    return this.state[1]!
  }

  reset(): void {
    this.handle.reset()
  }

  close(): void {
    this.handle.close()
  }
}

export const deflate = (options: Omit<Zlib.ZlibOptions, "chunkSize">): ZlibHandle =>
  new ZlibHandle(Zlib.createDeflateRaw({ ...options, chunkSize }))

export const inflate = (windowBits: number): ZlibHandle =>
  new ZlibHandle(Zlib.createInflateRaw({ windowBits, chunkSize }))
