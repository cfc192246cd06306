/**
 * The messages of the subprotocol `effect-ws.topics.v1`: JSON texts, one object each, whose `type` says what they are.
 * docs/topics-protocol.md describes them for other languages.
 */
import * as Schema from "effect/Schema"

/** The name of the contract; the subprotocol is `effect-ws.topics.v1+json`. */
export const name = "effect-ws.topics.v1"

/** The longest name of a topic, in characters. */
export const longestTopic = 256
/** The longest key of a publication, and the longest name of a member, in characters. */
export const longestKey = 128
/** How deep the JSON of a message may be nested. A message that is nested deeper is no message. */
export const deepest = 100
/** How deep a value in it may be nested, wherever it is. */
export const deepestValue = deepest - 4

const bounded = (length: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(length))

const TopicName = bounded(longestTopic)
const Key = bounded(longestKey)

/** Whether a text can be the key of a publication, or the name of a member. */
export const isKey = (text: string): boolean => text !== "" && text.length <= longestKey

/** Why a text cannot be. */
export const keyRule = (what: string, text: string): string =>
  `${what} has 1 to ${longestKey} characters, and not ${text.length}`

const Offset = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))

export const Position = Schema.Struct({ epoch: bounded(64), offset: Offset })

/**
 * A client asks for the publications of a topic, behind `since`, or behind the top. Asked again for a topic to which it is
 * subscribed, the server goes back (or forward) to `since`. `"start"` is the position before the oldest publication that is kept: it can
 * always be had, so the answer has no gap, and a snapshot only if `snapshot` asks for it. `snapshot` asks for the topic's snapshot in the answer.
 */
export const Subscribe = Schema.Struct({
  type: Schema.tag("subscribe"),
  id: Id,
  topic: TopicName,
  since: Schema.optionalKey(Schema.Union([Position, Schema.Literal("start")])),
  snapshot: Schema.optionalKey(Schema.Boolean)
})

export const Unsubscribe = Schema.Struct({ type: Schema.tag("unsubscribe"), id: Id, topic: TopicName })

export const Publish = Schema.Struct({
  type: Schema.tag("publish"),
  id: Id,
  topic: TopicName,
  key: Key,
  value: Schema.Json
})

/** Not answered, but for a refusal. */
export const Signal = Schema.Struct({ type: Schema.tag("signal"), id: Id, topic: TopicName, value: Schema.Json })

/** The client is present in the topic as `member`, until `leave` or the end of the connection. */
export const Join = Schema.Struct({
  type: Schema.tag("join"),
  id: Id,
  topic: TopicName,
  member: Key,
  value: Schema.Json
})

export const Leave = Schema.Struct({ type: Schema.tag("leave"), id: Id, topic: TopicName })

/** The client is told who is present in the topic, now and at every change. */
export const Watch = Schema.Struct({ type: Schema.tag("watch"), id: Id, topic: TopicName })

export const Unwatch = Schema.Struct({ type: Schema.tag("unwatch"), id: Id, topic: TopicName })

/** New credentials, before the old ones expire. */
export const Authenticate = Schema.Struct({ type: Schema.tag("authenticate"), id: Id, token: bounded(16_384) })

export const ToServer = Schema.Union([
  Subscribe,
  Unsubscribe,
  Publish,
  Signal,
  Join,
  Leave,
  Watch,
  Unwatch,
  Authenticate
])

export type ToServer = typeof ToServer.Type

/** The first message of a server: what it allows. */
export const Welcome = Schema.Struct({
  type: Schema.tag("welcome"),
  /** Publications that one connection may have under way. */
  calls: Schema.Int,
  /** Topics to which one connection may be subscribed. */
  subscriptions: Schema.Int,
  /** The largest value that may be published, in characters of its JSON text. */
  size: Schema.Int
})

/** Why publications are missing from a subscription. */
export const GapReason = Schema.Literals(["history", "epoch"])

/**
 * Publications are missing between `from` (the last one that was delivered, or asked for) and `to` (delivery goes on behind it).
 * `history`: they are no longer kept. `epoch`: the broker lost data.
 */
export const GapFields = Schema.Struct({ reason: GapReason, from: Position, to: Position })

/**
 * The subscription stands: publications follow behind `position`. If `gap` is there, what was asked for could not be had. `top` is the offset
 * of the last publication at this moment. The snapshot is the state at its own position, which is not before `position`.
 */
export const Subscribed = Schema.Struct({
  type: Schema.tag("subscribed"),
  id: Id,
  topic: TopicName,
  position: Position,
  top: Offset,
  gap: Schema.optionalKey(GapFields),
  snapshot: Schema.optionalKey(Schema.Struct({ position: Position, value: Schema.Json }))
})

export const Publication = Schema.Struct({
  type: Schema.tag("publication"),
  topic: TopicName,
  epoch: bounded(64),
  offset: Offset,
  key: Schema.String,
  value: Schema.Json
})

/** A subscription that stood has lost publications; it goes on behind `gap.to`. */
export const Gap = Schema.Struct({ type: Schema.tag("gap"), topic: TopicName, gap: GapFields })

/** A publication was applied; `duplicate` if that was earlier, under the same key. */
export const PublishedAnswer = Schema.Struct({
  type: Schema.tag("published"),
  id: Id,
  position: Position,
  duplicate: Schema.Boolean
})

/** What was asked for (`unsubscribe`, `join`, `leave`, `watch`, `unwatch`, `authenticate`) was done. */
export const Done = Schema.Struct({ type: Schema.tag("done"), id: Id })

/**
 * What was asked for was not done.
 *
 * - `refused`: the program does not allow it; `error` is the program's own, by the family's Schema.
 * - `invalid`: the value does not match the family's Schema; `message` names the place.
 * - `unknown-topic`: no family of the server has such a name.
 * - `limit`: a limit of the server; `message` names it. `retryAfter` says in how many milliseconds it may be tried again.
 * - `unavailable`: the broker failed, and nothing was applied; it may be tried again.
 * - `unknown`: the broker failed, and it may have been applied; a publication may be sent again under its key.
 * - `defect`: the server's program failed in a way that it does not provide for, and nothing was applied. It may be tried again a
 *   few times.
 */
export const Failed = Schema.Struct({
  type: Schema.tag("failed"),
  id: Id,
  code: Schema.Literals(["refused", "invalid", "unknown-topic", "limit", "unavailable", "unknown", "defect"]),
  message: Schema.String,
  error: Schema.optionalKey(Schema.Json),
  retryAfter: Schema.optionalKey(Schema.Int)
})

export const Signalled = Schema.Struct({
  type: Schema.tag("signalled"),
  topic: TopicName,
  from: Schema.String,
  value: Schema.Json
})

export const Member = Schema.Struct({ member: Schema.String, value: Schema.Json })

/**
 * Who is present. With `full` the members are all there are, and others are forgotten; without it they came, or have another
 * value. Where there are more members than the server lists, only `count` is told.
 */
export const Presence = Schema.Struct({
  type: Schema.tag("presence"),
  topic: TopicName,
  count: Schema.Int,
  full: Schema.Boolean,
  listed: Schema.Boolean,
  members: Schema.Array(Member),
  left: Schema.Array(Schema.String)
})

/** The server ended a subscription: the program revoked it. */
export const Ended = Schema.Struct({
  type: Schema.tag("ended"),
  topic: TopicName,
  message: Schema.String,
  error: Schema.optionalKey(Schema.Json)
})

/** The credentials expire in `after` milliseconds. The connection is closed then, with 4401, unless the client authenticates again. */
export const Expiring = Schema.Struct({ type: Schema.tag("expiring"), after: Schema.Int })

export const ToClient = Schema.Union([
  Welcome,
  Subscribed,
  Publication,
  Gap,
  PublishedAnswer,
  Done,
  Failed,
  Signalled,
  Presence,
  Ended,
  Expiring
])

export type ToClient = typeof ToClient.Type
