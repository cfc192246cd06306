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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Contract from "../Contract.ts"
import * as Limits from "../Limits.ts"
import * as Broker from "./Broker.ts"
import * as Answers from "./hub/Answers.ts"
import { Caller } from "./hub/Caller.ts"
import { Families, type Family, schemasOf } from "./hub/Family.ts"
import * as Hubs from "./hub/Hub.ts"
import * as Local from "./hub/Local.ts"
import { Requests } from "./hub/Requests.ts"
import { Session } from "./hub/Session.ts"
import { presentOf } from "./hub/Watched.ts"
import * as Topic from "./Topic.ts"
import type { TopicEvent } from "./TopicEvent.ts"
import { TopicsContract } from "./wire/TopicsContract.ts"

/**
 * The topics of this process, made by {@link layer}.
 *
 * **Details**
 *
 * - `size`: how many topics somebody in this process is subscribed to.
 *
 * @category services
 * @since 0.1.0
 */
export class Topics extends Context.Service<Topics, {
  readonly size: Effect.Effect<number>
}>()("@effect-ws/core/Topics") {}

class Service {
  readonly hub: Hubs.Hub

  constructor(hub: Hubs.Hub) {
    this.hub = hub
  }

  get size(): Effect.Effect<number> {
    return Effect.sync(() => this.hub.size)
  }
}

// The inside of the service is not for users.
const hub: Effect.Effect<Hubs.Hub, never, Topics> = Effect.map(Topics, (service) => {
  if (service instanceof Service) return service.hub
  throw new TypeError("The service Topics is made by Topics.layer only")
})

/**
 * The topics of this process, over a broker.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Limits.TopicOptions): Layer.Layer<Topics, never, Broker.Broker> =>
  Layer.effect(
    Topics,
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      return new Service(yield* Hubs.make(broker, Limits.makeTopics(options)))
    })
  )

const encoded = (schemas: ReturnType<typeof schemasOf>, what: "publication" | "signal" | "member", value: unknown) =>
  Effect.catch(schemas.of(what).encode(value), ({ error, message }) =>
    error === undefined ? Effect.die(new RangeError(message)) : Effect.fail(error))

/**
 * Publishes in a topic.
 *
 * **Details**
 *
 * It returns the position of the publication. A publication under a `key` that was used in the topic before, within
 * `keyTimeToLive`, is not published again: the position is that of the first time. So a `BrokerError` with `applied: "unknown"`
 * can be retried under the same key. Once publishing has begun, an interruption does not end it.
 *
 * @category publishing
 * @since 0.1.0
 */
export const publish = <T extends Topic.Any>(
  topic: T,
  params: Topic.Params<T>,
  value: T["publication"]["Type"],
  options?: { readonly key?: string | undefined }
): Effect.Effect<Broker.Position, Broker.BrokerError | Schema.SchemaError, Topics | T["publication"]["EncodingServices"]> =>
  Effect.gen(function*() {
    const own = yield* hub
    const payload = yield* encoded(schemasOf(topic), "publication", value)
    const key = options?.key ?? own.uniqueName()
    const { position } = yield* own.publish(Topic.nameOf(topic, params), key, payload, topic.history)
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
    /** Who sends it. Default a name of this process. */
    readonly from?: string | undefined
  }
): Effect.Effect<void, Broker.BrokerError | Schema.SchemaError, Topics | T["signal"]["EncodingServices"]> =>
  Effect.gen(function*() {
    const own = yield* hub
    const payload = yield* encoded(schemasOf(topic), "signal", value)
    yield* own.signal(Topic.nameOf(topic, params), own.id, options?.from, payload)
  })

/**
 * The publications of a topic, each once and in order, and a gap where some are missing.
 *
 * **Details**
 *
 * It begins with `Subscribed`, at the position `since` or at the top of the topic; `"start"` is the oldest publication that is
 * kept. A reader that is slow costs no memory: it is served from history, and gets a gap where that no longer reaches. The
 * stream fails if the broker cannot be asked at its beginning; later it waits until the broker is back.
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
 * Makes a member of the program's own present in a topic, such as a bot, until the scope ends.
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
  Broker.BrokerError | Schema.SchemaError,
  Topics | Scope.Scope | T["member"]["EncodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    const payload = yield* encoded(schemasOf(topic), "member", value)
    const entered = yield* Effect.acquireRelease(
      Effect.sync(() => own.enter(Topic.nameOf(topic, params), { id: own.uniqueName(), member, payload })),
      (entered) => Effect.sync(() => own.leaveLater(entered, 0))
    )
    yield* entered.settled
  })

/**
 * What an authorizer is asked: the parameters of the topic, and the claims of the connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<T extends Topic.Any, out Claims = unknown> {
  readonly params: Topic.Params<T>
  readonly claims: Claims
}

/**
 * Who may do what in a family, and its snapshot.
 *
 * **Details**
 *
 * Each authorizer succeeds where it allows what is asked for, and fails with the family's refusal. An operation that has none
 * of its own is decided by `subscribe`; without that, all may.
 *
 * - `snapshot`: the state of a topic, for clients that ask for one: at their first join, and behind a gap. It is taken behind
 *   `position`, so it may contain publications that follow. A program writes its state first and publishes then, or
 *   a snapshot could lack a publication that is not delivered any more.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions<T extends Topic.Any, in Claims, out R> {
  readonly subscribe?: ((request: Request<T, Claims>) => Effect.Effect<unknown, T["refusal"]["Type"], R>) | undefined
  readonly publish?:
    | ((
      request: Request<T, Claims> & { readonly value: T["publication"]["Type"]; readonly key: string }
    ) => Effect.Effect<unknown, T["refusal"]["Type"], R>)
    | undefined
  readonly signal?:
    | ((
      request: Request<T, Claims> & { readonly value: T["signal"]["Type"] }
    ) => Effect.Effect<unknown, T["refusal"]["Type"], R>)
    | undefined
  readonly join?:
    | ((
      request: Request<T, Claims> & { readonly member: string; readonly value: T["member"]["Type"] }
    ) => Effect.Effect<unknown, T["refusal"]["Type"], R>)
    | undefined
  readonly watch?: ((request: Request<T, Claims>) => Effect.Effect<unknown, T["refusal"]["Type"], R>) | undefined
  readonly snapshot?:
    | ((
      request: Request<T, Claims> & { readonly position: Broker.Position }
    ) => Effect.Effect<T["snapshot"]["Type"], T["refusal"]["Type"], R>)
    | undefined
}

/**
 * A family that a route serves, whatever it expects.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyServed {
  readonly topic: Topic.Any
}

declare const ServedClaims: unique symbol
declare const ServedServices: unique symbol

/**
 * A family that a route serves, made by {@link serve}: what claims it expects of connections, and which services it needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Served<in Claims, out R> extends AnyServed {
  readonly [ServedClaims]?: (claims: Claims) => void
  readonly [ServedServices]?: () => R
}

class ServedFamily implements Family {
  readonly topic: Topic.Any
  readonly authorize: Family["authorize"]
  readonly snapshot: Family["snapshot"]

  constructor(topic: Topic.Any, { join, publish, signal, snapshot, subscribe, watch }: ServeOptions<Topic.Any, never, never>) {
    this.topic = topic
    // What they are asked has the types of the family: it was decoded by its Schemas.
    this.authorize = { join, publish, signal, subscribe, watch } as Family["authorize"]
    this.snapshot = snapshot as Family["snapshot"]
  }
}

/**
 * A family that a route serves, with who may do what.
 *
 * **Example** (Members only)
 *
 * ```ts
 * import { Topic, Topics } from "@effect-ws/core/realtime"
 * import { Effect, Schema } from "effect"
 *
 * interface User {
 *   readonly name: string
 *   readonly rooms: ReadonlyArray<string>
 * }
 *
 * const Room = Topic.make("room/:id", {
 *   publication: Schema.Struct({ author: Schema.String, text: Schema.String }),
 *   refusal: Schema.TaggedStruct("NotInvited", { room: Schema.String })
 * })
 *
 * export const rooms = Topics.serve(Room, {
 *   subscribe: ({ claims, params }: Topics.Request<typeof Room, User>) =>
 *     claims.rooms.includes(params.id)
 *       ? Effect.void
 *       : Effect.fail({ _tag: "NotInvited" as const, room: params.id })
 * })
 * ```
 *
 * @category serving
 * @since 0.1.0
 */
export const serve = <T extends Topic.Any, Claims = unknown, R = never>(
  topic: T,
  options: ServeOptions<T, Claims, R> = {}
): Served<Claims, R | Topic.Services<T>> => new ServedFamily(topic, options as ServeOptions<Topic.Any, never, never>)

type ServicesOf<S extends ReadonlyArray<AnyServed>> = S[number] extends Served<never, infer R> ? R : never

/**
 * How a route serves topics: how connections are accepted, and their limits. `limits` comes before those of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandleOptions extends Omit<Contract.AcceptOptions, "onInvalid" | "slowConsumer" | "requireSubprotocol"> {
  readonly limits?: Limits.TopicOptions | undefined
}

/**
 * A route's handler that serves families of topics to clients that speak `effect-ws.topics.v1`, such as `TopicClient`.
 *
 * @category serving
 * @since 0.1.0
 */
export const handle = <const S extends ReadonlyArray<AnyServed>>(
  families: S,
  { limits: own, ...accept }: HandleOptions = {}
) => {
  const served = new Families(families.map((family) => {
    if (family instanceof ServedFamily) return family
    throw new TypeError("A family is served by Topics.serve")
  }))
  return Contract.handle(TopicsContract, (connection) =>
    Effect.gen(function*() {
      const owner = yield* hub
      const limits = own === undefined ? owner.limits : Limits.makeTopics(own, owner.limits)
      const context = yield* Effect.context<ServicesOf<S>>()
      const session = new Session(connection.ws, owner, limits, context as Context.Context<never>)
      const requests = new Requests(new Caller(session, served, undefined))
      const { calls, publish: { size }, subscriptions } = limits
      yield* Effect.andThen(
        session.send(Answers.welcome({ calls, subscriptions, size })),
        Stream.runForEach(connection.messages, requests.take)
      ).pipe(Effect.ensuring(session.end))
    }), accept)
}
