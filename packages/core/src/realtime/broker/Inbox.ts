/**
 * What a process has heard and its reader has not taken yet. It is bounded: a reader that is further behind is told which
 * topics to read again, and what was kept for it is dropped.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import type { Heard } from "./Model.ts"

/** How many events, and characters in them, wait for the reader. */
const mostEvents = 10_000
const mostCharacters = 32 * 1024 * 1024

/** More topics than these are told as "all". */
const mostTopics = 1000

export class Inbox {
  private waiting: Array<Heard> = []
  private characters = 0
  private readonly some = Latch.makeUnsafe()

  get size(): number {
    return this.waiting.length
  }

  offer(heard: Heard): void {
    this.waiting.push(heard)
    this.characters += charactersOf(heard)
    if (this.waiting.length > mostEvents || this.characters > mostCharacters) this.giveUp()
    if (this.waiting.length === 1) this.some.openUnsafe()
  }

  private giveUp(): void {
    const topics = new Set<string | undefined>()
    // Signals may be lost, and nobody needs to read because of them.
    for (const heard of this.waiting) if (heard._tag !== "Signalled") topics.add(heard.topic)
    const all = topics.size > mostTopics || topics.has(undefined)
    this.waiting = Array.from(all ? [undefined] : topics, (topic) => ({ _tag: "Missed", topic }))
    this.characters = this.waiting.reduce((sum, heard) => sum + charactersOf(heard), 0)
    if (this.waiting.length > 0) this.some.openUnsafe()
  }

  /** For one reader. */
  readonly heard: Stream.Stream<Heard> = Stream.fromPull(Effect.sync(() => {
    const take: Effect.Effect<Arr.NonEmptyReadonlyArray<Heard>> = Effect.suspend(() => {
      const { waiting } = this
      if (!Arr.isArrayNonEmpty(waiting)) {
        this.some.closeUnsafe()
        return Effect.andThen(this.some.await, take)
      }
      this.waiting = []
      this.characters = 0
      return Effect.succeed(waiting)
    })
    return take
  }))
}

const charactersOf = (heard: Heard): number =>
  heard._tag === "Published"
    ? heard.entry.payload.length + heard.entry.key.length
    : heard._tag === "Signalled"
    ? heard.payload.length
    : 0
