/**
 * What carries the publications of topics between the processes of a service: the only thing that another
 * backend has to implement. One is in memory ({@link layerMemory}), one is on Redis (`RedisBroker`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"

/**
 * Where a publication stands in its topic.
 *
 * **Details**
 *
 * - `epoch`: names one unbroken count. Another epoch means that the broker lost its data, or a part of it.
 * - `offset`: counts the publications of the topic in this epoch, from 1. The position before the first one has 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/**
 * A publication as a broker keeps it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly offset: number
  /** What the publisher named it; unique for as long as the broker remembers the key. */
  readonly key: string
  /** JSON text. */
  readonly payload: string
}

/**
 * How long a topic's publications are kept: the last `size` of them, none older than `timeToLive`
 * milliseconds. `keyTimeToLive` is how long, in milliseconds, a key is remembered against duplicates.
 *
 * @category models
 * @since 0.1.0
 */
export interface History {
  readonly size: number
  readonly timeToLive: number
  readonly keyTimeToLive: number
}

/**
 * The answer to `publish`. A `duplicate` was applied earlier under the same key: its position is that of
 * the first time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Published {
  readonly position: Position
  readonly duplicate: boolean
}

/**
 * The answer to `read`.
 *
 * **Details**
 *
 * - `epoch`: the broker's epoch of the topic now. If it is not the one that was asked for, `entries` are the oldest
 *   that are kept.
 * - `entries`: in order, without a hole between them.
 * - `oldest`: the offset of the oldest entry that is kept, or `top + 1` if none is. The entries begin at
 *   `since.offset + 1`, or at `oldest` where history no longer reaches back so far.
 * - `top`: the offset of the last publication.
 *
 * @category models
 * @since 0.1.0
 */
export interface Read {
  readonly epoch: string
  readonly entries: ReadonlyArray<Entry>
  readonly oldest: number
  readonly top: number
}

/**
 * What a broker tells of the topics to which the process is subscribed.
 *
 * **Details**
 *
 * - `Published`: a publication. A topic's come in order; one may come twice, or not at all.
 * - `Signalled`: a signal. It may be lost.
 * - `MembersChanged`: `members` would answer differently now, or may.
 * - `Missed`: something may not have been told: `topic` is the topic concerned, `undefined` means all. Whoever hears it compares
 *   with `top` and reads what is missing.
 *
 * @category models
 * @since 0.1.0
 */
export type Heard =
  | { readonly _tag: "Published"; readonly topic: string; readonly epoch: string; readonly entry: Entry }
  | { readonly _tag: "Signalled"; readonly topic: string; readonly from: string; readonly payload: string }
  | { readonly _tag: "MembersChanged"; readonly topic: string }
  | { readonly _tag: "Missed"; readonly topic: string | undefined }

/**
 * One connection's presence in a topic. A member may be present by several.
 *
 * **Details**
 *
 * - `id`: unique among all processes.
 * - `member`: the name of the member.
 * - `payload`: what is told of the member, JSON text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Presence {
  readonly id: string
  readonly member: string
  readonly payload: string
}

/**
 * The answer to `members`: at most as many as asked for, one presence for each member, and how many members
 * there are in all.
 *
 * @category models
 * @since 0.1.0
 */
export interface Members {
  readonly count: number
  readonly members: ReadonlyArray<Presence>
}

/**
 * The broker could not do what was asked.
 *
 * **Details**
 *
 * - `applied`: `"no"` if it certainly has not been done, `"unknown"` if it may have been.
 *
 * @category errors
 * @since 0.1.0
 */
export class BrokerError extends Schema.TaggedError<BrokerError>("@effect-ws/core/Broker/BrokerError")("BrokerError", {
  operation: Schema.Literals(["publish", "read", "top", "subscribe", "signal", "enter", "leave", "members"]),
  applied: Schema.Literals(["no", "unknown"]),
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `The broker failed to ${this.operation}${this.applied === "unknown" ? ", or has not answered" : ""}`
  }
}

/**
 * The service: every process of one service that shares its topics uses the same broker.
 *
 * **Details**
 *
 * Names of topics and keys are any strings. The exported laws (`BrokerLaws`) are the tests of an
 * implementation.
 *
 * - `publish`: gives the publication the topic's next offset, keeps it, remembers its key, and tells all processes that are
 *   subscribed; all of it or nothing. The publications of one process are applied in the order in which `publish` began.
 * - `read`: what is kept behind a position, at most `limit` entries.
 * - `top`: the position of the last publication; it is known for as long as the broker has its data, however long
 *   ago that was.
 * - `subscribe`: the process hears of the topic until the scope ends. When it succeeds, everything that is published from then
 *   on is heard. Counted: several scopes share one subscription.
 * - `heard`: what is heard, for one reader. It does not fail: a broker that loses its connection makes
 *   another one and tells `Missed`.
 * - `signal`: tells all processes that are subscribed; kept nowhere. `from` names the sender.
 * - `enter`, `leave`: a connection begins and ends to be present in a topic. What a process entered ends with the
 *   process, at the latest after the broker's lease.
 * - `members`: who is present in a topic, through all processes that live.
 *
 * @category services
 * @since 0.1.0
 */
export class Broker extends Context.Service<Broker, {
  readonly publish: (topic: string, entry: Omit<Entry, "offset">, history: History) => Effect.Effect<Published, BrokerError>
  readonly read: (topic: string, since: Position, limit: number) => Effect.Effect<Read, BrokerError>
  readonly top: (topic: string) => Effect.Effect<Position, BrokerError>
  readonly subscribe: (topic: string) => Effect.Effect<void, BrokerError, Scope.Scope>
  readonly heard: Stream.Stream<Heard>
  readonly signal: (topic: string, from: string, payload: string) => Effect.Effect<void, BrokerError>
  readonly enter: (topic: string, presence: Presence) => Effect.Effect<void, BrokerError>
  readonly leave: (topic: string, id: string) => Effect.Effect<void, BrokerError>
  readonly members: (topic: string, limit: number) => Effect.Effect<Members, BrokerError>
}>()("@effect-ws/core/Broker") {}
