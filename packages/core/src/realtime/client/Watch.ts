/** Who is present in a topic, as the server told it last, for any number of readers. */
import * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import type { Presence } from "../wire/Messages.ts"
import type { Calls } from "./Calls.ts"
import type { Refused } from "./Errors.ts"
import { finish } from "./Finish.ts"
import { Standing } from "./Standing.ts"

/** Who is present, not decoded yet. */
export interface Members {
  readonly count: number
  readonly listed: boolean
  readonly members: ReadonlyMap<string, Schema.Json>
}

/** Has the newest state only. */
export type Watcher<E> = Queue.Queue<Members, E | Cause.Done>

export class Watch<E> {
  readonly standing: Standing
  private readonly watchers = new Set<Watcher<E | Refused>>()
  private state: Members | undefined

  constructor(calls: Calls, topic: string, unused: () => void) {
    this.standing = new Standing(calls, {
      operation: "watch",
      topic,
      begin: () => ({ type: "watch", topic }),
      end: { type: "unwatch", topic },
      done: () => {},
      refused: (refused) => {
        unused()
        this.end(Cause.fail(refused))
      }
    })
  }

  get isUnused(): boolean {
    return this.watchers.size === 0
  }

  add(watcher: Watcher<E | Refused>): void {
    this.watchers.add(watcher)
    if (this.state !== undefined) Queue.offerUnsafe(watcher, this.state)
  }

  remove(watcher: Watcher<E | Refused>): void {
    this.watchers.delete(watcher)
  }

  told({ count, full, left, listed, members }: typeof Presence.Type): void {
    const known = new Map(full || !listed ? undefined : this.state?.members)
    for (const { member, value } of members) known.set(member, value)
    for (const member of left) known.delete(member)
    const state = this.state = { count, listed, members: known }
    for (const watcher of this.watchers) Queue.offerUnsafe(watcher, state)
  }

  end(cause: Cause.Cause<E | Refused> | undefined): void {
    for (const watcher of this.watchers) finish(watcher, cause)
    this.watchers.clear()
  }
}
