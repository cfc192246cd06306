/**
 * What one side of a link has sent and the other has not received yet: pieces of bytes and
 * possibly an end of stream, each with the moment from which it may arrive.
 */
import type { Choose } from "./Choose.ts"

/** The end of the stream. */
const end = Symbol("end of stream")

interface Item {
  readonly what: Uint8Array<ArrayBuffer> | typeof end
  readonly due: number
}

/** Something that happens once a number of bytes has arrived. */
export interface Mark {
  readonly after: number
  readonly happen: () => void
}

export interface WireOptions {
  readonly capacity: number
  readonly chop: { readonly min: number; readonly max: number } | undefined
  readonly delay: { readonly min: number; readonly max: number }
}

export class Wire {
  sent = 0
  delivered = 0
  mostInFlight = 0
  /** Nothing arrives for now. */
  stalled = false
  /** Nothing arrives any more, and no error is reported. */
  lost = false
  /** An end of stream was sent, by this side or by a fault: what follows is dropped. */
  ended = false
  /** The sender was told to wait until there is room. */
  blocked = false

  // Bytes that were sent and have not arrived.
  private inFlight = 0
  private readonly items: Array<Item> = []
  private readonly options: WireOptions
  private readonly choose: Choose
  private readonly marks: Array<Mark>
  private lastDue = 0

  constructor(options: WireOptions, choose: Choose, marks: ReadonlyArray<Mark>) {
    this.options = options
    this.choose = choose
    this.marks = marks.toSorted((a, b) => a.after - b.after)
  }

  get hasRoom(): boolean {
    return this.inFlight <= this.options.capacity
  }

  /** How many bytes of the last write are not taken. */
  get pendingBytes(): number {
    return Math.max(0, this.inFlight - this.options.capacity)
  }

  /** When the next item may arrive; `Infinity` where there is none. */
  get nextDue(): number {
    return this.lost || this.stalled || this.items.length === 0 ? Infinity : this.items[0].due
  }

  /** Whether anything is under way. */
  get isEmpty(): boolean {
    return this.items.length === 0
  }

  write(chunks: ReadonlyArray<Uint8Array>, now: number): void {
    for (const chunk of chunks) {
      this.sent += chunk.length
      // Dropped bytes count as taken; lost ones stay in the sender's buffer.
      if (!this.ended) this.inFlight += chunk.length
      if (this.ended || this.lost) continue
      const { chop } = this.options
      for (let at = 0; at < chunk.length;) {
        const size = chop === undefined ? chunk.length : this.choose.between(chop.min, chop.max)
        // A copy: the sender may use its buffer again.
        this.items.push({ what: new Uint8Array(chunk.subarray(at, at + size)), due: this.dueFrom(now) })
        at += size
      }
    }
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
  }

  end(now: number): void {
    if (this.ended) return
    this.ended = true
    if (!this.lost) this.items.push({ what: end, due: this.dueFrom(now) })
  }

  /** Drops what is under way. */
  forget(): void {
    this.items.length = 0
    this.inFlight = 0
  }

  /** The same, but the sender is not told that it was taken either. */
  lose(): void {
    this.lost = true
    this.items.length = 0
  }

  /** Runs the marks that have been reached. */
  passMarks(): void {
    while (this.marks.length > 0 && this.marks[0].after <= this.delivered) this.marks.shift()!.happen()
  }

  /** What arrives next. Pieces of a chopped stream are sometimes joined, because a stream has no borders. */
  take(now: number): Uint8Array<ArrayBuffer> | "end" {
    const first = this.items.shift()!
    if (first.what === end) return "end"
    let bytes = first.what
    while (
      this.options.chop !== undefined && this.items.length > 0 && this.items[0].due <= now &&
      this.items[0].what !== end && this.choose.below(3) === 0
    ) {
      const more = this.items.shift()!.what as Uint8Array
      const joined = new Uint8Array(bytes.length + more.length)
      joined.set(bytes)
      joined.set(more, bytes.length)
      bytes = joined
    }
    // Exact to the byte: what follows a mark arrives separately, if at all.
    const until = this.marks.length === 0 ? Infinity : this.marks[0].after - this.delivered
    if (bytes.length > until) {
      this.items.unshift({ what: bytes.slice(until), due: first.due })
      bytes = bytes.slice(0, until)
    }
    this.delivered += bytes.length
    this.inFlight -= bytes.length
    return bytes
  }

  // In order, whatever the delays.
  private dueFrom(now: number): number {
    const { max, min } = this.options.delay
    this.lastDue = Math.max(this.lastDue, now + this.choose.between(min, max))
    return this.lastDue
  }
}
