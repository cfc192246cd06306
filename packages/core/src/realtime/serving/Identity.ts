/** Who a client is, and how it says so. */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

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
