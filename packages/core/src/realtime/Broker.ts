/**
 * What carries the publications of topics between the processes of a service: the only thing that another
 * backend has to implement. One is in memory ({@link layerMemory}), one is on Redis (`RedisBroker`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Deadlines from "../runtime/Deadlines.ts"
import { MemoryProcess, MemoryStore as Store } from "./broker/MemoryStore.ts"
import type { Entry, Heard, History, Members, Position, Presence, Published, Read } from "./broker/Model.ts"

export type {
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
  Position,
  /**
   * A publication as a broker keeps it.
   *
   * @category models
   * @since 0.1.0
   */
  Entry,
  /**
   * How long a topic's publications are kept: the last `size` of them, none older than `timeToLive`
   * milliseconds. `keyTimeToLive` is how long, in milliseconds, a key is remembered against duplicates.
   *
   * @category models
   * @since 0.1.0
   */
  History,
  /**
   * The answer to `publish`. A `duplicate` was applied earlier under the same key: its position is that of
   * the first time.
   *
   * @category models
   * @since 0.1.0
   */
  Published,
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
  Read,
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
  Heard,
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
  Presence,
  /**
   * The answer to `members`: at most as many as asked for, one presence for each member, and how many members
   * there are in all.
   *
   * @category models
   * @since 0.1.0
   */
  Members
} from "./broker/Model.ts"

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
  operation: Schema.Literals(["open", "publish", "read", "top", "subscribe", "signal", "enter", "leave", "members"]),
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
 * - `enter`, `leave`: a connection begins and ends to be present in a topic. Entered again under its `id`, it has another
 *   payload. What a process entered ends with the process, at the latest after the broker's lease; a broker that lost its
 *   data enters it again. An `enter` that fails is not done, and a `leave` that fails is, at the latest after the lease.
 * - `members`: who is present in a topic, through all processes that live. Of a member with several presences it is the one
 *   that was entered last.
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

/**
 * What several brokers in memory share: the stand-in for a Redis in tests of several servers.
 *
 * **Details**
 *
 * - `broker`: another broker on the same data, for one server. What it entered leaves when the scope ends.
 * - `lose`: what was published is lost, as if Redis had been restarted without its data: positions get a new epoch, and all
 *   brokers that are subscribed to something hear `Missed`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryStore {
  readonly broker: Effect.Effect<Broker["Service"], never, Scope.Scope>
  readonly lose: Effect.Effect<void>
}

/**
 * Makes a {@link MemoryStore}. It forgets by the Clock on which it is made, until its scope ends.
 *
 * **Example** (Two servers that share their topics)
 *
 * ```ts
 * import { Broker } from "@effect-ws/core/realtime"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* Broker.makeMemoryStore
 *   const one = yield* store.broker
 *   const other = yield* store.broker
 *   const history = { size: 100, timeToLive: 60_000, keyTimeToLive: 60_000 }
 *   yield* one.publish("room/7", { key: "a", payload: "1" }, history)
 *   return yield* other.top("room/7")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemoryStore: Effect.Effect<MemoryStore, never, Scope.Scope> = Effect.gen(function*() {
  const random = yield* Random.Random
  const store = yield* Effect.acquireRelease(
    Effect.map(Deadlines.current, (deadlines) => new Store(deadlines, () => Math.abs(random.nextIntUnsafe()).toString(36))),
    (store) => Effect.sync(() => store.close())
  )
  return {
    broker: Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new MemoryProcess()),
        (owner) => Effect.sync(() => store.end(owner))
      ),
      (owner) => onStore(store, owner)
    ),
    lose: Effect.sync(() => store.lose())
  }
})

const onStore = (store: Store, owner: MemoryProcess): Broker["Service"] =>
  Broker.of({
    publish: (topic, entry, history) => Effect.sync(() => store.publish(topic, entry, history)),
    read: (topic, since, limit) => Effect.sync(() => store.read(topic, since, limit)),
    top: (topic) => Effect.sync(() => store.top(topic)),
    subscribe: (topic) =>
      Effect.acquireRelease(
        Effect.sync(() => store.subscribe(owner, topic)),
        () => Effect.sync(() => store.unsubscribe(owner, topic))
      ),
    heard: owner.inbox.heard,
    signal: (topic, from, payload) => Effect.sync(() => store.signal(topic, from, payload)),
    enter: (topic, presence) => Effect.sync(() => store.enter(owner, topic, presence)),
    leave: (topic, id) => Effect.sync(() => store.leave(owner, topic, id)),
    members: (topic, limit) => Effect.sync(() => store.members(topic, limit))
  })

/**
 * A broker in memory, for a service of one process. Nothing has to be installed, and nothing survives the
 * process.
 *
 * **Details**
 *
 * Of a topic that nothing was published in, nobody is present in and nobody is subscribed to, nothing is held. Of another
 * one without history, its count is held for as long as the layer lives: the position of a subscriber who comes back is good
 * however late that is.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<Broker> = Layer.effect(Broker, Effect.flatMap(makeMemoryStore, ({ broker }) => broker))
