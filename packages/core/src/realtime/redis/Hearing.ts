/**
 * What a process knows of a shard, and whether it has heard everything. Redis says nothing when messages are lost, so each message
 * has a number, and so has each answer: the last one that was told.
 */
import { eraOf } from "./Names.ts"

/**
 * `"missed"`: something was told that was not heard. `"lost"`: Redis told anew what it had told, so it lost data and did
 * not notice.
 */
export type Verdict = "complete" | "missed" | "lost"

export class Hearing {
  /** The most that is known, which scripts compare with what Redis has. */
  knownEpoch = ""
  knownSeq = 0
  // Of what is heard: undefined before anything is.
  private epoch: string | undefined
  private last: number | undefined
  // Everything up to here was heard, told before there was a subscription, or reported as missed.
  private settled = 0
  private due: { readonly epoch: string; readonly seq: number } | undefined

  /** A subscription begins, again: nothing is known of what it hears. */
  restart(): void {
    this.epoch = this.last = this.due = undefined
  }

  private know(epoch: string, seq: number): void {
    if (epoch === this.knownEpoch) this.knownSeq = Math.max(this.knownSeq, seq)
    else if (eraOf(epoch) >= eraOf(this.knownEpoch)) {
      this.knownEpoch = epoch
      this.knownSeq = seq
    }
  }

  /** An answer of Redis told where the shard is. */
  answered(epoch: string, seq: number): Verdict {
    this.know(epoch, seq)
    if (this.epoch === epoch || (this.epoch !== undefined && eraOf(epoch) < eraOf(this.epoch))) return "complete"
    const verdict = this.epoch === undefined ? "complete" : "missed"
    this.epoch = epoch
    this.last = undefined
    this.settled = seq
    return verdict
  }

  /** The same, where messages that were told by the last such answer must have arrived by now. */
  compared(epoch: string, seq: number): Verdict {
    const { due } = this
    const verdict = this.answered(epoch, seq)
    this.due = { epoch, seq }
    if (due === undefined || due.epoch !== this.epoch || due.seq <= this.settled) return verdict
    this.settled = due.seq
    return "missed"
  }

  /** A message was heard. */
  heard(epoch: string, seq: number): Verdict {
    if (this.epoch !== undefined && eraOf(epoch) < eraOf(this.epoch)) return "lost"
    if (this.epoch !== epoch) {
      const verdict = this.epoch === undefined ? "complete" : "missed"
      this.know(epoch, seq)
      this.epoch = epoch
      this.last = this.settled = seq
      return verdict
    }
    if (this.last !== undefined && seq <= this.last) return "lost"
    this.know(epoch, seq)
    const verdict = seq > this.settled + 1 ? "missed" : "complete"
    this.last = seq
    this.settled = Math.max(this.settled, seq)
    return verdict
  }
}
