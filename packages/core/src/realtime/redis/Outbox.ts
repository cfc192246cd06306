/**
 * What a process wants done in a shard, in order: one call is under way at a time and carries what has come together in the meantime. Several at
 * once could change places, where a script has to be loaded again.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Alarm, type Deadlines } from "../../runtime/Deadlines.ts"
import { CallFailed } from "./Calls.ts"

/** How much one call carries: operations, and characters. */
const mostOperations = 128
const mostCharacters = 256 * 1024

/** How much waits, before more is refused. */
const mostWaiting = 20_000
const mostWaitingCharacters = 64 * 1024 * 1024

/** What is to be done: keys and arguments for the script, and how many strings it answers. */
export interface Operation {
  readonly keys: ReadonlyArray<string>
  readonly args: ReadonlyArray<string>
  readonly answers: number
}

type Answer = Exit.Exit<ReadonlyArray<string>, CallFailed>

class Waiting extends Alarm {
  readonly operation: Operation
  readonly size: number
  isSent = false
  /** Unset once it is answered. */
  settle: ((answer: Answer) => void) | undefined
  private readonly timeout: number

  constructor(operation: Operation, timeout: number, settle: (answer: Answer) => void) {
    super()
    this.operation = operation
    this.size = operation.args.reduce((sum, arg) => sum + arg.length, 0)
    this.timeout = timeout
    this.settle = settle
  }

  override onAlarm(): void {
    this.settle?.(Exit.fail(
      new CallFailed(
        this.isSent ? "unknown" : "no",
        new Error(`Redis has not ${this.isSent ? "answered" : "taken it"} within ${this.timeout} ms`)
      )
    ))
  }
}

export interface Settings {
  readonly call: (keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, CallFailed>
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly deadlines: Deadlines
  readonly timeout: number
}

export class Outbox {
  private readonly settings: Settings
  private waiting: Array<Waiting> = []
  private characters = 0
  private isFlushing = false
  private isClosed = false

  constructor(settings: Settings) {
    this.settings = settings
  }

  /** Has it done, after everything that was submitted before. */
  submit(operation: Operation): Effect.Effect<ReadonlyArray<string>, CallFailed> {
    return Effect.callback((resume) => {
      if (this.isClosed) return resume(refused("The broker's scope has ended"))
      if (this.waiting.length >= mostWaiting || this.characters >= mostWaitingCharacters) {
        return resume(refused("Too much waits for Redis already"))
      }
      const { deadlines, timeout } = this.settings
      const waiting = new Waiting(operation, timeout, (answer) => {
        waiting.settle = undefined
        deadlines.set(waiting, Infinity)
        resume(answer)
      })
      deadlines.set(waiting, deadlines.now() + timeout)
      this.waiting.push(waiting)
      this.characters += waiting.size
      this.start()
      // What was not sent yet is not sent.
      return Effect.sync(() => {
        waiting.settle = undefined
        deadlines.set(waiting, Infinity)
      })
    })
  }

  /** Nothing is sent any more. */
  close(): void {
    this.isClosed = true
    for (const waiting of this.waiting) waiting.settle?.(Exit.fail(new CallFailed("no", new Error("The broker's scope has ended"))))
    this.waiting = []
  }

  private start(): void {
    if (this.isFlushing) return
    this.isFlushing = true
    // What is submitted in the same turn goes along.
    this.settings.fork(Effect.andThen(Effect.yieldNow, this.flush))
  }

  private readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    const batch = this.take()
    if (batch.length === 0) {
      this.isFlushing = false
      return Effect.void
    }
    const keys: Array<string> = []
    const args: Array<string> = []
    for (const waiting of batch) {
      waiting.isSent = true
      for (const key of waiting.operation.keys) keys.push(key)
      for (const arg of waiting.operation.args) args.push(arg)
    }
    return Effect.flatMap(Effect.exit(this.settings.call(keys, args)), (exit) => {
      this.answer(batch, exit)
      return this.flush
    })
  })

  private take(): ReadonlyArray<Waiting> {
    const batch: Array<Waiting> = []
    let size = 0
    let taken = 0
    for (const waiting of this.waiting) {
      if (batch.length >= mostOperations || (batch.length > 0 && size + waiting.size > mostCharacters)) break
      taken++
      this.characters -= waiting.size
      if (waiting.settle === undefined) continue
      batch.push(waiting)
      size += waiting.size
    }
    this.waiting = this.waiting.slice(taken)
    return batch
  }

  private answer(batch: ReadonlyArray<Waiting>, exit: Answer): void {
    if (Exit.isFailure(exit)) {
      for (const waiting of batch) waiting.settle?.(exit)
      return
    }
    // Behind epoch and `seq`.
    let from = 2
    for (const waiting of batch) {
      const until = from + waiting.operation.answers
      waiting.settle?.(
        until > exit.value.length
          ? Exit.fail(new CallFailed("unknown", new Error("Redis answered too little")))
          : Exit.succeed(exit.value.slice(from, until))
      )
      from = until
    }
  }
}

const refused = (why: string) => Effect.fail(new CallFailed("no", new Error(why)))
