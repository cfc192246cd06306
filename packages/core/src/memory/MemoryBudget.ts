/**
 * A bound on the bytes that all connections of a process hold: above it no connection reads,
 * and where that does not help, connections are closed until there is room.
 *
 * A connection reports at the edges of a batch when what it holds has changed by a page, so
 * the cost of a message does not depend on the budget. The effects of a change happen in a
 * later turn of the event loop, because the connection that reports it is busy.
 */
import { Alarm, type Deadlines } from "../runtime/Deadlines.ts"

/** What a budget needs of a connection. */
export interface Holder {
  readonly deadlines: Deadlines
  /** Bytes that this connection holds now; 0 after its end. */
  readonly heldBytes: number
  /** The pages that the budget has counted; only the budget sets them. */
  accounted: number
  /** Later connections have greater ones. */
  readonly serial: number
  readonly isOpen: boolean
  /** Resumes or pauses reading, as the budget says now. */
  readonly regulate: () => void
  /** Closes, to make room. */
  readonly shed: () => void
}

/** A budget as a connection sees it. */
export interface Budget {
  /** Whether reading is paused. */
  readonly isExhausted: boolean
  /** Notes what a holder holds now. */
  account(holder: Holder): void
  /** Whether a holder may not read now. It is called when it may. */
  holdsBack(holder: Holder): boolean
  /** A holder is released. */
  leave(holder: Holder): void
}

/** Which connection to close first: the one that holds most, or the one that was opened last. */
export type Shed = "largest" | "newest"

// Bytes for each step of an account.
const pageSize = 4096

// Reading resumes once no more than this share of the budget is taken, so that it does not pause and
// resume with every message.
const relief = 7 / 8

// Above this share pausing was too late: connections are closed at once.
const excess = 5 / 4

export class MemoryBudget implements Budget {
  /** The most bytes before reading pauses. */
  readonly maxBytes: number
  /** Whether reading is paused. */
  isExhausted = false
  /** Connections that were closed to make room. */
  shed = 0
  private readonly grace: number
  private readonly order: Shed
  private pages = 0
  private readonly holders = new Set<Holder>()
  private readonly paused = new Set<Holder>()
  private alarm: { readonly alarm: ShedAlarm; readonly deadlines: Deadlines } | undefined
  private scheduled: "nothing" | "regulate" | "shed" = "nothing"

  constructor(maxBytes: number, grace: number, order: Shed) {
    this.maxBytes = maxBytes
    this.grace = grace
    this.order = order
  }

  /** Bytes that connections hold, each counted in whole pages. */
  get bytes(): number {
    return this.pages * pageSize
  }

  /** Notes what a holder holds now, if that has changed by a page. */
  account(holder: Holder): void {
    const pages = Math.floor(holder.heldBytes / pageSize)
    if (pages !== holder.accounted) this.change(holder, pages)
  }

  private change(holder: Holder, pages: number): void {
    this.pages += pages - holder.accounted
    holder.accounted = pages
    if (pages === 0) this.holders.delete(holder)
    else this.holders.add(holder)
    const { bytes, maxBytes } = this
    if (this.isExhausted) {
      if (bytes <= maxBytes * relief) this.relieve(holder.deadlines)
      else if (bytes >= maxBytes * excess) this.schedule("shed", holder.deadlines)
    } else if (bytes >= maxBytes) {
      this.isExhausted = true
      this.schedule(bytes >= maxBytes * excess ? "shed" : "regulate", holder.deadlines)
      this.setAlarm(holder.deadlines)
    }
  }

  /** Whether a holder may not read now. It is called when it may. */
  holdsBack(holder: Holder): boolean {
    if (this.isExhausted) this.paused.add(holder)
    return this.isExhausted
  }

  /** A holder is released. */
  leave(holder: Holder): void {
    this.paused.delete(holder)
    if (holder.accounted > 0) this.change(holder, 0)
  }

  private relieve(deadlines: Deadlines): void {
    this.isExhausted = false
    this.setAlarm(undefined)
    this.schedule("regulate", deadlines)
  }

  private schedule(what: "regulate" | "shed", deadlines: Deadlines): void {
    const isScheduled = this.scheduled !== "nothing"
    this.scheduled = what
    if (!isScheduled) deadlines.nextTurn(this.run)
  }

  private readonly run = (): void => {
    const { scheduled } = this
    this.scheduled = "nothing"
    if (scheduled === "shed" && this.isExhausted) this.makeRoom()
    const concerned = this.isExhausted ? [...this.holders] : [...this.paused]
    if (!this.isExhausted) this.paused.clear()
    for (const holder of concerned) holder.regulate()
  }

  /** Closes connections until there is room without what they hold. */
  makeRoom(): void {
    const open: Array<Holder> = []
    let pages = 0
    for (const holder of this.holders) {
      // A closing connection gives back what it holds, at its close deadline at the latest.
      if (!holder.isOpen) continue
      open.push(holder)
      pages += holder.accounted
    }
    open.sort(this.order === "largest" ? (a, b) => b.accounted - a.accounted : (a, b) => b.serial - a.serial)
    for (const holder of open) {
      if (pages * pageSize <= this.maxBytes * relief) break
      pages -= holder.accounted
      this.shed++
      holder.shed()
    }
  }

  private setAlarm(deadlines: Deadlines | undefined): void {
    this.alarm?.deadlines.set(this.alarm.alarm, Infinity)
    this.alarm = undefined
    if (deadlines === undefined) return
    const alarm = new ShedAlarm(() => {
      this.alarm = undefined
      if (!this.isExhausted) return
      this.setAlarm(deadlines)
      this.makeRoom()
    })
    this.alarm = { alarm, deadlines }
    deadlines.set(alarm, deadlines.now() + this.grace)
  }
}

// Each clock has its deadlines, and a budget may serve connections on several.
class ShedAlarm extends Alarm {
  readonly onAlarm: () => void

  constructor(onAlarm: () => void) {
    super()
    this.onAlarm = onAlarm
  }
}
