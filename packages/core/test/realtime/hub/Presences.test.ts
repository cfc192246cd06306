import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { type Peer, serve, serveAlone, settle, type Server } from "../../support/TopicsWire.ts"

const Room = Topic.make("room/:id", { publication: Schema.Never, member: Schema.Struct({ name: Schema.String }) })
const topic = "room/a"
const a = { id: "a" }
const route = Topics.handle([Topics.serve(Room)], { outboundHighWaterMark: 4096 })

const ask = (peer: Peer, type: string, more: object = {}) =>
  Effect.andThen(peer.say({ type, id: 1, topic, ...more }), peer.expect("done"))
const join = (peer: Peer, member: string, name = member) => ask(peer, "join", { member, value: { name } })

const presence = (members: ReadonlyArray<string>, left: ReadonlyArray<string>, count: number, full = false) => ({
  type: "presence", topic, count, full, listed: true, left, members: members.map((member) => ({ member, value: { name: member } }))
})

const names = (server: Server) => Effect.map(server.run(Topics.members(Room, a)), ({ members }) => Array.from(members.keys()))

describe("presence", () => {
  it.effect("is told whole at first, then as changes, together", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route)
      const [watcher, ann, bob] = [yield* server.connect, yield* server.connect, yield* server.connect]
      yield* join(ann, "ann")
      yield* ask(watcher, "watch")
      assert.deepStrictEqual(yield* watcher.arrived, [presence(["ann"], [], 1, true)] as never)

      yield* join(bob, "bob")
      yield* ask(ann, "leave")
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual(yield* watcher.arrived, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* watcher.arrived, [presence(["bob"], ["ann"], 1)] as never)

      // Entered again with another value, and nothing else.
      yield* join(bob, "bob", "Robert")
      yield* TestClock.adjust("500 millis")
      assert.deepInclude((yield* watcher.arrived)[0], { members: [{ member: "bob", value: { name: "Robert" } }], left: [] })

      yield* ask(watcher, "unwatch")
      yield* ask(bob, "leave")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* watcher.arrived, [])
    }))

  it.effect("a reconnect is no leave, a client that stays away has left", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const [one, other] = [yield* serve(yield* store.broker, route), yield* serve(yield* store.broker, route)]
      const watcher = yield* other.connect
      yield* ask(watcher, "watch")
      yield* watcher.arrived
      yield* Effect.scoped(Effect.flatMap(one.connect, (peer) => join(peer, "ann")))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* watcher.arrived, [presence(["ann"], [], 1)] as never)
      const back = yield* other.connect
      yield* join(back, "ann")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* watcher.arrived, [])
      assert.deepStrictEqual(yield* names(one), ["ann"])
      yield* back.ws.close()
      yield* settle
      yield* TestClock.adjust("3 seconds")
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* watcher.arrived, [presence([], ["ann"], 0)] as never)
    }))

  it.effect("a join whose connection ends while the broker is slow does not stay for ever", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const slow = Broker.Broker.of({
        ...broker,
        enter: (topic, presence) => Effect.andThen(Effect.sleep("4 seconds"), broker.enter(topic, presence))
      })
      const server = yield* serve(slow, route)
      yield* Effect.scoped(Effect.flatMap(server.connect, (peer) =>
        Effect.andThen(peer.say({ type: "join", id: 1, topic, member: "ann", value: { name: "ann" } }), settle)))
      yield* settle
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* names(server), [])
    }))

  it.effect("many joins cost few lists, and above a number only the number is told", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let lists = 0
      const counting = Broker.Broker.of({
        ...broker,
        members: (topic, limit) => Effect.andThen(Effect.sync(() => lists++), broker.members(topic, limit))
      })
      const server = yield* serve(counting, route, { limits: { presence: { listed: 50 } } })
      const watcher = yield* server.connect
      yield* ask(watcher, "watch")
      yield* watcher.arrived
      const bots = (from: number, to: number) =>
        Effect.forEach(Array.from({ length: to - from }, (_, i) => `bot ${from + i}`), (name) =>
          server.run(Topics.join(Room, a, name, { name })))
      yield* bots(0, 40)
      yield* TestClock.adjust("1 second")
      assert.deepInclude((yield* watcher.arrived)[0], { count: 40, full: false, listed: true })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* bots(40, 1000)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* watcher.arrived, [
          { type: "presence", topic, count: 1000, full: true, listed: false, left: [], members: [] }
        ])
      }))
      yield* TestClock.adjust("1 second")
      const [back] = yield* watcher.arrived
      assert.deepInclude(back, { count: 40, full: true, listed: true })
      assert.isAtMost(lists, 5)
    }))

  it.effect("a watcher without room is told of everything once there is", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { test: { link: { capacity: 4096 } } })
      const watcher = yield* server.connect
      yield* ask(watcher, "watch")
      yield* watcher.arrived
      const { links } = yield* Effect.provideContext(TestServer, server.context)
      const [link] = yield* links
      yield* Effect.addFinalizer(() => link.reset)
      yield* link.stall("server")
      for (let n = 0; n < 20; n++) {
        yield* server.run(Topics.join(Room, a, `bot ${n}`, { name: `bot ${n} ${"x".repeat(1000)}` }))
        yield* TestClock.adjust("500 millis")
      }
      yield* link.resume("server")
      const told = yield* watcher.arrived
      const last = told.at(-1)
      assert.isBelow(told.length, 20)
      assert.deepInclude(last, { type: "presence", full: true, count: 20 })
      yield* server.run(Topics.join(Room, a, "late", { name: "late" }))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* watcher.arrived, [presence(["late"], [], 21)] as never)
    }))

  it.effect("of many members with much to tell comes in several messages, which clients can take", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Room)]))
      for (let n = 0; n < 200; n++) yield* server.run(Topics.join(Room, a, `bot ${n}`, { name: "x".repeat(2000) }))
      const watcher = yield* server.connect
      yield* ask(watcher, "watch")
      const messages = (yield* watcher.arrived).flatMap((one) => one.type === "presence" ? [one] : [])
      assert.isAtLeast(messages.length, 3)
      assert.deepStrictEqual(messages.map(({ count, full }) => [count, full]), messages.map((_, at) => [200, at === 0]))
      assert.strictEqual(new Set(messages.flatMap(({ members }) => members.map(({ member }) => member))).size, 200)
      for (const message of messages) assert.isBelow(JSON.stringify(message).length, 200_000)
    }))

  it.effect("takes a place for as long as it lasts", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isDown = true
      let left = 0
      const failing = Broker.Broker.of({
        ...broker,
        enter: (topic, presence) =>
          Effect.suspend(() => isDown ? new Broker.BrokerError({ operation: "enter", applied: "no" }) : broker.enter(topic, presence)),
        leave: (topic, id) => Effect.andThen(Effect.sync(() => left++), broker.leave(topic, id))
      })
      const server = yield* serve(failing, route, { limits: { subscriptions: 1 } })
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* server.connect
        const other = { topic: "room/b", member: "ann", value: { name: "ann" } }
        yield* peer.say({ type: "join", id: 1, topic, member: "ann", value: { name: "ann" } })
        assert.deepInclude(yield* peer.expect("failed"), { code: "unavailable" })
        isDown = false
        yield* ask(peer, "join", other)
        yield* ask(peer, "leave", other)
        assert.strictEqual(left, 1)
        yield* join(peer, "ann")
        yield* ask(peer, "leave")
      }))
      yield* settle
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(left, 2)
    }))

  it.effect("names the sender of a signal", () =>
    Effect.gen(function*() {
      const Cursors = Topic.make("cursor/:id", { publication: Schema.Never, signal: Schema.Finite, member: Schema.Finite })
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Cursors)]))
      const [ann, bob] = [yield* server.connect, yield* server.connect]
      for (const peer of [ann, bob]) {
        yield* peer.say({ type: "subscribe", id: 1, topic: "cursor/a" })
        yield* peer.expect("subscribed")
      }
      const signal = ann.say({ type: "signal", id: 1, topic: "cursor/a", value: 1 })
      yield* signal
      assert.notInclude((yield* bob.expect("signalled")).from, " ")
      yield* ask(ann, "join", { topic: "cursor/a", member: "Ann of the 3rd floor", value: 1 })
      yield* signal
      assert.strictEqual((yield* bob.expect("signalled")).from, "Ann of the 3rd floor")
      assert.deepStrictEqual(yield* ann.arrived, [])
    }))

  it.effect("is there for the rest of the program", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route)
      const states = yield* server.run(Topics.presence(Room, a).pipe(
        Stream.map(({ count, members }) => [count, ...members.values()]),
        Stream.take(3),
        Stream.runCollect
      )).pipe(Effect.forkChild({ startImmediately: true }))
      yield* settle
      yield* Effect.scoped(Effect.andThen(server.run(Topics.join(Room, a, "bot", { name: "Bot" })), TestClock.adjust("1 second")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(states), [[0], [1, { name: "Bot" }], [0]])
    }))

  it.effect.each([
    ["a value that is too large", { member: "m", value: { name: "x".repeat(50) } }, "limit"],
    ["a value that its Schema refuses", { member: "m", value: { name: 1 } }, "invalid"]
  ] as const)("%s is refused", ([, more, code]) =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits: { presence: { size: 20 }, subscriptions: 2 } })
      const peer = yield* server.connect
      yield* peer.say({ type: "join", id: 7, topic, ...more })
      assert.deepInclude(yield* peer.expect("failed"), { id: 7, code })
      assert.deepStrictEqual(yield* names(server), [])
    }))

  it.effect.each(["join", "watch"] as const)("has a limit for each connection: %s", (type) =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits: { subscriptions: 2 } })
      const peer = yield* server.connect
      const one = (id: number) => peer.say({ type, id, topic: `room/${id}`, member: "m", value: { name: "m" } })
      yield* Effect.forEach([1, 2, 3], one)
      const answers = (yield* peer.arrived).filter(({ type }) => type !== "presence")
      assert.sameMembers(answers.map(({ type }) => type), ["done", "done", "failed"])
    }))
})
