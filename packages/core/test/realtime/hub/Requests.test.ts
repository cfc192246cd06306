import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Limits from "../../../src/Limits.ts"
import { settled } from "../../../src/realtime/hub/Caller.ts"
import * as Hubs from "../../../src/realtime/hub/Hub.ts"
import { type Peer, serve, serveAlone, settle } from "../../support/TopicsWire.ts"

const Log = Topic.make("log/:id", { publication: Schema.Finite, signal: Schema.Finite })
const a = { id: "a" }
const handle = (limits: Parameters<typeof Topics.layer>[0]) => Topics.handle([Topics.serve(Log)], { limits })

const publish = (peer: Peer, n: number, topic = "log/a") => peer.say({ type: "publish", id: n, topic, key: String(n), value: n })
const publishAll = (peer: Peer, count: number) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => publish(peer, n), { discard: true })

describe("requests", () => {
  it.effect("of one topic begin in their order, however long each takes to be allowed", () =>
    Effect.gen(function*() {
      const slow = Topics.serve(Log, {
        publish: ({ value }) => Effect.sleep(value % 2 === 0 ? "1 second" : "1 millis")
      })
      const { server } = yield* serveAlone(Topics.handle([slow]))
      const peer = yield* server.connect
      yield* peer.say({ type: "subscribe", id: 100, topic: "log/a" })
      yield* peer.expect("subscribed")
      yield* publishAll(peer, 6)
      // Those of another topic do not wait for them.
      yield* publish(peer, 7, "log/b")
      yield* settle
      yield* TestClock.adjust("5 millis")
      assert.deepStrictEqual((yield* peer.arrived).map((one) => "id" in one && one.id), [7])
      yield* TestClock.adjust("10 seconds")
      const values = (yield* peer.arrived).flatMap((one) => one.type === "publication" ? [one.value] : [])
      assert.deepStrictEqual(values, [0, 1, 2, 3, 4, 5])
    }))

  it.effect("are read as long as few are under way, and all are answered", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let underWay = 0
      let most = 0
      const slow = Broker.Broker.of({
        ...broker,
        publish: (topic, entry, history) =>
          Effect.suspend(() => {
            most = Math.max(most, ++underWay)
            return Effect.sleep("1 second")
          }).pipe(
            Effect.andThen(broker.publish(topic, entry, history)),
            Effect.ensuring(Effect.sync(() => underWay--))
          )
      })
      const server = yield* serve(slow, handle({ calls: 3 }))
      const peer = yield* server.connect
      yield* publishAll(peer, 10)
      yield* settle
      assert.strictEqual(underWay, 3)
      for (let n = 0; n < 5; n++) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
      const answers = yield* peer.arrived
      assert.sameMembers(answers.map((one) => one.type === "published" && one.id), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.strictEqual(most, 3)
    }))

  it.effect("that publish too fast are read later, in their order", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(handle({ publish: { count: 5, interval: "1 second" } }))
      const peer = yield* server.connect
      yield* publishAll(peer, 12)
      const offsets = Effect.map(peer.arrived, (all) => all.map((one) => one.type === "published" ? one.position.offset : one.type))
      assert.deepStrictEqual(yield* offsets, [1, 2, 3, 4, 5])
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(yield* offsets, [6])
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(yield* offsets, [7, 8])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* offsets, [9, 10, 11, 12])
    }))

  it.effect("of a broker that fails are answered: not done, or nobody knows", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let fails: "no" | "unknown" | "dies" = "no"
      const failing = Broker.Broker.of({
        ...broker,
        publish: () => Effect.suspend(() => fails === "dies" ? Effect.die("x") : new Broker.BrokerError({ operation: "publish", applied: fails })),
        top: () => new Broker.BrokerError({ operation: "top", applied: "no" })
      })
      const server = yield* serve(failing, handle({}))
      const peer = yield* server.connect
      for (const [how, code] of [["no", "unavailable"], ["unknown", "unknown"], ["dies", "unknown"]] as const) {
        fails = how
        yield* publish(peer, 1)
        assert.deepInclude(yield* peer.expect("failed"), { id: 1, code })
      }
      yield* peer.say({ type: "subscribe", id: 2, topic: "log/a" })
      assert.deepInclude(yield* peer.expect("failed"), { id: 2, code: "unavailable" })
      yield* peer.say({ type: "watch", id: 3, topic: "log/a" })
      assert.deepInclude(yield* peer.expect("failed"), { id: 3, code: "unavailable" })
      assert.strictEqual(yield* server.run(Effect.flatMap(Topics.Topics, ({ size }) => size)), 0)
    }))

  it.effect("that the program interrupts are answered", () =>
    Effect.gen(function*() {
      const Board = Topic.make("board/:id", { publication: Schema.Finite, snapshot: Schema.Finite })
      const served = [
        Topics.serve(Log, { publish: () => Effect.interrupt, subscribe: () => Effect.interrupt }),
        Topics.serve(Board, { snapshot: () => Effect.interrupt })
      ] as const
      const { server } = yield* serveAlone(Topics.handle(served))
      const peer = yield* server.connect
      yield* publish(peer, 1)
      assert.deepInclude(yield* peer.arrived, { type: "failed", id: 1, code: "defect", message: "the server failed" })
      yield* peer.say({ type: "subscribe", id: 2, topic: "log/a" })
      yield* peer.say({ type: "subscribe", id: 3, topic: "board/a", snapshot: true })
      assert.sameDeepMembers(
        (yield* peer.arrived).map((one) => one.type === "failed" && [one.id, one.code]),
        [[2, "defect"], [3, "defect"]]
      )
    }))

  it.effect("that the end of their server cuts off may have been done", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const scope = yield* Scope.make()
      const hub = yield* Scope.provide(Hubs.make(Broker.Broker.of({ ...broker, publish: () => Effect.never }), Limits.makeTopics()), scope)
      const published = yield* Effect.forkChild(Effect.flip(settled(hub.publish("a", "k", "1", Log.history))), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(published)).code, "unknown")
    }))

  it.effect("for a snapshot that is larger than clients take it are refused", () =>
    Effect.gen(function*() {
      const Board = Topic.make("board/:id", { publication: Schema.Finite, snapshot: Schema.String })
      const served = Topics.serve(Board, { snapshot: ({ params }) => Effect.succeed("x".repeat(Number(params.id) - 2)) })
      const { server } = yield* serveAlone(Topics.handle([served], { limits: { snapshot: { size: 10 } } }))
      const peer = yield* server.connect
      const ask = (size: number) => peer.say({ type: "subscribe", id: size, topic: `board/${size}`, snapshot: true })
      yield* ask(11)
      assert.deepInclude(yield* peer.next, { type: "failed", id: 11, code: "limit" })
      yield* ask(10)
      assert.deepInclude((yield* peer.expect("subscribed")).snapshot, { value: "xxxxxxxx" })
    }))

  it.effect("for a long history get the end of it", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(handle({ recovery: 3 }))
      const { epoch } = yield* server.run(Topics.publish(Log, a, 1))
      yield* server.run(Effect.forEach([2, 3, 4, 5, 6, 7, 8], (n) => Topics.publish(Log, a, n), { discard: true }))
      const peer = yield* server.connect
      const ask = (since: unknown) =>
        Effect.andThen(peer.say({ type: "subscribe", id: 1, topic: "log/a", since }), peer.expect("subscribed"))
      const offsets = Effect.map(peer.arrived, (all) => all.map((one) => one.type === "publication" ? one.offset : one.type))
      const { gap } = yield* ask({ epoch, offset: 1 })
      assert.deepStrictEqual(gap, { reason: "history", from: { epoch, offset: 1 }, to: { epoch, offset: 5 } })
      assert.deepStrictEqual(yield* offsets, [6, 7, 8])
      assert.isUndefined((yield* ask({ epoch, offset: 5 })).gap)
      assert.deepStrictEqual(yield* offsets, [6, 7, 8])
      assert.deepInclude(yield* ask("start"), { position: { epoch, offset: 5 } })
      assert.deepStrictEqual(yield* offsets, [6, 7, 8])
      assert.deepInclude((yield* ask({ epoch: "x", offset: 1 })).gap, { reason: "epoch", to: { epoch, offset: 5 } })
    }))

  it.effect("that come at once share the places that there are", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const slow = Broker.Broker.of({ ...broker, top: (topic) => Effect.andThen(Effect.sleep("1 second"), broker.top(topic)) })
      const server = yield* serve(slow, handle({ subscriptions: 2 }))
      const peer = yield* server.connect
      for (let n = 0; n < 5; n++) yield* peer.say({ type: "subscribe", id: n, topic: `log/${n}` })
      yield* settle
      yield* TestClock.adjust("1 second")
      const types = (yield* peer.arrived).map(({ type }) => type)
      assert.deepStrictEqual(types.toSorted(), ["failed", "failed", "failed", "subscribed", "subscribed"])
    }))

  it.effect("for many topics leave only some of them behind", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Log)]), { limits: { linger: { topics: 5 } } })
      const peer = yield* server.connect
      for (let n = 0; n < 20; n++) {
        yield* peer.say({ type: "subscribe", id: n, topic: `log/${n}` })
        yield* peer.say({ type: "unsubscribe", id: n, topic: `log/${n}` })
      }
      assert.lengthOf(yield* peer.arrived, 40)
      const size = server.run(Effect.flatMap(Topics.Topics, ({ size }) => size))
      assert.strictEqual(yield* size, 5)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* size, 0)
    }))
})
