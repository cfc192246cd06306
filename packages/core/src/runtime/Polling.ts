/**
 * Checks now and then things that do not report their changes: one timer for all of them, and none while
 * there is nothing to check. It does not use the deadlines, which wait when the event loop is late.
 */
import type { Deadlines } from "./Deadlines.ts"
import { uncaught } from "./Uncaught.ts"

/** Something to check. */
export interface Polled {
  /** When to check, in the milliseconds of `Deadlines.now`. */
  readonly pollsAt: number
  /** Checks once. Add it again to check again. */
  poll(): void
}

const interval = 4

export class Polling {
  readonly #deadlines: Deadlines
  readonly #polled = new Set<Polled>()
  #isWaiting = false

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines
  }

  add(one: Polled): void {
    this.#polled.add(one)
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#deadlines.after(interval, () => this.#lookAtAll())
  }

  #lookAtAll(): void {
    const now = this.#deadlines.now()
    for (const one of this.#polled) {
      if (one.pollsAt > now) continue
      this.#polled.delete(one)
      try {
        one.poll()
      } catch (defect) {
        uncaught(defect)
      }
    }
    this.#isWaiting = this.#polled.size > 0
    if (this.#isWaiting) this.#deadlines.after(interval, () => this.#lookAtAll())
  }
}

const byDeadlines = new WeakMap<Deadlines, Polling>()

/** The one of all connections on a Clock. */
export const pollingOf = (deadlines: Deadlines): Polling => {
  let polling = byDeadlines.get(deadlines)
  if (polling === undefined) byDeadlines.set(deadlines, polling = new Polling(deadlines))
  return polling
}
