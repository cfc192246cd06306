/**
 * Families of topics: what is published in them, who they are, and how long it is kept, in one value that both
 * sides import.
 *
 * **Example** (The rooms of a chat)
 *
 * ```ts
 * import { Topic } from "@effect-ws/core/realtime"
 * import { Schema } from "effect"
 *
 * export const Room = Topic.make("room/:id", {
 *   publication: Schema.Struct({ author: Schema.String, text: Schema.String }),
 *   signal: Schema.TaggedStruct("Typing", {}),
 *   member: Schema.Struct({ name: Schema.String }),
 *   history: { size: 500, timeToLive: "1 day" }
 * })
 *
 * console.log(Topic.nameOf(Room, { id: "7" })) // room/7
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { History } from "./Broker.ts"
import { longestTopic } from "./wire/Messages.ts"

/**
 * The names of the parameters in a path: `"id"` in `"room/:id"`.
 *
 * @category models
 * @since 0.1.0
 */
export type ParamNames<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? ParamNames<Segment> | ParamNames<Rest>
  : Path extends `:${infer Name}` ? Name
  : never

/**
 * The Schema of each parameter, whose encoded side is the text in the topic's name.
 *
 * @category models
 * @since 0.1.0
 */
export type ParamSchemas<Path extends string> = { readonly [Name in ParamNames<Path>]: Schema.ConstraintCodec<unknown, string> }

/**
 * The parameters of a topic, decoded.
 *
 * @category models
 * @since 0.1.0
 */
export type Params<T extends Any> = { readonly [Name in keyof T["params"]]: T["params"][Name]["Type"] }

/**
 * A family of topics, made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topic<
  out Path extends string,
  out Parameters extends { readonly [name: string]: Schema.ConstraintCodec<unknown, string> },
  out Publication extends Schema.Constraint,
  out Signal extends Schema.Constraint,
  out Member extends Schema.Constraint,
  out Snapshot extends Schema.Constraint,
  out Refusal extends Schema.Constraint
> {
  /** The path with its parameters, such as `room/:id`: the name of the family. */
  readonly path: Path
  readonly params: Parameters
  readonly publication: Publication
  readonly signal: Signal
  readonly member: Member
  readonly snapshot: Snapshot
  readonly refusal: Refusal
  readonly history: History
}

/**
 * Any family.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Topic<
  string,
  { readonly [name: string]: Schema.ConstraintCodec<unknown, string> },
  Schema.Constraint,
  Schema.Constraint,
  Schema.Constraint,
  Schema.Constraint,
  Schema.Constraint
>

/**
 * What the Schemas of a family need where they encode and decode.
 *
 * @category models
 * @since 0.1.0
 */
export type Services<T extends Any> = {
  readonly [Key in "publication" | "signal" | "member" | "snapshot" | "refusal"]:
    | T[Key]["DecodingServices"]
    | T[Key]["EncodingServices"]
}["publication" | "signal" | "member" | "snapshot" | "refusal"]

/**
 * Makes a family of topics.
 *
 * **Details**
 *
 * - `path`: segments between `/`; a segment that begins with `:` is a parameter.
 * - `params`: a Schema for parameters that are not just text.
 * - `publication`: what is published, kept, and delivered to every subscriber in one order.
 * - `signal`: what passes by: cursors, "is typing". Not kept, and lost where a subscriber is away or slow. None by default.
 * - `member`: what is told of those who are present. None by default.
 * - `snapshot`: the state from which a subscriber starts at its first join, and behind a gap. None by default.
 * - `refusal`: why something is not allowed. None by default.
 * - `history`: the last `size` publications (default 1,000), none older than `timeToLive` (default 1 hour). A key is remembered for
 *   `keyTimeToLive` (default 10 minutes).
 *
 * It throws if a path is empty, has an empty segment or the same parameter twice.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Path extends string,
  Publication extends Schema.Constraint,
  Signal extends Schema.Constraint = Schema.Never,
  Member extends Schema.Constraint = Schema.Never,
  Snapshot extends Schema.Constraint = Schema.Never,
  Refusal extends Schema.Constraint = Schema.Never,
  Parameters extends Partial<ParamSchemas<Path>> = {}
>(
  path: Path,
  options: {
    readonly params?: Parameters & { readonly [Name in Exclude<keyof Parameters, ParamNames<Path>>]: never } | undefined
    readonly publication: Publication
    readonly signal?: Signal | undefined
    readonly member?: Member | undefined
    readonly snapshot?: Snapshot | undefined
    readonly refusal?: Refusal | undefined
    readonly history?: {
      readonly size?: number | undefined
      readonly timeToLive?: Duration.Input | undefined
      readonly keyTimeToLive?: Duration.Input | undefined
    } | undefined
  }
): Topic<
  Path,
  {
    readonly [Name in ParamNames<Path>]: Name extends keyof Parameters
      ? Parameters[Name] extends Schema.ConstraintCodec<unknown, string> ? Parameters[Name] : Schema.String
      : Schema.String
  },
  Publication,
  Signal,
  Member,
  Snapshot,
  Refusal
> => {
  const names = path.split("/").filter((segment) => segment.startsWith(":")).map((segment) => segment.slice(1))
  if (path.split("/").some((segment) => segment === "" || segment === ":")) {
    throw new Error(`The path of a topic has no empty segment, which ${JSON.stringify(path)} has`)
  }
  if (new Set(names).size < names.length) throw new Error(`The path ${JSON.stringify(path)} names a parameter twice`)
  const { history = {}, member = Schema.Never, refusal = Schema.Never, signal = Schema.Never, snapshot = Schema.Never } = options
  const given = options.params as Record<string, Schema.ConstraintCodec<unknown, string>> | undefined
  const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))
  return {
    path,
    // The defaults fill in what the type says is there.
    params: Object.fromEntries(names.map((name) => [name, given?.[name] ?? Schema.String])) as never,
    publication: options.publication,
    signal: signal as Signal,
    member: member as Member,
    snapshot: snapshot as Snapshot,
    refusal: refusal as Refusal,
    history: {
      size: history.size ?? 1000,
      timeToLive: millis(history.timeToLive ?? "1 hour"),
      keyTimeToLive: millis(history.keyTimeToLive ?? "10 minutes")
    }
  }
}

/**
 * The name of one topic of a family: the path with its parameters, each percent-encoded.
 *
 * **Details**
 *
 * It throws if a parameter does not match its Schema, if it is empty, or if the name is longer than 256 characters.
 *
 * @category conversions
 * @since 0.1.0
 */
export const nameOf = <T extends Any>(topic: T, params: Params<T>): string => {
  const name = topic.path.split("/").map((segment) => {
    if (!segment.startsWith(":")) return segment
    const key = segment.slice(1)
    const text = Schema.encodeUnknownSync(topic.params[key])(params[key])
    if (text === "") throw new Error(`The parameter ${key} of the topic ${topic.path} is empty`)
    return encodeURIComponent(text)
  }).join("/")
  if (name.length > longestTopic) throw new Error(`The name of a topic has at most ${longestTopic} characters: ${topic.path}`)
  return name
}

/**
 * The parameters in the name of a topic, if it is one of the family, in the one way in which {@link nameOf} writes it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const paramsOf = <T extends Any>(topic: T, name: string): Option.Option<Params<T>> => {
  const segments = name.split("/")
  const path = topic.path.split("/")
  if (segments.length !== path.length || name.length > longestTopic) return Option.none()
  const params: Record<string, unknown> = {}
  for (let i = 0; i < path.length; i++) {
    const expected = path[i]
    const segment = segments[i]
    if (!expected.startsWith(":")) {
      if (segment !== expected) return Option.none()
      continue
    }
    const text = decoded(segment)
    if (text === undefined || text === "" || encodeURIComponent(text) !== segment) return Option.none()
    const value = Schema.decodeUnknownOption(topic.params[expected.slice(1)])(text)
    if (Option.isNone(value)) return Option.none()
    params[expected.slice(1)] = value.value
  }
  return Option.some(params as Params<T>)
}

const decoded = (segment: string): string | undefined => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
