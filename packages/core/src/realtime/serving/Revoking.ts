/** Taking away what clients have: a topic, or their connections. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { checkClose } from "../../protocol/CloseFrame.ts"
import { encoded, schemasOf } from "../hub/Family.ts"
import type { Client } from "../hub/Hub.ts"
import * as Topic from "../Topic.ts"
import type { Served } from "./Served.ts"
import { hub, type Topics } from "./Service.ts"

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
  clients: Iterable<Client>,
  served: Served<T, Claims, R>,
  where: (claims: Claims) => boolean
): ReadonlyArray<Client> =>
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
