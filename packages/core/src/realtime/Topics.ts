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
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Contract from "../Contract.ts"
import * as Limits from "../Limits.ts"
import { checkClose } from "../protocol/CloseFrame.ts"
import * as Observability from "../Observability.ts"
import { respondable } from "../server/Responses.ts"
import { HandshakeError, type UpgradeUnavailable } from "../WebSocketError.ts"
import type * as WebSocketServer from "../WebSocketServer.ts"
import * as Broker from "./Broker.ts"
import * as Clients from "./hub/Clients.ts"
import { Families, type Family, schemasOf } from "./hub/Family.ts"
import * as Hubs from "./hub/Hub.ts"
import * as Local from "./hub/Local.ts"
import { ofProgram } from "./hub/Spans.ts"
import { meterOf } from "./hub/TopicsMeter.ts"
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
      const hub = yield* Hubs.make(broker, Limits.makeTopics(options))
      if ((yield* Observability.CurrentOptions).metrics !== false) {
        const meter = meterOf(yield* Effect.context<never>())
        meter.begin(hub)
        yield* Effect.addFinalizer(() => Effect.sync(() => meter.end(hub)))
      }
      return new Service(hub)
    })
  )

const encoded = (schemas: ReturnType<typeof schemasOf>, what: "publication" | "signal" | "member" | "refusal", value: unknown) =>
  Effect.catch(schemas.of(what).encode(value), ({ error, message }) =>
    error === undefined ? Effect.die(new RangeError(message)) : Effect.fail(error))

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
): Effect.Effect<Broker.Position, Broker.BrokerError | Schema.SchemaError | ValueTooLarge, Topics | T["publication"]["EncodingServices"]> =>
  Effect.gen(function*() {
    const own = yield* hub
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
    /** Who sends it. Default a name of this process. */
    readonly from?: string | undefined
  }
): Effect.Effect<void, Broker.BrokerError | Schema.SchemaError | ValueTooLarge, Topics | T["signal"]["EncodingServices"]> =>
  Effect.gen(function*() {
    const own = yield* hub
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
  Broker.BrokerError | Schema.SchemaError | ValueTooLarge,
  Topics | Scope.Scope | T["member"]["EncodingServices"]
> =>
  Effect.gen(function*() {
    const own = yield* hub
    const name = Topic.nameOf(topic, params)
    const payload = yield* bounded(own, topic, name, "member", value)
    const entered = yield* Effect.acquireRelease(
      Effect.sync(() => own.enter(name, { id: own.uniqueName(), member, payload })),
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
 *   a snapshot could lack a publication that is not delivered any more. It is one message: clients take 1 MiB by default.
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

declare const ServedTypes: unique symbol

/**
 * A family that a route serves, made by {@link serve}: what claims it expects of connections, and which services it needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Served<T extends Topic.Any, in Claims, out R> extends AnyServed {
  readonly topic: T
  readonly [ServedTypes]?: (claims: Claims) => R
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
): Served<T, Claims, R | Topic.Services<T>> =>
  new ServedFamily(topic, options as ServeOptions<Topic.Any, never, never>) as unknown as Served<T, Claims, R | Topic.Services<T>>

type ServicesOf<S extends ReadonlyArray<AnyServed>> = S[number] extends Served<Topic.Any, never, infer R> ? R : never

/** What all families of a route expect: the intersection. */
type ClaimsOf<S extends ReadonlyArray<AnyServed>> = (
  S[number] extends infer One ? One extends Served<Topic.Any, infer Claims, unknown> ? (claims: Claims) => void : never : never
) extends (claims: infer All) => void ? All : never

/**
 * A client is not let in.
 *
 * **Details**
 *
 * - `reason`: the client sees it.
 * - `status`: 401 (default) for credentials that are missing, wrong or expired: a client tries once more with fresh ones. 403
 *   for a client that is not let in whatever it shows.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends Schema.TaggedError<Unauthorized>("@effect-ws/core/Topics/Unauthorized")("Unauthorized", {
  reason: Schema.String,
  status: Schema.Literals([401, 403]).pipe(Schema.withConstructorDefault(Effect.succeed(401 as const)))
}) {
  override get message() {
    return this.reason
  }
}

/**
 * Who a client is: its claims, which authorizers are given, and when they expire.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity<out Claims> {
  readonly claims: Claims
  readonly expires?: DateTime.DateTime | undefined
}

/**
 * How clients say who they are.
 *
 * **Details**
 *
 * - `request`: who the request comes from, by its cookie or another header. It runs before the connection is accepted, and may
 *   use `HttpServerRequest`. `undefined` means that a token has to say it.
 * - `token`: who sends a token in a message. A client that is not known yet has 10 seconds for it, and may do nothing else before.
 *   One that is known refreshes its claims with it: what it may do no more ends.
 *
 * 30 seconds before the claims expire, or halfway if that is later, the client is told; then the connection is closed with 4401,
 * unless a token came. The times are in `Limits.TopicOptions`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authenticate<out Claims, out R = never> {
  readonly request?: Effect.Effect<Identity<Claims> | undefined, Unauthorized, R> | undefined
  readonly token?:
    | ((token: string, claims: unknown) => Effect.Effect<Identity<Claims>, Unauthorized, R>)
    | undefined
}

/**
 * How a route serves topics: how connections are accepted, and their limits.
 *
 * **Details**
 *
 * - `limits`: come before those of {@link layer}.
 * - `refuse`: how a request is refused that `authenticate.request` does not let in: by its `"status"` (default), or by accepting
 *   the connection and closing it with 4401 or 4403 and the reason. The second is for pages, which cannot see a status.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandleOptions extends Omit<Contract.AcceptOptions, "onInvalid" | "slowConsumer" | "requireSubprotocol"> {
  readonly limits?: Limits.TopicOptions | undefined
  readonly refuse?: "status" | "close" | undefined
}

/** What is known of the client whose connection is about to be accepted. */
const Arriving = Context.Reference<Identity<unknown> | Unauthorized | undefined>("@effect-ws/core/Topics/Arriving", {
  defaultValue: () => undefined
})

type Response<R> = Effect.Effect<
  Effect.Success<ReturnType<typeof Contract.handle>>,
  HandshakeError | UpgradeUnavailable,
  Topics | Exclude<Effect.Services<ReturnType<typeof WebSocketServer.accept>>, Scope.Scope> | R
>

/**
 * A route's handler that serves families of topics to clients that speak `effect-ws.topics.v1`, such as `TopicClient`.
 *
 * **Details**
 *
 * Whoever reaches the route may connect, unless `authenticate` says who may. What a connection may do is decided by the
 * authorizers of {@link serve}. Of several families that the name of a topic fits, the first counts.
 *
 * **Example** (Users with a token)
 *
 * ```ts
 * import { Topic, Topics } from "@effect-ws/core/realtime"
 * import { Context, type DateTime, Effect, Schema } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * class Tokens extends Context.Service<Tokens, {
 *   readonly verify: (token: string) => Effect.Effect<{ readonly user: string; readonly until: DateTime.Utc }, Error>
 * }>()("Tokens") {}
 *
 * const Inbox = Topic.make("inbox/:user", { publication: Schema.String, refusal: Schema.Literal("not yours") })
 *
 * const inboxes = Topics.serve(Inbox, {
 *   subscribe: ({ claims, params }: Topics.Request<typeof Inbox, { readonly user: string }>) =>
 *     claims.user === params.user ? Effect.void : Effect.fail("not yours" as const),
 *   publish: () => Effect.fail("not yours" as const)
 * })
 *
 * export const route = HttpRouter.add("GET", "/topics", Topics.handle([inboxes], {
 *   authenticate: {
 *     token: (token) =>
 *       Effect.flatMap(Tokens, (tokens) => tokens.verify(token)).pipe(
 *         Effect.map(({ until, user }) => ({ claims: { user }, expires: until })),
 *         Effect.mapError(() => new Topics.Unauthorized({ reason: "the token is not valid" }))
 *       )
 *   }
 * }))
 * ```
 *
 * @category serving
 * @since 0.1.0
 */
export const handle: {
  <const S extends ReadonlyArray<AnyServed>, R>(
    families: S,
    options: HandleOptions & { readonly authenticate: Authenticate<ClaimsOf<S>, R> }
  ): Response<R | ServicesOf<S>>
  <const S extends ReadonlyArray<AnyServed>>(
    families: unknown extends ClaimsOf<S> ? S : never,
    options?: HandleOptions & { readonly authenticate?: undefined }
  ): Response<ServicesOf<S>>
} = <R>(
  families: ReadonlyArray<AnyServed>,
  { authenticate, limits: own, refuse = "status", ...accept }: HandleOptions & {
    readonly authenticate?: Authenticate<unknown, R> | undefined
  } = {}
): Response<R> => {
  const served = new Families(families.map((family) => {
    if (family instanceof ServedFamily) return family
    throw new TypeError("A family is served by Topics.serve")
  }))
  // Its services are those of the route, which the handler runs it with.
  const token = authenticate?.token as unknown as Clients.FromToken | undefined
  const handler = Contract.handle(TopicsContract, (connection) =>
    Effect.gen(function*() {
      const arriving = yield* Arriving
      if (arriving instanceof Unauthorized) return yield* Clients.turnAway(connection.ws, arriving)
      const owner = yield* hub
      const limits = own === undefined ? owner.limits : Limits.makeTopics(own, owner.limits)
      // The services of authorizers and Schemas are those of the route.
      const context = yield* Effect.context<never>()
      return yield* Clients.serve(connection, { hub: owner, limits, context, families: served, arriving, token })
    }), {
      ...accept,
      // A group of options that was read from the environment may have others.
      slowConsumer: "suspend",
      onInvalid: "close",
      requireSubprotocol: true
    })
  const { request } = authenticate ?? {}
  if (request === undefined) return handler as Response<R>
  const asked = Effect.matchEffect(request, {
    onSuccess: (identity) =>
      identity === undefined && authenticate?.token === undefined
        ? Effect.fail(new Unauthorized({ reason: "there are no credentials" }))
        : Effect.succeed(identity),
    onFailure: (error) => Effect.fail(error)
  })
  return Effect.flatMap(
    Effect.catch(asked, (error) => refuse === "close" ? Effect.succeed(error) : Effect.fail(refused(error))),
    (arriving) => Effect.provideService(handler, Arriving, arriving)
  ) as Response<R>
}

const refused = ({ reason, status }: Unauthorized): HandshakeError =>
  respondable(new HandshakeError({ reason: "Application", section: "", detail: reason, status, headers: [], body: "" }))

/**
 * Ends what clients have of a topic in this process: subscriptions, watches, presence. They are told so.
 *
 * **When to use**
 *
 * Where somebody has lost a right. Take the right away first: for a client that subscribes at the same time the authorizer is asked
 * again, and what one that subscribes anew had ends with what it is about to have.
 *
 * **Details**
 *
 * Of the connections that are served by `served`, those whose claims `where` accepts; all of them by default. Other processes
 * have their own: publish in a topic of the program that all of them are subscribed to, and revoke where that is heard.
 *
 * @category revoking
 * @since 0.1.0
 */
export const revoke = <T extends Topic.Any, Claims, R>(
  served: Served<T, Claims, R>,
  params: Topic.Params<T>,
  options: {
    readonly where?: ((claims: Claims) => boolean) | undefined
    /** For people, and for the log of the client. */
    readonly reason?: string | undefined
    readonly error?: T["refusal"]["Type"] | undefined
  } = {}
): Effect.Effect<void, Schema.SchemaError, Topics | T["refusal"]["EncodingServices"]> =>
  Effect.gen(function*() {
    const { clients } = yield* hub
    const { error, reason = "the program has ended it", where = () => true } = options
    const text = error === undefined ? undefined : yield* encoded(schemasOf(served.topic), "refusal", error)
    const name = Topic.nameOf(served.topic, params)
    for (const client of concerned(clients, served, where)) client.revoke(name, reason, text)
  })

const concerned = <T extends Topic.Any, Claims, R>(
  clients: Iterable<Hubs.Client>,
  served: Served<T, Claims, R>,
  where: (claims: Claims) => boolean
): ReadonlyArray<Hubs.Client> =>
  Array.from(clients).filter((client) =>
    // The routes that serve it have claims of this type.
    client.isKnown && client.serves(served) && where(client.claims as Claims))

/**
 * Closes the connections of clients in this process whose claims `where` accepts, of all routes that serve `served`. It does not wait
 * for them, and dies with `InvalidArgument` where a code or reason cannot be sent.
 *
 * @category revoking
 * @since 0.1.0
 */
export const disconnect = <T extends Topic.Any, Claims, R>(
  served: Served<T, Claims, R>,
  where: (claims: Claims) => boolean,
  options: {
    /** Default 4403, after which a client does not come back; 4401 asks it for fresh credentials. */
    readonly code?: number | undefined
    readonly reason?: string | undefined
  } = {}
): Effect.Effect<void, never, Topics> =>
  Effect.flatMap(hub, ({ clients }) => {
    const { code = 4403, reason = "" } = options
    const checked = checkClose("server", code, reason)
    if (Result.isFailure(checked)) return Effect.die(checked.failure)
    for (const client of concerned(clients, served, where)) client.close(code, reason)
    return Effect.void
  })
