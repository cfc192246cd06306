/** Lets waiters take turns: in the order they came, and at little cost, since there are thousands. */
import * as Effect from "effect/Effect"

interface Waiting {
  readonly amount: number
  readonly grant: () => void
}

/** So much may be taken at once; a wish for more than there is waits until everything was given back. */
export class Room {
  private readonly size: number
  private readonly waiting = new Set<Waiting>()
  private taken = 0

  constructor(size: number) {
    this.size = size
  }

  /** Waits for room; `onTaken` is called at once when there is, so that an interrupted fiber knows what it has to give back. */
  take(amount: number, onTaken: () => void = () => {}): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const one: Waiting = {
        amount,
        grant: () => {
          this.taken += amount
          onTaken()
          resume(Effect.void)
        }
      }
      if (this.waiting.size === 0 && this.fits(amount)) {
        one.grant()
        return
      }
      this.waiting.add(one)
      return Effect.sync(() => {
        // The next ones may fit.
        if (this.waiting.delete(one)) this.admit()
      })
    })
  }

  private fits(amount: number): boolean {
    return this.taken === 0 || this.taken + amount <= this.size
  }

  give(amount: number): void {
    this.taken -= amount
    this.admit()
  }

  private admit(): void {
    for (const one of this.waiting) {
      if (!this.fits(one.amount)) return
      this.waiting.delete(one)
      one.grant()
    }
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
