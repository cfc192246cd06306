/**
 * Runs an extension's decoder on the bytes that a peer sends, bounded by the turn of the event
 * loop and by what the reader takes, so that a few bytes on the wire cannot become many in
 * memory, nor hold up other connections.
 */
import type { DecodeFailure, Decoder, Transform } from "../MessageExtension.ts"

/**
 * Why reading stops before the end of a chunk: the reader must decide what to do with a
 * message above the limit; the reader must take what waits first; or an extension has worked
 * long enough and continues in the next turn of the event loop.
 */
export type Stop = "undecided" | "full" | "turn"

/** Where the decoded bytes go. */
export interface DecodedSink {
  /** The reader must take what waits first. */
  isFull(): boolean
  /** Takes bytes, which belong to it from now on. `false`: the reader must decide about them first. */
  put(bytes: Uint8Array): boolean
  /** The peer's bytes could not be decoded. */
  onFailure(detail: string): void
  /** Whether nothing more is wanted. */
  isOver(): boolean
}

// How much one turn of the event loop may cost: a millisecond or two, 5 at worst.
const turnBudget = 256 * 1024

// A step costs time even without output, and so does input: the slowest DEFLATE consists of empty
// blocks.
const stepCharge = 1024
const inputCharge = 4

// The most bytes that are pushed into a decoder at once.
const maxInput = 16 * 1024

const nothing = new Uint8Array(0)

export class ExtensionDecoding {
  /** The reserved bits that the extension claimed. */
  readonly rsv: number
  /** The current message is being decoded; this much of it came out. */
  inMessage = false
  produced = 0
  /** The decoder has not processed everything that was pushed. */
  isBusy = false
  /** All bytes that were ever pushed into the decoder, and that came out of it. */
  inputBytes = 0
  outputBytes = 0

  private readonly decoder: Decoder
  private readonly sink: DecodedSink
  // Output that waits for the reader.
  private held: Uint8Array | undefined
  private budget = turnBudget
  // Input that is not pushed yet, from `at` on. `last`: it ends the message.
  private input: Uint8Array = nothing
  private at = 0
  private last = false
  private hasInput = false
  // The decoder has the input before `at` and has not processed all of it.
  private given = false

  constructor(transform: Pick<Transform, "decoder" | "rsv">, sink: DecodedSink) {
    this.rsv = transform.rsv
    this.decoder = transform.decoder
    this.sink = sink
  }

  /** Another turn of the event loop has begun. */
  beginTurn(): void {
    this.budget = turnBudget
  }

  /** A message begins whose first frame has these of the claimed bits. */
  begin(rsv: number): void {
    this.inMessage = true
    const failure = guarded(() => this.decoder.begin(rsv))
    if (failure !== undefined) this.sink.onFailure(failure.detail)
  }

  /** The message has ended. */
  end(): void {
    this.inMessage = false
    this.produced = 0
  }

  /** Decodes payload, which must not change while the decoder is busy. */
  push(bytes: Uint8Array, last: boolean): Stop | undefined {
    this.input = bytes
    this.at = 0
    this.last = last
    this.hasInput = true
    return this.goOn()
  }

  /** Continues, and returns why it stopped if the work is not done. */
  goOn(): Stop | undefined {
    const pause = this.work()
    this.isBusy = pause !== undefined
    if (pause === undefined) this.input = nothing
    return pause
  }

  /** Drops the rest, which nothing wants any more. */
  drop(): void {
    this.held = undefined
    this.input = nothing
    this.isBusy = false
  }

  private work(): Stop | undefined {
    const { sink } = this
    for (;;) {
      let bytes = this.held
      if (bytes === undefined) {
        if (sink.isFull()) return "full"
        if (this.budget <= 0) return "turn"
        const next = this.next()
        if (next === undefined) return undefined
        if (!(next instanceof Uint8Array)) {
          sink.onFailure(next.detail)
          return undefined
        }
        this.outputBytes += next.length
        this.budget -= Math.max(next.length, stepCharge)
        bytes = next
      }
      this.held = undefined
      if (!sink.put(bytes)) {
        this.held = bytes
        return "undecided"
      }
      if (sink.isOver()) return undefined
    }
  }

  /** The output of the next step; `undefined` once everything is decoded. */
  private next(): Uint8Array | DecodeFailure | undefined {
    for (;;) {
      if (this.given) {
        const next = guarded(() => this.decoder.next())
        if (next !== undefined) return next
        this.given = false
        // A step without output has cost time too.
        if (this.hasInput && this.budget <= 0) return nothing
      }
      if (!this.hasInput) return undefined
      const { at, input } = this
      const end = Math.min(at + maxInput, input.length)
      const isLast = end === input.length
      this.at = end
      this.hasInput = !isLast
      this.given = true
      this.inputBytes += end - at
      this.budget -= (end - at) * inputCharge
      const part = at === 0 && isLast ? input : input.subarray(at, end)
      const failure = guarded(() => this.decoder.push(part, this.last && isLast))
      if (failure !== undefined) return failure
    }
  }
}

// Extensions are written by users, and the transport calls this: an exception would end the process
// because of bytes that a peer chose.
const guarded = <A>(call: () => A): A | DecodeFailure => {
  try {
    return call()
  } catch (error) {
    return { detail: `the extension failed: ${String(error)}` }
  }
}
