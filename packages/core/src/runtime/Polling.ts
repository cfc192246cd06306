/**
 * Looks now and then at what tells nobody when it changes: one timer for all that is looked at,
 * and none while there is nothing. Not by the deadlines, which wait where the event loop is late.
 */
import type { Deadlines } from "./Deadlines.ts"
import { uncaught } from "./Uncaught.ts"

/** Something to look at. */
export interface Polled {
  /** When to look, in the milliseconds of `Deadlines.now`. */
  readonly pollsAt: number
  /** Looks once. It is added again where it is to be looked at again. */
  poll(): void
}

const interval = 4

export class Polling {
  private readonly deadlines: Deadlines
  private readonly polled = new Set<Polled>()
  private isWaiting = false

  constructor(deadlines: Deadlines) {
    this.deadlines = deadlines
  }

  add(one: Polled): void {
    this.polled.add(one)
    if (this.isWaiting) return
    this.isWaiting = true
    this.deadlines.after(interval, () => this.lookAtAll())
  }

  private lookAtAll(): void {
    const now = this.deadlines.now()
    for (const one of this.polled) {
      if (one.pollsAt > now) continue
      this.polled.delete(one)
      try {
        one.poll()
      } catch (defect) {
        uncaught(defect)
      }
    }
    this.isWaiting = this.polled.size > 0
    if (this.isWaiting) this.deadlines.after(interval, () => this.lookAtAll())
  }
}

const byDeadlines = new WeakMap<Deadlines, Polling>()

/** The one of all connections on a Clock. */
export const pollingOf = (deadlines: Deadlines): Polling => {
  let polling = byDeadlines.get(deadlines)
  if (polling === undefined) byDeadlines.set(deadlines, polling = new Polling(deadlines))
  return polling
}
