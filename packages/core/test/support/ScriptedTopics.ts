/** A server in memory that speaks the messages of topics as a test tells it to, one connection after the other. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Contract from "../../src/Contract.ts"
import * as Topic from "../../src/realtime/Topic.ts"
import * as TopicClient from "../../src/realtime/TopicClient.ts"
import { Welcome } from "../../src/realtime/wire/Messages.ts"
import type { ToClient, ToServer } from "../../src/realtime/wire/Messages.ts"
import { TopicsContract } from "../../src/realtime/wire/TopicsContract.ts"
import type * as TestLink from "../../src/testing/TestLink.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import { eventually, links } from "./Scripted.ts"

export const url = "ws://a.example/topics"

export const make = TopicClient.make(url)

class NotMember extends Schema.TaggedError<NotMember>()("NotMember", { room: Schema.String }) {}

export const Room = Topic.make("room/:id", {
  publication: Schema.Struct({ n: Schema.Int }),
  signal: Schema.String,
  member: Schema.Struct({ name: Schema.String }),
  snapshot: Schema.Struct({ sum: Schema.Int }),
  refusal: NotMember
})
export const room = { id: "1" }
export const topic = "room/1"

/** A position. */
export const at = (offset: number, epoch = "e") => ({ epoch, offset })

export type Asked<Type extends ToServer["type"]> = Extract<ToServer, { readonly type: Type }>

/** One connection, as the server has it. */
export interface Visit {
  readonly send: (...messages: ReadonlyArray<ToClient>) => Effect.Effect<void>
  readonly sendRaw: (text: string) => Effect.Effect<void>
  /** The next message, which is of this type. */
  readonly next: <Type extends ToServer["type"]>(type: Type) => Effect.Effect<Asked<Type>>
  /** What has come and was not asked for yet. */
  readonly rest: Effect.Effect<ReadonlyArray<ToServer>>
  readonly close: (code: number, reason?: string) => Effect.Effect<unknown>
  /** Cuts the connection. */
  readonly cut: Effect.Effect<void, never, TestServer.TestServer>
}

export interface Options {
  readonly calls?: number
  readonly size?: number
  /** What the server says first; `false`: nothing. */
  readonly welcome?: false
  readonly link?: TestLink.Options
}

export const scriptedTopics = ({ calls = 100, link, size = 10_000, welcome }: Options = {}) => {
  const visits = Effect.runSync(Queue.unbounded<Visit>())
  let count = 0
  const route = HttpRouter.add(
    "GET",
    "/topics",
    Contract.handle(TopicsContract, (connection) =>
      Effect.gen(function*() {
        const index = count++
        const received = yield* Queue.unbounded<ToServer>()
        const send: Visit["send"] = (...messages) => Effect.ignore(connection.sendAll(messages))
        if (welcome !== false) yield* send(Welcome.make({ calls, subscriptions: 100, size }))
        yield* Queue.offer(visits, {
          send,
          sendRaw: (text) => Effect.ignore(connection.ws.send(text)),
          next: (type) =>
            Effect.flatMap(Queue.take(received), (message) =>
              message.type === type
                ? Effect.succeed(message as Asked<typeof type>)
                : Effect.die(new Error(`${type} was to come, and ${JSON.stringify(message)} came`))),
          // What the client does in this turn has been done by then.
          rest: Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 100 }), Queue.clear(received)),
          close: (code, reason) => Effect.ignore(connection.ws.close(code, reason)),
          cut: Effect.flatMap(links, (all) => all[index].reset)
        })
        yield* Stream.runForEach(connection.messages, (message) => Queue.offer(received, message))
      }))
  )
  const layer = HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer({ link }))
  )
  return { layer, visit: eventually(Queue.take(visits)) }
}

/** A client, and what waits for its next connection, as the server has it. */
export interface Given {
  readonly client: Effect.Success<typeof make>
  readonly visit: Effect.Effect<Visit>
}

/** Runs a test with a client beside a server that says what the test says. */
export const withTopics = <A, E, R>(test: (given: Given) => Effect.Effect<A, E, R>, options?: Options) =>
  Effect.suspend(() => {
    const { layer, visit } = scriptedTopics(options)
    return Effect.provide(Effect.flatMap(make, (client) => test({ client, visit })), layer)
  })

/** Waits until the client does this. */
export const status = <E>(client: TopicClient.TopicClient<E>, tag: string) =>
  eventually(Effect.gen(function*() {
    while (true) {
      const status = yield* client.status
      if (status._tag === tag) return status
      yield* Effect.yieldNow
    }
  }))
