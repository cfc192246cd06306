/** Families with who may do what in them, as routes serve them. */
import type * as Effect from "effect/Effect"
import type * as Broker from "../Broker.ts"
import type { Family } from "../hub/Family.ts"
import type * as Topic from "../Topic.ts"

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

export class ServedFamily implements Family {
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

/** What the authorizers and the Schemas of a route's families need. */
export type ServicesOf<S extends ReadonlyArray<AnyServed>> = S[number] extends Served<Topic.Any, never, infer R> ? R : never

/** What all families of a route expect: the intersection. */
export type ClaimsOf<S extends ReadonlyArray<AnyServed>> = (
  S[number] extends infer One ? One extends Served<Topic.Any, infer Claims, unknown> ? (claims: Claims) => void : never : never
) extends (claims: infer All) => void ? All : never
