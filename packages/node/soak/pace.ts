/** Lets waiters take turns: in the order they came, and at little cost, since there are thousands. */
import * as Effect from "effect/Effect"

/** So much may be taken at once; a wish for more than there is waits until everything was given back. */
export class Room {
  private readonly size: number
  private readonly waiting: Array<{ readonly amount: number; readonly resume: () => void }> = []
  private next = 0
  private taken = 0

  constructor(size: number) {
    this.size = size
  }

  take(amount: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.next === this.waiting.length && this.fits(amount)) {
        this.taken += amount
        resume(Effect.void)
      } else {
        this.waiting.push({ amount, resume: () => resume(Effect.void) })
      }
    })
  }

  private fits(amount: number): boolean {
    return this.taken === 0 || this.taken + amount <= this.size
  }

  give(amount: number): void {
    this.taken -= amount
    for (let first = this.waiting[this.next]; first !== undefined && this.fits(first.amount); first = this.waiting[this.next]) {
      this.next++
      this.taken += first.amount
      first.resume()
    }
    if (this.next === this.waiting.length) this.waiting.length = this.next = 0
  }
}

/** Spreads what is sent over time: by messages or by bytes, whichever takes longer. */
export const makePace = (rate: number, bytesPerSecond: number): (messages: number, bytes: number) => Effect.Effect<void> => {
  let at = 0
  return (messages, bytes) =>
    Effect.suspend(() => {
      const now = performance.now()
      at = Math.max(at, now) + 1000 * Math.max(messages / rate, bytes / bytesPerSecond)
      return at - now > 1 ? Effect.sleep(at - now) : Effect.void
    })
}
