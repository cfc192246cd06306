/**
 * A pull whose waiting reader can be failed from outside, which a `Socket` promises when the scope of
 * its reader closes. The pull runs in a fiber of its own while it waits; messages that are there
 * already are returned without one.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Runs an effect at once, until it waits. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

export class FailablePull<A, E> {
  readonly pull: Effect.Effect<A, E>
  private failure: Effect.Effect<never, E> | undefined
  private waiting: (() => void) | undefined

  constructor(pull: Effect.Effect<A, E>, fork: Fork) {
    this.pull = Effect.callback((resume) => {
      if (this.failure !== undefined) return resume(this.failure)
      const fiber = fork(pull)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return resume(exit)
      const fail = this.waiting = () => {
        resume(this.failure!)
        fiber.interruptUnsafe()
      }
      const forget = () => {
        if (this.waiting === fail) this.waiting = undefined
      }
      fiber.addObserver((exit) => {
        forget()
        resume(exit)
      })
      return Effect.suspend(() => {
        forget()
        return Fiber.interrupt(fiber)
      })
    })
  }

  /** Fails the waiting pull and all later ones. */
  fail(failure: Effect.Effect<never, E>): void {
    this.failure ??= failure
    this.waiting?.()
  }
}
