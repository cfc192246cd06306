/** Accounts for the messages of one connection in one direction: each once, and in order. */

export interface Counts {
  readonly received: number
  readonly bytes: number
  /** Known to be missing so far. */
  readonly missing: number
  readonly duplicates: number
  readonly reordered: number
  readonly corrupt: number
}

export const noCounts: Counts = { received: 0, bytes: 0, missing: 0, duplicates: 0, reordered: 0, corrupt: 0 }

export const add = (a: Counts, b: Counts): Counts => ({
  received: a.received + b.received,
  bytes: a.bytes + b.bytes,
  missing: a.missing + b.missing,
  duplicates: a.duplicates + b.duplicates,
  reordered: a.reordered + b.reordered,
  corrupt: a.corrupt + b.corrupt
})

// More are counted, not remembered: a peer that loses everything must not fill the memory.
const maxRemembered = 1000

export class Ledger {
  private next = 0
  private received = 0
  private bytes = 0
  private lost = 0
  private duplicates = 0
  private reordered = 0
  private corrupt = 0
  private readonly missing = new Set<number>()

  /** The place of the message that should come next. */
  get expected(): number {
    return this.next
  }

  /** A message without a head: it can only be the next one. */
  takeNext(size: number): void {
    this.take(this.next, size)
  }

  take(seq: number, size: number): void {
    this.received++
    this.bytes += size
    if (seq === this.next) {
      this.next++
    } else if (seq > this.next) {
      for (let absent = this.next; absent < seq; absent++) {
        if (this.missing.size < maxRemembered) this.missing.add(absent)
        else this.lost++
      }
      this.next = seq + 1
    } else if (this.missing.delete(seq)) {
      this.reordered++
    } else {
      this.duplicates++
    }
  }

  /** A message that is none of those that were sent: it stands in the place of one. */
  takeCorrupt(size: number): void {
    this.bytes += size
    this.corrupt++
    this.next++
  }

  /** The counts, where `sent` messages were sent in all. */
  counts(sent = this.next): Counts {
    return {
      received: this.received,
      bytes: this.bytes,
      missing: this.missing.size + this.lost + Math.max(0, sent - this.next),
      duplicates: this.duplicates,
      reordered: this.reordered,
      corrupt: this.corrupt
    }
  }
}
