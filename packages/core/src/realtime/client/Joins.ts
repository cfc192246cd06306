/** This client's presence in a topic: the program may join several times, and the last one counts. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import type * as Schema from "effect/Schema"
import type { NotConnected } from "../../WebSocketError.ts"
import type { Calls } from "./Calls.ts"
import type { Refused } from "./Errors.ts"
import { Standing } from "./Standing.ts"

export class Join<E> {
  readonly member: string
  readonly value: Schema.Json
  /** The server has answered for the first time. */
  readonly present = Deferred.makeUnsafe<void, E | NotConnected | Refused>()
  /** It is over before the program ended it. */
  readonly ended = Deferred.makeUnsafe<never, E | NotConnected | Refused>()

  constructor(member: string, value: Schema.Json) {
    this.member = member
    this.value = value
  }

  end(cause: Cause.Cause<E | NotConnected | Refused>): void {
    Deferred.doneUnsafe(this.present, Exit.failCause(cause))
    Deferred.doneUnsafe(this.ended, Exit.failCause(cause))
  }
}

export class Joins<E> {
  readonly standing: Standing
  private readonly joins: Array<Join<E>> = []

  constructor(calls: Calls, topic: string, unused: () => void) {
    this.standing = new Standing(calls, {
      operation: "join",
      topic,
      begin: () => {
        const { member, value } = this.joins[this.joins.length - 1]
        return { type: "join", topic, member, value }
      },
      end: { type: "leave", topic },
      done: () => {
        for (const { present } of this.joins) Deferred.doneUnsafe(present, Exit.void)
      },
      refused: (refused) => {
        unused()
        this.end(Cause.fail(refused))
      }
    })
  }

  get isUnused(): boolean {
    return this.joins.length === 0
  }

  add(join: Join<E>): void {
    this.joins.push(join)
    this.standing.ask()
  }

  remove(join: Join<E>): void {
    const at = this.joins.indexOf(join)
    if (at < 0) return
    const isLast = at === this.joins.length - 1
    this.joins.splice(at, 1)
    if (isLast && this.joins.length > 0) this.standing.ask()
  }

  end(cause: Cause.Cause<E | NotConnected | Refused>): void {
    for (const join of this.joins.splice(0)) join.end(cause)
  }
}
