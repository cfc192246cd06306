/** A route of rooms whose clients have rights, shown by a header or by a token. */
import { Topic, Topics } from "@effect-ws/core/realtime"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import type { Peer } from "./TopicsWire.ts"

export interface User {
  readonly name: string
  readonly rooms: ReadonlyArray<string>
}

export const Room = Topic.make("room/:id", {
  publication: Schema.Finite,
  signal: Schema.Finite,
  member: Schema.String,
  refusal: Schema.TaggedStruct("NotYours", { room: Schema.String })
})

export const notYours = (room: string) => Effect.fail({ _tag: "NotYours" as const, room })

/** Who may do what, which a test can change. */
export class Rights extends Context.Service<Rights, { readonly mayPublish: (name: string) => boolean }>()("Rights") {}
export const everybody = Rights.of({ mayPublish: () => true })

export const rooms = Topics.serve(Room, {
  subscribe: ({ claims, params }: Topics.Request<typeof Room, User>) =>
    claims.rooms.includes(params.id) ? Effect.void : notYours(params.id),
  publish: ({ claims, params, value }: Topics.Request<typeof Room, User> & { readonly value: number }) =>
    Effect.flatMap(Rights, ({ mayPublish }) => mayPublish(claims.name) && value < 100 ? Effect.void : notYours(params.id)),
  join: ({ claims, member, params }: Topics.Request<typeof Room, User> & { readonly member: string }) =>
    member === claims.name && claims.rooms.includes(params.id) ? Effect.void : notYours(params.id)
})

/** `name:rooms:seconds`; without seconds it does not expire. */
export const identityOf = (token: string | undefined) =>
  Effect.gen(function*() {
    const [name, ids, seconds] = (token ?? "").split(":")
    if (ids === undefined) return yield* new Topics.Unauthorized({ reason: `no such token: ${name}` })
    if (name === "banned") return yield* new Topics.Unauthorized({ reason: "banned", status: 403 })
    const now = yield* Clock.currentTimeMillis
    return {
      claims: { name, rooms: ids.split(",") },
      expires: seconds === undefined ? undefined : DateTime.makeUnsafe(now + Number(seconds) * 1000)
    }
  })

const fromHeader = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => identityOf(headers["authorization"]))

export const byHeader = (options: Topics.HandleOptions = {}) =>
  Effect.provideService(Topics.handle([rooms], { ...options, authenticate: { request: fromHeader } }), Rights, everybody)
export const byToken = Effect.provideService(Topics.handle([rooms], { authenticate: { token: identityOf } }), Rights, everybody)

export const authenticate = (peer: Peer, token: string, id = 0) => peer.say({ type: "authenticate", id, token })
export const ask = (peer: Peer, type: string, more: object = {}) => peer.say({ type, id: 1, topic: "room/a", ...more })

export const refusal = (room: string) => ({
  type: "failed" as const, id: 1, code: "refused" as const, message: "the program does not allow it", error: { _tag: "NotYours", room }
})

export const closing = (peer: Peer) => Effect.andThen(Effect.ignore(peer.ws.drain), peer.ws.closed)
