/**
 * What a process knows of a shard, and whether it has heard everything. Redis says nothing when messages are lost, so each message
 * has a number, and so has each answer: the last one that was told.
 */
import { eraOf } from "./Names.ts"

/** A message that is known to be a part of everything that was told before it and is known, by its number and its mark. */
export interface Proof {
  readonly seq: number
  readonly mark: string
}

const nothing: Proof = { seq: 0, mark: "" }

/**
 * `"missed"`: something was told that was not heard. `"lost"`: Redis told anew what it had told, so it lost data and did
 * not notice.
 */
export type Verdict = "complete" | "missed" | "lost"

export class Hearing {
  /** The most that is known, which scripts compare with what Redis has. */
  knownEpoch = ""
  knownSeq = 0
  /**
   * Scripts compare it too. It goes forward along messages that follow each other, and by answers of scripts that compared it: a jump
   * could lead from what Redis lost to what it told in its place.
   */
  proof = nothing
  // Whether something was heard that does not follow, which the next answer clears up.
  private isDoubtful = false
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

  private know(epoch: string, seq: number, mark: string): void {
    if (epoch === this.knownEpoch) this.knownSeq = Math.max(this.knownSeq, seq)
    else if (eraOf(epoch) >= eraOf(this.knownEpoch)) {
      this.knownEpoch = epoch
      this.knownSeq = seq
      this.prove(seq, mark)
    }
  }

  private prove(seq: number, mark: string): void {
    this.proof = { seq, mark }
    this.isDoubtful = false
  }

  /** Whether a message follows what there is proof of, or is older. */
  private follows(seq: number, mark: string, before: string | undefined): boolean {
    const { proof } = this
    if (seq <= proof.seq) return true
    if (mark !== proof.mark && (before !== proof.mark || seq !== proof.seq + 1)) return false
    this.prove(seq, mark)
    return true
  }

  /** An answer of Redis told where the shard is. The script was given `compared`. */
  answered(epoch: string, seq: number, mark: string, compared: Proof): Verdict {
    // Where proof has gone forward since, the script did not compare that.
    if (epoch === this.knownEpoch && compared === this.proof) this.prove(seq, mark)
    this.know(epoch, seq, mark)
    return this.stands(epoch, seq)
  }

  private stands(epoch: string, seq: number): Verdict {
    if (this.epoch === epoch || (this.epoch !== undefined && eraOf(epoch) < eraOf(this.epoch))) return "complete"
    const verdict = this.epoch === undefined ? "complete" : "missed"
    this.epoch = epoch
    this.last = undefined
    this.settled = seq
    return verdict
  }

  /** An answer told this much, and the last time that this was said, it told what must have arrived by now. */
  compared(epoch: string, seq: number): Verdict {
    const { due } = this
    const verdict = this.stands(epoch, seq)
    this.due = { epoch, seq }
    if (due === undefined || due.epoch !== this.epoch || due.seq <= this.settled) return verdict
    this.settled = due.seq
    return "missed"
  }

  /** A message was heard. */
  heard(epoch: string, seq: number, mark: string, before?: string): Verdict {
    if (this.epoch !== undefined && eraOf(epoch) < eraOf(this.epoch)) return "lost"
    if (this.epoch !== epoch) {
      const verdict = this.epoch === undefined ? "complete" : "missed"
      this.know(epoch, seq, mark)
      this.epoch = epoch
      this.last = this.settled = seq
      return verdict
    }
    if (this.last !== undefined && seq <= this.last) return "lost"
    this.know(epoch, seq, mark)
    const isDoubted = !this.follows(seq, mark, before) && !this.isDoubtful
    if (isDoubted) this.isDoubtful = true
    const verdict = isDoubted || seq > this.settled + 1 ? "missed" : "complete"
    this.last = seq
    this.settled = Math.max(this.settled, seq)
    return verdict
  }
}
