/** The ways in which what is asked of a topic fails. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Topic from "../Topic.ts"
import { type Failed, Position } from "../wire/Messages.ts"
import { decoderOf } from "./Codec.ts"

/** What a client asks of a server. */
export const Operation = Schema.Literals(["subscribe", "publish", "signal", "join", "watch", "authenticate"])

/**
 * The server did not do what was asked, and will not if it is asked again.
 *
 * **Details**
 *
 * - `code`: `refused` the program does not allow it (where the family says why, the operation fails with the
 *   family's own error instead); `invalid` the value does not match the server's Schema; `unknown-topic` no family of the server has
 *   such a name; `limit` a limit of the server; `ended` the server ended the subscription; `defect` the server's program failed each
 *   time that it was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class TopicError extends Schema.TaggedError<TopicError>("@effect-ws/core/TopicClient/TopicError")("TopicError", {
  operation: Operation,
  topic: Schema.String,
  code: Schema.Literals(["refused", "invalid", "unknown-topic", "limit", "ended", "defect"]),
  detail: Schema.String
}) {
  override get message() {
    const of = this.topic === "" ? "" : ` ${this.topic}`
    return `Cannot ${this.operation}${of}: ${this.detail === "" ? this.code : this.detail}`
  }
}

/**
 * A publication was sent and not acknowledged: it may have been applied, or may still be.
 *
 * **Details**
 *
 * Under the same `key` it can be published again for as long as the family remembers keys, and is applied once.
 *
 * @category errors
 * @since 0.1.0
 */
export class PublishUnknown extends Schema.TaggedError<PublishUnknown>("@effect-ws/core/TopicClient/PublishUnknown")(
  "PublishUnknown",
  { topic: Schema.String, key: Schema.String, cause: Schema.optional(Schema.Defect()) }
) {
  override get message() {
    return `Whether the publication ${this.key} was applied in ${this.topic} is unknown`
  }
}

/**
 * The server sent a value that does not match the family's Schema on this side.
 *
 * **Details**
 *
 * A publication or a snapshot has its `position`: subscribed again with `since` there, a reader goes on behind it. `key` is that of
 * a publication.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidValue extends Schema.TaggedError<InvalidValue>("@effect-ws/core/TopicClient/InvalidValue")("InvalidValue", {
  topic: Schema.String,
  what: Schema.Literals(["publication", "snapshot", "signal", "member", "refusal"]),
  position: Schema.optional(Position),
  key: Schema.optional(Schema.String),
  cause: Schema.Defect()
}) {
  override get message() {
    return `A ${this.what} of ${this.topic} does not match the Schema of its family`
  }
}

/** Why a server did not do what was asked, before the family's Schema has had its say. */
export class Refused {
  readonly operation: typeof Operation.Type
  readonly topic: string
  readonly code: TopicError["code"]
  readonly detail: string
  readonly error: Schema.Json | undefined

  constructor(operation: typeof Operation.Type, topic: string, code: TopicError["code"], detail: string, error: Schema.Json | undefined) {
    this.operation = operation
    this.topic = topic
    this.code = code
    this.detail = detail
    this.error = error
  }
}

type Answer = typeof Failed.Type

/** How often it is asked again what a server's program has died of. A broker comes back; a defect is there until somebody mends it. */
const mostDefects = 4

/** How often in a row something was not done, and so when it is asked for again. */
export class Retries {
  private failures = 0
  private defects = 0

  /** It was done. */
  reset(): void {
    this.failures = this.defects = 0
  }

  /** It was not done: after how many milliseconds it is asked for again, or `undefined` where that is the answer. */
  next({ code, retryAfter }: Answer, random: number): number | undefined {
    switch (code) {
      case "unavailable":
      case "unknown":
        return Math.max(retryAfter ?? 0, pause(this.failures++, random))
      case "defect":
        return this.defects < mostDefects ? Math.max(retryAfter ?? 0, pause(this.defects++, random)) : undefined
      case "limit":
        return retryAfter === undefined ? undefined : Math.max(1, retryAfter)
      default:
        return undefined
    }
  }
}

/** Everybody asks when a broker is back, so not all at once. */
const pause = (turn: number, random: number): number => Math.ceil((0.5 + random / 2) * Math.min(5000, 250 * 2 ** Math.min(turn, 10)))

/** An answer after which it is not asked again. */
export const refusedBy = (operation: typeof Operation.Type, topic: string, answer: Answer): Refused =>
  new Refused(operation, topic, answer.code as TopicError["code"], answer.message, answer.error)

/** The error of the family, or else ours. */
export const failureOf = <T extends Topic.Any>(
  family: T,
  refused: Refused
): Effect.Effect<never, T["refusal"]["Type"] | TopicError | InvalidValue, T["refusal"]["DecodingServices"]> => {
  const { code, detail, error, operation, topic } = refused
  if (error === undefined) return Effect.fail(new TopicError({ operation, topic, code, detail }))
  return Effect.matchEffect(decoderOf(family.refusal)(error), {
    onFailure: (cause) => Effect.fail(new InvalidValue({ topic, what: "refusal", cause })),
    onSuccess: (value) => Effect.fail(value as T["refusal"]["Type"])
  })
}
