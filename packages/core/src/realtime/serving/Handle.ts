/** The handler of a route that serves topics. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Contract from "../../Contract.ts"
import * as Limits from "../../Limits.ts"
import { respondable } from "../../server/Responses.ts"
import { HandshakeError, type UpgradeUnavailable } from "../../WebSocketError.ts"
import type * as WebSocketServer from "../../WebSocketServer.ts"
import * as Clients from "../hub/Clients.ts"
import { Families } from "../hub/Family.ts"
import { TopicsContract } from "../wire/TopicsContract.ts"
import { type Authenticate, type Identity, Unauthorized } from "./Identity.ts"
import { type AnyServed, type ClaimsOf, ServedFamily, type ServicesOf } from "./Served.ts"
import { hub, type Topics } from "./Service.ts"

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
