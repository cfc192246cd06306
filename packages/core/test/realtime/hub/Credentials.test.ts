import { assert, describe, it } from "@effect/vitest"
import { Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { ask, authenticate, byToken, closing, identityOf, notYours, Room, type User } from "../../support/TopicsRights.ts"
import { serveAlone, settle } from "../../support/TopicsWire.ts"

describe("a token in a message", () => {
  it.effect("comes before everything else, and in time", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* ask(peer, "subscribe")
      assert.deepInclude(yield* peer.expect("failed"), { code: "refused", message: "authenticate first" })
      yield* authenticate(peer, "nobody", 5)
      assert.deepInclude(yield* peer.expect("failed"), { id: 5, code: "refused", message: "no such token: nobody" })
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "no token arrived in time" })
    }))

  it.effect("decides about what is asked for behind it, in one go", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* ask(peer, "subscribe")
      yield* authenticate(peer, "ann:b")
      yield* ask(peer, "subscribe", { topic: "room/b" })
      const types = (yield* peer.arrived).map(({ type }) => type)
      assert.notInclude(types, "failed")
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("expires, after a notice; a new one in time goes on", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a:100")
      yield* peer.expect("done")
      yield* ask(peer, "subscribe")
      yield* peer.expect("subscribed")
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peer.arrived, [{ type: "expiring", after: 30_000 }])
      yield* TestClock.adjust("20 seconds")
      yield* authenticate(peer, "ann:a:100")
      yield* peer.expect("done")
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* server.run(Topics.publish(Room, { id: "a" }, 1))
      yield* peer.expect("publication")
      yield* TestClock.adjust("1 second")
      yield* peer.expect("expiring")
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "the credentials have expired" })
    }))

  it.effect("that allows less ends what it allows no more", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a,b")
      yield* peer.expect("done")
      for (const topic of ["room/a", "room/b"]) {
        yield* ask(peer, "subscribe", { topic })
        yield* peer.expect("subscribed")
        yield* ask(peer, "join", { topic, member: "ann", value: "x" })
        yield* peer.expect("done")
      }
      yield* authenticate(peer, "ann:b", 9)
      const ended = yield* peer.expect("ended")
      assert.deepInclude(ended, { topic: "room/a", error: { _tag: "NotYours", room: "a" } })
      yield* peer.expect("done")
      yield* settle
      const present = (id: string) => Effect.map(server.run(Topics.members(Room, { id })), ({ count }) => count)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* present("a"), yield* present("b")], [0, 1])
      yield* server.run(Effect.andThen(Topics.publish(Room, { id: "a" }, 1), Topics.publish(Room, { id: "b" }, 2)))
      assert.deepStrictEqual((yield* peer.arrived).map((one) => one.type === "publication" && one.value), [2])
    }))

  it.effect("that allows less ends presence and watching too, where there is nothing else", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      for (const type of ["join", "watch"]) {
        const peer = yield* server.connect
        yield* authenticate(peer, "ann:a")
        yield* peer.expect("done")
        yield* ask(peer, type, { member: "ann", value: "x" })
        yield* peer.expect("done")
        yield* peer.arrived
        yield* authenticate(peer, "ann:a", 2)
        assert.deepStrictEqual(yield* peer.arrived, [{ type: "done", id: 2 }], "nothing has changed")
        yield* authenticate(peer, "ann:b", 3)
        assert.deepStrictEqual((yield* peer.arrived).map(({ type }) => type), ["ended", "done"])
        yield* TestClock.adjust("1 second")
        yield* peer.arrived
      }
      assert.strictEqual((yield* server.run(Topics.members(Room, { id: "a" }))).count, 0)
    }))

  it.effect("that allows less ends what the program cannot decide, and asks about the rest", () =>
    Effect.gen(function*() {
      let how: "allows" | "dies" | "interrupts" = "allows"
      const faulty = Topics.serve(Room, {
        subscribe: ({ claims, params }: Topics.Request<typeof Room, User>) =>
          Effect.suspend(() => {
            if (how === "allows" || params.id === "c") return Effect.void
            if (claims.rooms.includes(params.id)) return how === "dies" ? Effect.die("a bug") : Effect.interrupt
            return notYours(params.id)
          })
      })
      const { server } = yield* serveAlone(Topics.handle([faulty], { authenticate: { token: identityOf } }))
      for (const fault of ["dies", "interrupts"] as const) {
        how = "allows"
        const peer = yield* server.connect
        yield* authenticate(peer, "ann:a,b,c")
        yield* peer.expect("done")
        for (const id of ["a", "b", "c"]) {
          yield* ask(peer, "subscribe", { topic: `room/${id}` })
          yield* peer.expect("subscribed")
        }
        how = fault
        yield* authenticate(peer, "ann:a", 2)
        assert.deepStrictEqual(yield* peer.arrived, [
          { type: "ended", topic: "room/a", message: "the server failed" },
          { type: "ended", topic: "room/b", message: "the program does not allow it", error: { _tag: "NotYours", room: "b" } },
          { type: "done", id: 2 }
        ] as never)
        for (const id of ["a", "b", "c"]) yield* server.run(Topics.publish(Room, { id }, 1))
        assert.deepStrictEqual((yield* peer.arrived).map((one) => "topic" in one && one.topic), ["room/c"])
      }
    }))

  it.effect("that lives shorter than the notice is told of once, halfway", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byToken)
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a:20")
      yield* peer.expect("done")
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peer.arrived, [{ type: "expiring", after: 10_000 }])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* peer.arrived, [])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* closing(peer), { code: 4401, reason: "the credentials have expired" })
    }))

  it.effect("is refused where none is taken", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Room)]))
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a", 3)
      assert.deepInclude(yield* peer.expect("failed"), { id: 3, code: "refused" })
    }))
})
