/** The order in which requests are done. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** The requests about one topic are done in their order, those about several side by side. */
export class Turns {
  private last: Map<string, Deferred.Deferred<void>> | undefined

  /** `run` may end its turn before it ends itself. */
  take(topic: string, run: (endTurn: () => void) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const last = this.last ??= new Map()
      const before = last.get(topic)
      const turn = Deferred.makeUnsafe<void>()
      last.set(topic, turn)
      const endTurn = () => {
        if (last.get(topic) === turn) last.delete(topic)
        Deferred.doneUnsafe(turn, Effect.void)
      }
      const running = Effect.suspend(() => run(endTurn))
      return Effect.ensuring(
        before === undefined ? running : Effect.andThen(Deferred.await(before), running),
        Effect.sync(endTurn)
      )
    })
  }
}

/** How many values a connection may send, evenly over time. What is above it waits, so that its order stays. */
export class Pace {
  private readonly most: number
  private readonly perMilli: number
  private tokens: number
  private seenAt: number

  constructor({ count, interval }: { readonly count: number; readonly interval: number }, now: number) {
    this.most = count
    this.perMilli = count / interval
    this.tokens = count
    this.seenAt = now
  }

  /** How many milliseconds the next one has to wait. */
  next(now: number): number {
    this.tokens = Math.min(this.most, this.tokens + (now - this.seenAt) * this.perMilli) - 1
    this.seenAt = now
    return this.tokens >= 0 ? 0 : -this.tokens / this.perMilli
  }
}
