/**
 * Who is present in a topic that somebody in this process watches. The broker is asked once for all changes of a while, and
 * all watchers are told by one message: of what changed, or of everything where they are new or missed something.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Prepared } from "../../Message.ts"
import type { BrokerError, Members } from "../Broker.ts"
import * as Answers from "./Answers.ts"
import type { LiveTopic } from "./LiveTopic.ts"

/** Who is told of changes. */
export interface Watcher {
  /** Sends a message if there is room for it now. */
  readonly offer: (message: Prepared) => boolean
  /** There was no room: it is told of everything once there is, and is not behind then. */
  readonly missed: (watch: Watch) => void
}

/** That somebody watches a topic. */
export class Watch {
  readonly watched: Watched
  readonly watcher: Watcher
  /** It has not been told of anything. */
  isNew = true
  /** It has missed something: it is told of everything once there is room, and of nothing before. */
  isBehind = false

  constructor(watched: Watched, watcher: Watcher) {
    this.watched = watched
    this.watcher = watcher
  }
}

/** Who is present: the payloads of the members by name, as far as they are listed. */
export interface Present {
  readonly count: number
  readonly isListed: boolean
  readonly members: ReadonlyMap<string, string>
}

/** What the broker answered, as it is told. */
export const presentOf = ({ count, members }: Members, listed: number): Present => {
  const isListed = count <= listed
  const present = new Map<string, string>()
  if (isListed) for (const { member, payload } of members) present.set(member, payload)
  return { count, isListed, members: present }
}

const nobody: Present = { count: 0, isListed: true, members: new Map() }

/** What a topic's presence needs of its process. */
export interface Surroundings {
  readonly limits: { readonly presence: { readonly listed: number; readonly lump: number } }
  readonly members: (topic: string, limit: number) => Effect.Effect<Members, BrokerError>
  readonly run: (effect: Effect.Effect<void>) => void
  readonly ask: (question: Effect.Effect<void>) => void
  /** The same a little later, since the broker has just failed. */
  readonly askLater: (question: Effect.Effect<void>) => void
}

export class Watched {
  readonly topic: LiveTopic
  present = nobody
  /** Counts the changes; 0 until it is known who is present. */
  version = 0
  private readonly around: Surroundings
  private readonly watches = new Set<Watch>()
  private isAsking = false
  private isChanged = false
  private whole: ReadonlyArray<Prepared> | undefined

  constructor(topic: LiveTopic, around: Surroundings) {
    this.topic = topic
    this.around = around
  }

  get isWatched(): boolean {
    return this.watches.size > 0
  }

  /** Begins to tell. One who comes while changes are collected is told of everything with them. */
  add(watch: Watch): void {
    this.watches.add(watch)
    if (this.version === 0) this.ask(0)
    else if (!this.isAsking) this.tellAll(watch)
  }

  delete(watch: Watch): void {
    this.watches.delete(watch)
  }

  /** Something may have changed. */
  changed(): void {
    this.isChanged = true
    if (!this.isAsking) this.ask(this.around.limits.presence.lump)
  }

  private ask(lump: number): void {
    this.isAsking = true
    const listed = this.around.members(this.topic.name, this.around.limits.presence.listed)
    const refresh: Effect.Effect<void> = Effect.suspend(() => {
      this.isChanged = false
      return Effect.match(listed, {
        onFailure: () => {
          if (this.isWatched) this.around.askLater(refresh)
          else this.isAsking = false
        },
        onSuccess: (members) => {
          this.take(members)
          this.isAsking = false
          if (this.isChanged && this.isWatched) this.ask(this.around.limits.presence.lump)
        }
      })
    })
    const asked = Effect.sync(() => this.around.ask(refresh))
    this.around.run(lump === 0 ? asked : Effect.andThen(Effect.sleep(Duration.millis(lump)), asked))
  }

  private take(answer: Members): void {
    const before = this.present
    const { count, isListed, members: now } = this.present = presentOf(answer, this.around.limits.presence.listed)
    const change = this.version > 0 && before.isListed && isListed ? changeOf(before.members, now) : undefined
    const isSame = this.version > 0 && before.count === count && before.isListed === isListed &&
      (!isListed || (change!.came.length === 0 && change!.left.length === 0))
    if (!isSame) {
      this.version++
      this.whole = undefined
    }
    const messages = isSame || change === undefined
      ? undefined
      : Answers.presence(this.topic.name, { count, isFull: false, isListed }, change.came, change.left)
    for (const watch of this.watches) {
      if (watch.isBehind) continue
      if (watch.isNew || (!isSame && messages === undefined)) this.tellAll(watch)
      else if (messages !== undefined) this.tell(watch, messages)
    }
  }

  private tell(watch: Watch, messages: ReadonlyArray<Prepared>): void {
    watch.isNew = false
    // Several do not fit at once.
    watch.isBehind = messages.length > 1 || !watch.watcher.offer(messages[0])
    if (watch.isBehind) watch.watcher.missed(watch)
  }

  private tellAll(watch: Watch): void {
    this.tell(watch, this.all)
  }

  /** Tells of everything: the members of the first message are all there are, and the others add to them. */
  get all(): ReadonlyArray<Prepared> {
    const { count, isListed, members } = this.present
    return this.whole ??= Answers.presence(this.topic.name, { count, isFull: true, isListed }, Array.from(members), [])
  }
}

interface Change {
  readonly came: ReadonlyArray<readonly [member: string, payload: string]>
  readonly left: ReadonlyArray<string>
}

const changeOf = (before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): Change => {
  const came: Array<readonly [string, string]> = []
  for (const entry of now) if (before.get(entry[0]) !== entry[1]) came.push(entry)
  const left: Array<string> = []
  for (const member of before.keys()) if (!now.has(member)) left.push(member)
  return { came, left }
}
