/**
 * What a client of topics has under way. It is told of connections and messages, and brings everything that is wanted onto each
 * connection. Plain synchronous state.
 */
import * as Cause from "effect/Cause"
import * as Latch from "effect/Latch"
import type * as Queue from "effect/Queue"
import { NotConnected } from "../../WebSocketError.ts"
import type { Ended, ToClient, Welcome } from "../wire/Messages.ts"
import { Calls, type Surroundings } from "./Calls.ts"
import { Channel, type Listener } from "./Channel.ts"
import { Refused } from "./Errors.ts"
import { type Join, Joins } from "./Joins.ts"
import { finish } from "./Finish.ts"
import type { Link } from "./Link.ts"
import { Publications } from "./Publications.ts"
import type { Reader } from "./Reader.ts"
import { Watch, type Watcher } from "./Watch.ts"

/** How a client ended: by an error, or `undefined` where the program closed it. */
export type End<E> = Cause.Cause<E> | undefined

export class Hub<E> {
  readonly calls: Calls
  readonly publications: Publications
  private readonly channels = new Map<string, Channel<E>>()
  private readonly watches = new Map<string, Watch<E>>()
  private readonly joins = new Map<string, Joins<E>>()
  /** The credentials are about to expire. */
  readonly expiring = Latch.makeUnsafe()
  /** It has ended, and how. */
  ending: { readonly end: End<E> } | undefined

  constructor(around: Surroundings, maxWaiting: number) {
    this.calls = new Calls(around)
    this.publications = new Publications(this.calls, maxWaiting)
  }

  // --- connections ------------------------------------------------------------------------

  opened(link: Link, welcome: typeof Welcome.Type): void {
    this.expiring.closeUnsafe()
    this.calls.opened(link, welcome)
    for (const channel of this.channels.values()) channel.opened()
    for (const { standing } of this.watches.values()) standing.ask()
    for (const { standing } of this.joins.values()) standing.ask()
    this.publications.opened()
  }

  closed(link: Link): void {
    if (this.calls.link !== link) return
    this.calls.lost()
    for (const channel of this.channels.values()) channel.lost()
    for (const { standing } of this.watches.values()) standing.lost()
    for (const { standing } of this.joins.values()) standing.lost()
    this.publications.lost()
  }

  received(message: ToClient): void {
    switch (message.type) {
      case "publication":
        return this.channels.get(message.topic)?.publication(message)
      case "published":
      case "subscribed":
      case "done":
      case "failed":
        return this.calls.answered(message)
      case "gap":
        return this.channels.get(message.topic)?.gap(message)
      case "signalled":
        return this.channels.get(message.topic)?.signalled(message)
      case "presence":
        return this.watches.get(message.topic)?.told(message)
      case "ended":
        return this.ended(message)
      case "expiring":
        this.expiring.openUnsafe()
        return
      case "welcome":
        return
    }
  }

  /** The server ended what there is of a topic. */
  private ended({ error, message, topic }: typeof Ended.Type): void {
    const why = (operation: Refused["operation"]) => new Refused(operation, topic, "ended", message, error)
    this.channels.get(topic)?.ended(why("subscribe"))
    const watch = this.watches.get(topic)
    this.watches.delete(topic)
    watch?.end(Cause.fail(why("watch")))
    const joins = this.joins.get(topic)
    this.joins.delete(topic)
    joins?.end(Cause.fail(why("join")))
  }

  finish(end: End<E>): void {
    if (this.ending !== undefined) return
    this.ending = { end }
    this.calls.lost()
    this.publications.finish(end === undefined ? undefined : Cause.squash(end))
    for (const channel of this.channels.values()) channel.end(end)
    for (const watch of this.watches.values()) watch.end(end)
    for (const joins of this.joins.values()) joins.end(this.failure)
    this.channels.clear()
    this.watches.clear()
    this.joins.clear()
  }

  /** How many streams read topics, and how many of them have not taken what was queued for them. */
  get readers(): { readonly total: number; readonly behind: number } {
    let total = 0
    let behind = 0
    for (const { readers } of this.channels.values()) {
      for (const { isBehind } of readers) {
        total++
        if (isBehind) behind++
      }
    }
    return { total, behind }
  }

  /** What fails at the end of the client, where it cannot just end. */
  private get failure(): Cause.Cause<E | NotConnected> {
    return this.ending?.end ?? Cause.fail(new NotConnected({ reason: "Ended" }))
  }

  // --- what programs want -----------------------------------------------------------------

  /** Begins to read a topic; returns how to be caught up, and how to stop. */
  read(topic: string, reader: Reader<E | Refused>): { readonly drained: () => void; readonly stop: () => void } {
    if (this.ending !== undefined) {
      reader.end(this.ending.end)
      return { drained: () => {}, stop: () => {} }
    }
    const channel = this.channel(topic)
    channel.readers.add(reader)
    channel.reconcile()
    return {
      drained: () => channel.drained(reader),
      stop: () => {
        if (channel.readers.delete(reader)) this.left(channel)
      }
    }
  }

  listen(topic: string, listener: Listener<E | Refused>): () => void {
    if (this.ending !== undefined) return ended(listener, this.ending.end)
    const channel = this.channel(topic)
    channel.listeners.add(listener)
    channel.reconcile()
    return () => {
      if (channel.listeners.delete(listener)) this.left(channel)
    }
  }

  private channel(topic: string): Channel<E> {
    return found(this.channels, topic, () => {
      const channel: Channel<E> = new Channel(this.calls, topic, () => this.channels.delete(topic))
      return channel
    })
  }

  private left(channel: Channel<E>): void {
    if (this.channels.get(channel.topic) !== channel) return
    if (channel.isUnused) this.channels.delete(channel.topic)
    channel.reconcile()
  }

  watch(topic: string, watcher: Watcher<E | Refused>): () => void {
    if (this.ending !== undefined) return ended(watcher, this.ending.end)
    const watch = found(this.watches, topic, () => new Watch<E>(this.calls, topic, () => this.watches.delete(topic)))
    if (watch.isUnused) watch.standing.ask()
    watch.add(watcher)
    return () => {
      watch.remove(watcher)
      if (!watch.isUnused || this.watches.get(topic) !== watch) return
      this.watches.delete(topic)
      watch.standing.stop()
    }
  }

  join(topic: string, join: Join<E>): () => void {
    if (this.ending !== undefined) {
      join.end(this.failure)
      return () => {}
    }
    const joins = found(this.joins, topic, () => new Joins<E>(this.calls, topic, () => this.joins.delete(topic)))
    joins.add(join)
    return () => {
      joins.remove(join)
      if (!joins.isUnused || this.joins.get(topic) !== joins) return
      this.joins.delete(topic)
      joins.standing.stop()
    }
  }
}

const found = <A>(all: Map<string, A>, topic: string, make: () => A): A => {
  const known = all.get(topic)
  if (known !== undefined) return known
  const made = make()
  all.set(topic, made)
  return made
}

const ended = <A, E>(queue: Queue.Queue<A, E | Cause.Done>, end: End<E>): () => void => {
  finish(queue, end)
  return () => {}
}
