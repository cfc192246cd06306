/** How a connection reports to the budget of all connections what it holds. */
import { type Budget, type Holder, pageSize, unlimited } from "../memory/MemoryBudget.ts"
import { Alarm, type Deadlines } from "../runtime/Deadlines.ts"

let opened = 0

export abstract class HeldMemory extends Alarm implements Holder {
  /** The budget of all connections; set before the first byte. */
  budget: Budget = unlimited
  /** The pages that the budget has counted. */
  accounted = 0
  readonly serial: number = opened++
  /** Bytes of messages that were accepted and not encoded; see {@link keep}. */
  keptBack = 0

  abstract readonly deadlines: Deadlines
  abstract readonly isOpen: boolean
  abstract regulate(): void
  abstract shed(): void

  /** Bytes that this connection holds now, without messages that are kept back; 0 after its end. */
  protected abstract readonly heldBytes: number

  /** Changes the bytes of messages that are kept back. */
  keep(bytes: number): void {
    this.keptBack += bytes
  }

  /** Reports to the budget if what is held has changed by a page. */
  account(): void {
    const pages = Math.floor((this.heldBytes + this.keptBack) / pageSize)
    if (pages !== this.accounted) this.budget.change(this, pages)
  }

  /** Whether the budget is exhausted. It then calls `regulate` once it is not. */
  protected heldBack(): boolean {
    if (!this.budget.isExhausted) return false
    this.budget.pause(this)
    return true
  }

  /** Holds nothing any more. */
  protected leaveBudget(): void {
    this.keptBack = 0
    this.budget.leave(this)
  }
}
