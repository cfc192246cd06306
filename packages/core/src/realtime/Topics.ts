/**
 * The topics of a server: a route's handler for clients, and publishing and subscribing for the rest of the
 * program. Whatever is published reaches every process that shares the `Broker`.
 *
 * **Example** (The rooms of a chat)
 *
 * ```ts
 * import { Topic, Topics } from "@effect-ws/core/realtime"
 * import { Effect, Schema } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const Room = Topic.make("room/:id", {
 *   publication: Schema.Struct({ author: Schema.String, text: Schema.String })
 * })
 *
 * export const route = HttpRouter.add("GET", "/topics", Topics.handle([Topics.serve(Room)]))
 *
 * // Anywhere else in the program: a job, another route.
 * export const greet = (id: string) => Topics.publish(Room, { id }, { author: "server", text: "hello" })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidArgument } from "../WebSocketError.ts"
import type * as Broker from "./Broker.ts"
import { encoded, schemasOf } from "./hub/Family.ts"
import type * as Hubs from "./hub/Hub.ts"
import * as Local from "./hub/Local.ts"
import { presentOf } from "./hub/Watched.ts"
import { hub, type Topics } from "./serving/Service.ts"
import { ofProgram } from "./telemetry/Spans.ts"
import * as Topic from "./Topic.ts"
import type { TopicEvent } from "./TopicEvent.ts"
import * as Messages from "./wire/Messages.ts"

export { handle, type HandleOptions } from "./serving/Handle.ts"
export { type Authenticate, type Identity, Unauthorized } from "./serving/Identity.ts"
export { disconnect, revoke } from "./serving/Revoking.ts"
export { type AnyServed, type Request, serve, type Served, type ServeOptions } from "./serving/Served.ts"
export { layer, Topics } from "./serving/Service.ts"

/**
 * A value of the program has more characters, as JSON text, than clients are sent: `limit` is `publish.size` of the limits of
 * {@link layer}, or `presence.size` for what is told of a member. Nothing was published.
 *
 * @category errors
 * @since 0.1.0
 */
export class ValueTooLarge extends Schema.TaggedError<ValueTooLarge>("@effect-ws/core/Topics/ValueTooLarge")("ValueTooLarge", {
  topic: Schema.String,
  what: Schema.Literals(["publication", "signal", "member"]),
  size: Schema.Number,
  limit: Schema.Number
}) {
  override get message() {
    return `The ${this.what} for ${this.topic} has ${this.size} characters as JSON text, and may have ${this.limit}`
  }
}

/** Names are bounded as those of clients are, which could not be told of others. */
const named = (argument: "key" | "member" | "from", text: string | undefined): Effect.Effect<void, InvalidArgument> =>
  text === undefined || Messages.isKey(text)
    ? Effect.void
    : Effect.fail(new InvalidArgument({ argument, detail: Messages.keyRule("it", text) }))

/** A value as the JSON text that everybody is sent, no larger than clients may make it. */
const bounded = (own: Hubs.Hub, topic: Topic.Any, name: string, what: ValueTooLarge["what"], value: unknown) =>
  Effect.flatMap(encoded(schemasOf(topic), what, value), (text) => {
    const limit = what === "member" ? own.limits.presence.size : own.limits.publish.size
    const { length: size } = text
    return size > limit ? Effect.fail(new ValueTooLarge({ topic: name, what, size, limit })) : Effect.succeed(text)
  })

/**
 * Publishes in a topic.
 *
 * **Details**
 *
 * It returns the position of the publication. A publication under a `key` that was used in the topic before, within
 * `keyTimeToLive`, is not published again: the position is that of the first time. So a `BrokerError` with `applied: "unknown"`
 * can be retried under the same key. Once publishing has begun, an interruption does not end it. A `key` has 1 to 128 characters,
 * else it fails with `InvalidArgument`.
 *
 * @category publishing
 * @since 0.1.0
 */
export const publish = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>,
  value: T["publication"]["Type"],
  options?: { readonly key?: string | undefined }
): Effect.Effect<
  Broker.Position,
  Broker.BrokerError | Schema.SchemaError | ValueTooLarge | InvalidArgument,
  Topics | T["publication"]["EncodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    yield* named("key", options?.key)
    const name = Topic.nameOf(topic, params)
    const payload = yield* bounded(own, topic, name, "publication", value)
    const key = options?.key ?? own.uniqueName()
    const published = own.publish(name, key, payload, topic.history)
    const { position } = yield* ofProgram(published, () => ({ operation: "publish", family: topic.path, topic: name }))
    return position
  })

/**
 * Sends a signal to those who are subscribed to a topic now. It is kept nowhere, and may be lost.
 *
 * @category publishing
 * @since 0.1.0
 */
export const signal = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>,
  value: T["signal"]["Type"],
  options?: {
    /** Who sends it, in 1 to 128 characters. Default a name of this process. */
    readonly from?: string | undefined
  }
): Effect.Effect<
  void,
  Broker.BrokerError | Schema.SchemaError | ValueTooLarge | InvalidArgument,
  Topics | T["signal"]["EncodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    yield* named("from", options?.from)
    const name = Topic.nameOf(topic, params)
    const payload = yield* bounded(own, topic, name, "signal", value)
    yield* own.signal(name, own.id, options?.from, payload)
  })

/**
 * The publications of a topic, each once and in order, and a gap where some are missing.
 *
 * **Details**
 *
 * It begins with `Subscribed`, at the position `since` or at the top of the topic; `"start"` is the oldest publication that is
 * kept. A reader that is slow costs no memory: it is served from history, and gets a gap where that no longer reaches. The
 * stream fails if the broker cannot be asked at its beginning; later it waits until the broker is back. With `SchemaError` it fails
 * at a publication that the family's Schema does not know, right behind the last position that it delivered.
 *
 * @category subscribing
 * @since 0.1.0
 */
export const subscribe = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>,
  options?: { readonly since?: Broker.Position | "start" | undefined }
): Stream.Stream<
  TopicEvent<T["publication"]["Type"]>,
  Broker.BrokerError | Schema.SchemaError,
  Topics | T["publication"]["DecodingServices"]
> =>
  Stream.unwrap(Effect.map(hub, (hub) =>
    Local.subscribe<T["publication"]["Type"]>(
      hub,
      Topic.nameOf(topic, params),
      topic.history,
      schemasOf(topic).of("publication"),
      options?.since
    )))

/**
 * Who is present in a topic.
 *
 * **Details**
 *
 * - `count`: how many members there are.
 * - `members`: what is told of them, by their name. Where there are more than `TopicOptions.presence.listed`, `isListed` is
 *   false and the map is empty.
 *
 * @category models
 * @since 0.1.0
 */
export interface Present<out Member> {
  readonly count: number
  readonly isListed: boolean
  readonly members: ReadonlyMap<string, Member>
}

/**
 * Who is present in a topic now, and at every change. A slow reader misses states, never the last one.
 *
 * @category presence
 * @since 0.1.0
 */
export const presence = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>
): Stream.Stream<
  Present<T["member"]["Type"]>,
  Broker.BrokerError | Schema.SchemaError,
  Topics | T["member"]["DecodingServices"]
> =>
  Stream.unwrap(Effect.map(hub, (hub) =>
    Local.presence<T["member"]["Type"]>(hub, Topic.nameOf(topic, params), topic.history, schemasOf(topic).of("member"))))

/**
 * Who is present in a topic now, through all processes.
 *
 * @category presence
 * @since 0.1.0
 */
export const members = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>
): Effect.Effect<
  Present<T["member"]["Type"]>,
  Broker.BrokerError | Schema.SchemaError,
  Topics | T["member"]["DecodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    const answer = yield* own.members(Topic.nameOf(topic, params), own.limits.presence.listed)
    return yield* Local.decodePresent<T["member"]["Type"]>(presentOf(answer, own.limits.presence.listed), schemasOf(topic).of("member"))
  })

/**
 * Makes a member of the program's own present in a topic, such as a bot, until the scope ends. Its name has 1 to 128 characters.
 *
 * @category presence
 * @since 0.1.0
 */
export const join = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>,
  member: string,
  value: T["member"]["Type"]
): Effect.Effect<
  void,
  Broker.BrokerError | Schema.SchemaError | ValueTooLarge | InvalidArgument,
  Topics | Scope.Scope | T["member"]["EncodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    yield* named("member", member)
    const name = Topic.nameOf(topic, params)
    const payload = yield* bounded(own, topic, name, "member", value)
    const entered = yield* Effect.acquireRelease(
      Effect.sync(() => own.enter(name, { id: own.uniqueName(), member, payload })),
      (entered) => Effect.sync(() => own.leaveLater(entered, 0))
    )
    yield* entered.settled
  })
