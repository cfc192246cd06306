import { assert, describe, it } from "@effect/vitest"
import { Topic, TopicClient, Topics } from "@effect-ws/core/realtime"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { ask, authenticate, byToken, refusal, Room, rooms } from "../../support/TopicsRights.ts"
import { serveAlone, settle } from "../../support/TopicsWire.ts"

describe("who may do what", () => {
  it("needs to know the claims that a family expects", () => {
    // @ts-expect-error: the family expects a User, and nothing says who a client is
    assert.isTrue(Effect.isEffect(Topics.handle([rooms])))
    const stranger = { request: Effect.succeed({ claims: { name: "ann" } }) }
    // @ts-expect-error: a User has rooms
    assert.isTrue(Effect.isEffect(Topics.handle([rooms], { authenticate: stranger })))
  })

  it.effect("is decided by the program, with the claims of the connection and services of the program", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* peer.expect("done")
      yield* ask(peer, "subscribe")
      yield* peer.expect("subscribed")
      yield* ask(peer, "subscribe", { topic: "room/b" })
      assert.deepStrictEqual(yield* peer.next, refusal("b"))
      yield* ask(peer, "publish", { key: "1", value: 100 })
      assert.deepStrictEqual(yield* peer.next, refusal("a"))
      yield* ask(peer, "publish", { key: "2", value: 99 })
      assert.sameMembers((yield* peer.arrived).map(({ type }) => type), ["published", "publication"])
      yield* ask(peer, "join", { member: "bob", value: "x" })
      assert.deepStrictEqual(yield* peer.next, refusal("a"))
      yield* ask(peer, "join", { member: "ann", value: "x" })
      yield* peer.expect("done")
      // These have no authorizer of their own: whoever may subscribe may do them.
      for (const type of ["watch", "signal"]) {
        yield* ask(peer, type, { topic: "room/b", value: 1 })
        assert.deepStrictEqual(yield* peer.next, refusal("b"))
      }
    }))

  it.effect("a defect of the program is told to the client as what it is, and ends nothing", () =>
    Effect.gen(function*() {
      const faulty = Topics.serve(Room, { publish: () => Effect.die("a bug"), subscribe: () => Effect.fail(5 as never) })
      const { server } = yield* serveAlone(Topics.handle([faulty]))
      const peer = yield* server.connect
      yield* ask(peer, "publish", { key: "1", value: 1 })
      assert.deepInclude(yield* peer.next, { type: "failed", code: "defect", message: "the server failed" })
      // A refusal that is not the family's.
      yield* ask(peer, "subscribe")
      const { error } = yield* peer.expect("failed")
      assert.isUndefined(error)
      yield* ask(peer, "unsubscribe")
      yield* peer.expect("done")
    }))

  it.effect("a snapshot that dies is taken again, and then ends the reader that asked for it, with a real client", () =>
    Effect.gen(function*() {
      const Board = Topic.make("board/:id", { publication: Schema.Finite, snapshot: Schema.Finite })
      const params = { id: "a" }
      let deaths = 2
      const boards = Topics.serve(Board, { snapshot: () => Effect.suspend(() => --deaths < 0 ? Effect.succeed(42) : Effect.die("a bug")) })
      const { server } = yield* serveAlone(Topics.handle([boards]))
      const client = yield* Effect.provideContext(TopicClient.make("ws://a.example/"), server.context as Context.Context<unknown>)
      const seen: Array<number> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.subscribe(Board, params), (event) => Effect.sync(() => event._tag === "Publication" && seen.push(event.value))),
        { startImmediately: true }
      )
      const first = () => Effect.forkScoped(client.subscribe(Board, params, { snapshot: true }).pipe(
        Stream.filter((event) => event._tag === "Snapshot"),
        Stream.runHead
      ), { startImmediately: true })
      const pass = Effect.repeat(Effect.andThen(settle, TestClock.adjust("1 second")), { times: 6 })
      const mended = yield* first()
      yield* pass
      const [snapshot] = Option.toArray(yield* Fiber.join(mended))
      assert.strictEqual(snapshot._tag === "Snapshot" && snapshot.value, 42)
      deaths = Infinity
      const dying = yield* first()
      yield* pass
      assert.deepInclude(yield* Effect.flip(Fiber.join(dying)), { _tag: "TopicError", operation: "subscribe", code: "defect", topic: "board/a" })
      yield* server.run(Topics.publish(Board, params, 1))
      yield* settle
      assert.deepStrictEqual(seen, [1])
    }).pipe(Effect.provide(Logger.layer([]))))
})
