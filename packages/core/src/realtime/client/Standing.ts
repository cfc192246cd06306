/** Something that is asked for on each connection, for as long as it is wanted. */
import type { Answered, Asked, Calls } from "./Calls.ts"
import { Refused, refusedBy, Retries } from "./Errors.ts"

// What a message has around its value, at most.
const around = 1024

export interface Wanted {
  readonly operation: "join" | "watch"
  readonly topic: string
  readonly begin: () => Asked
  readonly end: Asked
  readonly done: () => void
  readonly refused: (refused: Refused) => void
}

export class Standing {
  private readonly calls: Calls
  private readonly wanted: Wanted
  private id: number | undefined
  private isAsked = false
  private isStopped = false
  private readonly retries = new Retries()

  constructor(calls: Calls, wanted: Wanted) {
    this.calls = calls
    this.wanted = wanted
  }

  /** Asks, or asks again. */
  ask(): void {
    const { calls } = this
    if (calls.link === undefined || this.isStopped) return
    const { operation, refused, topic } = this.wanted
    const text = JSON.stringify(this.wanted.begin()).slice(0, -1)
    const size = calls.welcome?.size ?? Infinity
    if (text.length > size + around) {
      // It would only cost the connection, again and again.
      this.isStopped = true
      return refused(new Refused(operation, topic, "limit", `what is told of a member has at most ${size} characters of JSON`, undefined))
    }
    this.isAsked = true
    this.id = calls.askAs((id) => ({ text: `${text},"id":${id}}` }), (answer) => this.answered(answer))
  }

  stop(): void {
    this.isStopped = true
    if (this.isAsked && this.calls.link !== undefined) this.calls.ask(this.wanted.end)
  }

  lost(): void {
    this.id = undefined
    this.isAsked = false
  }

  private answered(answer: Answered): void {
    if (answer.id !== this.id || this.isStopped) return
    this.id = undefined
    if (answer.type !== "failed") {
      this.retries.reset()
      return this.wanted.done()
    }
    const { calls, wanted } = this
    this.isAsked = false
    const delay = this.retries.next(answer, calls.around.random())
    if (delay === undefined) {
      this.isStopped = true
      return wanted.refused(refusedBy(wanted.operation, wanted.topic, answer))
    }
    calls.around.later(delay, () => {
      if (!this.isAsked) this.ask()
    })
  }
}
