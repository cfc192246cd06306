import { assert, describe, it } from "@effect/vitest"
import { Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { ask, authenticate, byToken, closing, notYours, Room, rooms } from "../../support/TopicsRights.ts"
import { serveAlone, settle } from "../../support/TopicsWire.ts"

describe("revoking", () => {
  it.effect("ends what some clients have of a topic", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const [ann, bob] = [yield* server.connect, yield* server.connect]
      for (const [peer, token] of [[ann, "ann:a"], [bob, "bob:a"]] as const) {
        yield* authenticate(peer, token)
        yield* peer.expect("done")
        yield* ask(peer, "subscribe")
        yield* peer.expect("subscribed")
        yield* ask(peer, "watch")
        yield* peer.arrived
      }
      yield* server.run(Topics.revoke(rooms, { id: "a" }, {
        where: ({ name }) => name === "ann",
        reason: "moved on",
        error: { _tag: "NotYours", room: "a" }
      }))
      assert.deepStrictEqual(yield* ann.arrived, [
        { type: "ended", topic: "room/a", message: "moved on", error: { _tag: "NotYours", room: "a" } }
      ] as never)
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      yield* server.run(Topics.join(Room, { id: "a" }, "bot", "x"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* ann.arrived, [])
      assert.deepStrictEqual((yield* bob.arrived).map(({ type }) => type), ["publication", "presence"])
      yield* server.run(Topics.revoke(rooms, { id: "b" }))
      assert.deepStrictEqual(yield* bob.arrived, [])
    }))

  it.effect("says so without an error of the program's, and waits for nobody", () =>
    Effect.gen(function*() {
      const served = Topics.serve(Room)
      const route = Topics.handle([served], { outboundHighWaterMark: 1024 })
      const { server } = yield* serveAlone(route, { test: { link: { capacity: 1024 } } })
      const [stalled, other] = [yield* server.connect, yield* server.connect]
      for (const peer of [stalled, other]) {
        yield* ask(peer, "subscribe")
        yield* peer.expect("subscribed")
      }
      const { links } = yield* Effect.provideContext(TestServer, server.context)
      const [link] = yield* links
      yield* Effect.addFinalizer(() => link.reset)
      yield* link.stall("server")
      for (let n = 0; n < 50; n++) yield* server.run(Topics.publish(Room, { id: "a" }, n))
      yield* other.arrived
      yield* server.run(Topics.revoke(served, { id: "a" }))
      assert.deepStrictEqual(yield* other.arrived, [{ type: "ended", topic: "room/a", message: "the program has ended it" }])
      yield* server.run(Topics.publish(Room, { id: "a" }, 50))
      yield* link.resume("server")
      const last = (yield* stalled.arrived).at(-1)
      assert.deepStrictEqual(last, { type: "ended", topic: "room/a", message: "the program has ended it" })
    }))

  it.effect("of connections takes only what a Close can say", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const exit = yield* Effect.exit(server.run(Topics.disconnect(rooms, () => true, { code: 1005 })))
      assert.isTrue(Exit.hasDies(exit))
    }))

  it.effect("that happens while a client subscribes is not missed", () =>
    Effect.gen(function*() {
      let isAllowed = true
      const slow = Topics.serve(Room, {
        subscribe: ({ params }) =>
          Effect.suspend(() => {
            const answer = isAllowed ? Effect.void : notYours(params.id)
            return Effect.andThen(Effect.sleep("1 second"), answer)
          })
      })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      yield* settle
      isAllowed = false
      yield* server.run(Topics.revoke(slow, { id: "a" }))
      yield* TestClock.adjust("1 second")
      yield* settle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["subscribed", "ended"])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("that happens while a client subscribes ends it where the program cannot decide", () =>
    Effect.gen(function*() {
      let isBroken = false
      const slow = Topics.serve(Room, {
        subscribe: () => Effect.suspend(() => isBroken ? Effect.die("a bug") : Effect.sleep("1 second"))
      })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      yield* settle
      isBroken = true
      yield* server.run(Topics.revoke(slow, { id: "a" }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["subscribed", "ended"])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("that happens while a client subscribes again ends the new subscription too", () =>
    Effect.gen(function*() {
      const slow = Topics.serve(Room, { subscribe: () => Effect.sleep("1 second") })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      for (let round = 0; round < 2; round++) {
        yield* ask(peer, "subscribe")
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* peer.expect("subscribed")
        yield* ask(peer, "subscribe")
        yield* settle
        yield* server.run(Topics.revoke(slow, { id: "a" }, { reason: "moved on" }))
        const ended = { type: "ended", topic: "room/a", message: "moved on" } as const
        assert.deepStrictEqual(yield* peer.arrived, [ended])
        yield* TestClock.adjust("1 second")
        yield* peer.expect("subscribed")
        assert.deepStrictEqual(yield* peer.arrived, [ended])
        yield* server.run(Topics.publish(Room, { id: "a" }, 1))
        assert.deepStrictEqual(yield* peer.arrived, [])
      }
    }))

  it.effect("of connections closes them, with a code that says whether to come back", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const [ann, bob] = [yield* server.connect, yield* server.connect]
      yield* authenticate(ann, "ann:a")
      yield* ann.expect("done")
      yield* authenticate(bob, "bob:a")
      yield* bob.expect("done")
      const closed = yield* Effect.forkChild(closing(ann), { startImmediately: true })
      yield* server.run(Topics.disconnect(rooms, ({ name }) => name === "ann", { reason: "bye" }))
      assert.deepInclude(yield* Fiber.join(closed), { code: 4403, reason: "bye" })
      assert.deepStrictEqual(yield* bob.arrived, [])
    }))
})
