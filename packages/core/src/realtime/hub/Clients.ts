/** A connection from its first message to its end. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ServerConnection } from "../../Contract.ts"
import type { TopicLimits } from "../../Limits.ts"
import type { WebSocket } from "../../WebSocket.ts"
import type { TopicsContract } from "../wire/TopicsContract.ts"
import * as Answers from "./Answers.ts"
import { Caller } from "./Caller.ts"
import { Credentials, type FromToken, type Identity, type Unauthorized } from "./Credentials.ts"
import type { Families } from "./Family.ts"
import type { Hub } from "./Hub.ts"
import { cutReason } from "./Reasons.ts"
import { Requests } from "./Requests.ts"
import { Session } from "./Session.ts"

export type { FromToken } from "./Credentials.ts"

/** What a connection is served with. */
export interface Serving {
  readonly hub: Hub
  readonly limits: TopicLimits
  readonly context: Context.Context<never>
  readonly families: Families
  /** Who the request came from, where that is known. */
  readonly arriving: Identity | undefined
  readonly token: FromToken | undefined
}

/** Serves a client until its connection ends. */
export const serve = (
  connection: ServerConnection<typeof TopicsContract>,
  { arriving, context, families, hub, limits, token }: Serving
) =>
  Effect.suspend(() => {
    const session = new Session(connection.ws, hub, limits, context)
    const caller = new Caller(session, families, undefined)
    const credentials = new Credentials(caller, token)
    if (arriving !== undefined) credentials.accept(arriving)
    else if (token !== undefined) credentials.expect()
    const requests = new Requests(caller, credentials)
    hub.clients.add(caller)
    const { calls, publish: { size }, subscriptions } = limits
    return Effect.andThen(
      session.send(Answers.welcome({ calls, subscriptions, size })),
      Stream.runForEach(connection.messages, (request) => requests.take(request))
    ).pipe(
      Effect.ensuring(Effect.suspend(() => {
        hub.clients.delete(caller)
        return session.end
      }))
    )
  })

/** Closes a connection that was accepted only to say why it is not let in. */
export const turnAway = (ws: WebSocket, { reason, status }: Unauthorized): Effect.Effect<void> =>
  Effect.raceFirst(
    Effect.asVoid(Effect.orDie(ws.close(4000 + status, cutReason(reason)))),
    Effect.andThen(Effect.ignore(ws.drain), Effect.never)
  )
