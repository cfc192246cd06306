/**
 * The latest publications of topics, as messages that are encoded once for all subscribers. All topics of a process
 * share one bound on their bytes: beyond it the oldest go first, whatever their topic.
 */
import * as Message from "../../Message.ts"
import type { Entry } from "../Broker.ts"

// A publication is held as its payload, as the text of its message and as a frame, each with an object.
const overhead = 400
const copies = 3

export class Recent {
  readonly offset: number
  readonly key: string
  readonly payload: string
  /** When it is no longer handed out, in the hub's milliseconds. */
  readonly expires: number
  // The window that it is in, and its neighbours in the budget.
  window: Window | undefined = undefined
  older: Recent | undefined = undefined
  newer: Recent | undefined = undefined
  private prepared: Message.Prepared | undefined = undefined

  constructor({ key, offset, payload }: Entry, expires: number) {
    this.offset = offset
    this.key = key
    this.payload = payload
    this.expires = expires
  }

  get size(): number {
    return this.payload.length * copies + overhead
  }

  /** The message that tells a client of it. */
  message(topic: string, epoch: string): Message.Prepared {
    // The payload is JSON already.
    return this.prepared ??= Message.prepare(
      `{"type":"publication","topic":${JSON.stringify(topic)},"epoch":${JSON.stringify(epoch)},"offset":${this.offset},"key":${
        JSON.stringify(this.key)
      },"value":${this.payload}}`
    )
  }
}

export class RecentBudget {
  bytes = 0
  private readonly most: number
  private oldest: Recent | undefined
  private newest: Recent | undefined

  constructor(most: number) {
    this.most = most
  }

  addNewest(recent: Recent): void {
    this.bytes += recent.size
    recent.older = this.newest
    if (this.newest === undefined) this.oldest = recent
    else this.newest.newer = recent
    this.newest = recent
    while (this.bytes > this.most && this.oldest !== undefined) this.oldest.window!.dropFirst()
  }

  /** Whether there was room for one that goes first. */
  addOldest(recent: Recent): boolean {
    if (this.bytes + recent.size > this.most) return false
    this.bytes += recent.size
    recent.newer = this.oldest
    if (this.oldest === undefined) this.newest = recent
    else this.oldest.older = recent
    this.oldest = recent
    return true
  }

  remove(recent: Recent): void {
    this.bytes -= recent.size
    if (recent.older === undefined) this.oldest = recent.newer
    else recent.older.newer = recent.newer
    if (recent.newer === undefined) this.newest = recent.older
    else recent.newer.older = recent.older
    recent.older = recent.newer = undefined
  }
}

// The empty window: one array for all topics, never written to.
const none: Array<Recent> = []

/** The latest publications of one topic, without a hole between them. */
export class Window {
  private readonly budget: RecentBudget
  private readonly most: number
  private entries = none

  constructor(budget: RecentBudget, most: number) {
    this.budget = budget
    this.most = most
  }

  get length(): number {
    return this.entries.length
  }

  get first(): Recent | undefined {
    return this.entries[0]
  }

  push(recent: Recent): void {
    if (this.most === 0) return
    if (this.entries === none) this.entries = []
    recent.window = this
    this.entries.push(recent)
    if (this.entries.length > this.most) this.dropFirst()
    this.budget.addNewest(recent)
  }

  /** Adds older ones before the first, the latest of them first, as far as there is room. */
  prepend(older: ReadonlyArray<Recent>): void {
    const added: Array<Recent> = []
    for (let at = older.length - 1; at >= 0 && this.entries.length + added.length < this.most; at--) {
      if (!this.budget.addOldest(older[at])) break
      older[at].window = this
      added.push(older[at])
    }
    if (added.length > 0) this.entries = [...added.toReversed(), ...this.entries]
  }

  dropFirst(): void {
    const recent = this.entries.shift()!
    recent.window = undefined
    this.budget.remove(recent)
  }

  /** Drops what is too old. */
  expire(now: number): void {
    while (this.entries.length > 0 && this.entries[0].expires <= now) this.dropFirst()
  }

  clear(): void {
    while (this.entries.length > 0) this.dropFirst()
    this.entries = none
  }

  /** At most `limit` from an offset on, which is in the window or just behind it. */
  from(offset: number, limit: number): ReadonlyArray<Recent> {
    if (this.entries.length === 0) return none
    const start = offset - this.entries[0].offset
    return this.entries.slice(start, start + limit)
  }
}
