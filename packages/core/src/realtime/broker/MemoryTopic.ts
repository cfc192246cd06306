/** One topic of the broker in memory: its count, the history that is kept, and the keys that are remembered. */
import type { Entry, History, Presence, Published, Read } from "./Model.ts"

interface Kept extends Entry {
  readonly until: number
}

interface Remembered {
  readonly offset: number
  readonly until: number
}

export class MemoryTopic<Process> {
  readonly name: string
  /** The processes that hear of the topic. */
  readonly listeners = new Set<Process>()
  /** By member, the presences of each, in the order in which they entered. */
  private readonly members = new Map<string, Map<string, Presence>>()
  private readonly memberOf = new Map<string, string>()
  top = 0
  private kept: Array<Kept> = []
  // Where the history begins in `kept`: an array is cut once half of it is gone, not for each entry.
  private from = 0
  // Their order is that of publishing.
  private readonly keys = new Map<string, Remembered>()

  constructor(name: string) {
    this.name = name
  }

  /** Whether nothing would be forgotten with it. */
  get isBlank(): boolean {
    return this.top === 0 && this.listeners.size === 0 && this.members.size === 0
  }

  publish(epoch: string, { key, payload }: Omit<Entry, "offset">, history: History, now: number): Published & { readonly entry: Entry | undefined } {
    const known = this.keys.get(key)
    if (known !== undefined && known.until > now) {
      return { position: { epoch, offset: known.offset }, duplicate: true, entry: undefined }
    }
    const entry = { offset: ++this.top, key, payload, until: now + history.timeToLive }
    // At the end of the order, where a forgotten key is not.
    this.keys.delete(key)
    this.keys.set(key, { offset: entry.offset, until: now + history.keyTimeToLive })
    this.kept.push(entry)
    this.cut(Math.max(this.from, this.kept.length - history.size))
    return { position: { epoch, offset: entry.offset }, duplicate: false, entry: { offset: entry.offset, key, payload } }
  }

  read(epoch: string, since: { readonly epoch: string; readonly offset: number }, limit: number, now: number): Read {
    this.trim(now)
    const oldest = this.top - (this.kept.length - this.from) + 1
    const first = since.epoch === epoch ? Math.max(oldest, since.offset + 1) : oldest
    const begin = this.from + first - oldest
    return {
      epoch,
      entries: this.kept.slice(begin, begin + limit).map(({ key, offset, payload }) => ({ offset, key, payload })),
      oldest,
      top: this.top
    }
  }

  /** Forgets what is too old. Returns when something else will be, or `Infinity`. */
  trim(now: number): number {
    let from = this.from
    while (from < this.kept.length && this.kept[from].until <= now) from++
    this.cut(from)
    let next = from < this.kept.length ? this.kept[from].until : Infinity
    for (const [key, { until }] of this.keys) {
      if (until > now) {
        next = Math.min(next, until)
        break
      }
      this.keys.delete(key)
    }
    return next
  }

  /** The count and what is kept; not who is here. */
  forget(): void {
    this.top = this.from = 0
    this.kept = []
    this.keys.clear()
  }

  private cut(from: number): void {
    this.from = from
    if (from * 2 >= this.kept.length) {
      this.kept = this.kept.slice(from)
      this.from = 0
    }
  }

  enter(presence: Presence): void {
    this.leave(presence.id)
    const present = this.members.get(presence.member)
    if (present === undefined) this.members.set(presence.member, new Map([[presence.id, presence]]))
    else present.set(presence.id, presence)
    this.memberOf.set(presence.id, presence.member)
  }

  /** Whether the presence was there. */
  leave(id: string): boolean {
    const member = this.memberOf.get(id)
    if (member === undefined) return false
    this.memberOf.delete(id)
    const present = this.members.get(member)!
    present.delete(id)
    if (present.size === 0) this.members.delete(member)
    return true
  }

  get count(): number {
    return this.members.size
  }

  /** The presence of each member that entered last, of at most `limit` members. */
  list(limit: number): Array<Presence> {
    const list: Array<Presence> = []
    for (const present of this.members.values()) {
      if (list.length >= limit) break
      let last: Presence | undefined
      for (const presence of present.values()) last = presence
      if (last !== undefined) list.push(last)
    }
    return list
  }
}
