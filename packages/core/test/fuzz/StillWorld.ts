/** Effects that run to their end at once, on a clock that moves when it is told to: an input of the fuzzer is one call. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Scheduler from "effect/Scheduler"

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

export class StillWorld {
  readonly context: Context.Context<never>
  /** What was logged as an error. */
  readonly errors: Array<string> = []
  private tasks: Array<() => void> = []
  private sleepers: Array<Sleeper> = []
  private now = 1_000_000

  constructor() {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => this.tasks.push(task),
      flush: () => this.settle()
    }
    const nanos = () => BigInt(this.now) * 1_000_000n
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: () => this.now,
      currentTimeMillis: Effect.sync(() => this.now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback((resume) => {
          const sleeper = { due: this.now + Math.ceil(Duration.toMillis(duration)), wake: () => resume(Effect.void) }
          this.sleepers.push(sleeper)
          return Effect.sync(() => {
            this.sleepers = this.sleepers.filter((one) => one !== sleeper)
          })
        })
    }
    const logger = Logger.make(({ cause, logLevel, message }) => {
      if (logLevel === "Error" || logLevel === "Fatal") this.errors.push(`${String(message)} ${String(cause)}`)
    })
    this.context = Context.make(Scheduler.Scheduler, {
      executionMode: "sync",
      shouldYield: () => false,
      makeDispatcher: () => dispatcher
    }).pipe(
      Context.add(Clock.Clock, clock),
      Context.add(Logger.CurrentLoggers, new Set([logger]))
    ) as Context.Context<never>
  }

  /** Begins an effect, and runs everything until nothing is left to do that does not wait for the clock. */
  run<A, E>(effect: Effect.Effect<A, E>): () => A {
    const fiber = Effect.runForkWith(this.context)(effect)
    this.settle()
    return () => {
      const exit = fiber.pollUnsafe()
      if (exit === undefined) throw new Error("it has not ended")
      return Effect.runSync(exit)
    }
  }

  /** Runs a task behind those that are due, as a microtask is run behind what is running. */
  readonly soon = (task: () => void): void => {
    this.tasks.push(task)
  }

  settle(): void {
    while (this.tasks.length > 0) {
      const { tasks } = this
      this.tasks = []
      for (const task of tasks) task()
    }
  }

  pass(millis: number): void {
    const until = this.now + millis
    while (true) {
      const next = this.sleepers.toSorted((a, b) => a.due - b.due)[0]
      if (next === undefined || next.due > until) break
      this.now = Math.max(this.now, next.due)
      this.sleepers = this.sleepers.filter((one) => one !== next)
      next.wake()
      this.settle()
    }
    this.now = until
  }
}
