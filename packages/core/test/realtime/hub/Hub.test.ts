import { assert, describe, it } from "@effect/vitest"
import { Broker } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Limits from "../../../src/Limits.ts"
import * as Hubs from "../../../src/realtime/hub/Hub.ts"
import { settle } from "../../support/TopicsWire.ts"

const history = { size: 10, timeToLive: 60_000, keyTimeToLive: 60_000 }

describe("the hub", () => {
  it.effect("asks for a few topics at once where all of them may have missed something", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let [underWay, most, reads] = [0, 0, 0]
      const slow = Broker.Broker.of({
        ...broker,
        heard: Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("1 second"), { _tag: "Missed" as const, topic: undefined })), Stream.never),
        read: (topic, since, limit) =>
          Effect.suspend(() => {
            reads++
            most = Math.max(most, ++underWay)
            return Effect.andThen(Effect.sleep("1 millis"), broker.read(topic, since, limit))
          }).pipe(Effect.ensuring(Effect.sync(() => underWay--)))
      })
      const hub = yield* Hubs.make(slow, Limits.makeTopics())
      yield* Effect.forEach(Array.from({ length: 500 }, (_, n) => `t/${n}`), (name) => hub.hold(name, history))
      yield* broker.publish("t/499", { key: "k", payload: "1" }, history)
      yield* TestClock.adjust("1 second")
      for (let n = 0; n < 20; n++) yield* Effect.andThen(settle, TestClock.adjust("1 millis"))
      assert.deepStrictEqual([reads, most], [500, 32])
      assert.strictEqual(hub.find("t/499")?.top, 1)
    }))

  it.effect("takes the death of a broker's operation for a failure, and asks again", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isBroken = true
      const dying = <A>(effect: Effect.Effect<A, Broker.BrokerError>, how: Effect.Effect<never> = Effect.die("a bug")) =>
        Effect.suspend(() => isBroken ? how : effect)
      const faulty = Broker.Broker.of({
        ...broker,
        heard: Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("1 second"), { _tag: "Missed" as const, topic: undefined })), Stream.never),
        read: (topic, since, limit) => dying(broker.read(topic, since, limit)),
        members: (topic, limit) => dying(broker.members(topic, limit), Effect.interrupt),
        signal: () => {
          throw new Error("a bug")
        }
      })
      const hub = yield* Hubs.make(faulty, Limits.makeTopics())
      // More than are asked at once.
      const names = Array.from({ length: 40 }, (_, n) => `t/${n}`)
      const topics = yield* Effect.forEach(names, (name) => hub.hold(name, history))
      const watch = hub.watch(topics[0], { offer: () => true, missed: () => {} })
      yield* Effect.forEach(names, (name) => broker.publish(name, { key: "k", payload: "1" }, history))
      yield* broker.enter("t/0", { id: "1", member: "ann", payload: "1" })
      yield* TestClock.adjust("3 seconds")
      yield* settle
      assert.deepStrictEqual([hub.find("t/39")?.top, watch.watched.present.count], [0, 0])
      const error = yield* Effect.flip(hub.signal("t/0", "x", undefined, "1"))
      assert.deepInclude(error, { _tag: "BrokerError", operation: "signal", applied: "unknown" })
      isBroken = false
      for (let n = 0; n < 3; n++) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
      assert.deepStrictEqual([hub.find("t/39")?.top, watch.watched.present.count], [1, 1])
    }))

  it.effect("hears again where the broker has stopped to tell, and asks for what it missed", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let begun = 0
      const faulty = Broker.Broker.of({
        ...broker,
        heard: Stream.unwrap(Effect.sync(() => ++begun === 1 ? Stream.empty : begun === 2 ? Stream.die("a bug") : broker.heard))
      })
      const hub = yield* Hubs.make(faulty, Limits.makeTopics())
      yield* hub.hold("t", history)
      yield* broker.publish("t", { key: "1", payload: "1" }, history)
      yield* settle
      assert.deepStrictEqual([begun, hub.find("t")?.top], [1, 0])
      for (let n = 0; n < 2; n++) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
      assert.deepStrictEqual([begun, hub.find("t")?.top], [3, 1])
      yield* broker.publish("t", { key: "2", payload: "2" }, history)
      yield* settle
      assert.strictEqual(hub.find("t")?.top, 2)
    }))

  it.effect("asks again what the broker fails to answer, and others meanwhile", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isDown = true
      let reads = 0
      const half = Broker.Broker.of({
        ...broker,
        heard: Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("1 second"), { _tag: "Missed" as const, topic: undefined })), Stream.never),
        read: (topic, since, limit) =>
          Effect.suspend(() => {
            if (!topic.startsWith("down") || !isDown) return broker.read(topic, since, limit)
            reads++
            return new Broker.BrokerError({ operation: "read", applied: "no" })
          })
      })
      const hub = yield* Hubs.make(half, Limits.makeTopics())
      const names = [...Array.from({ length: 100 }, (_, n) => `down/${n}`), "up"]
      yield* Effect.forEach(names, (name) => hub.hold(name, history))
      yield* Effect.forEach(["down/7", "up"], (name) => broker.publish(name, { key: "k", payload: "1" }, history))
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual([hub.find("up")?.top, hub.find("down/7")?.top, reads], [1, 0, 100])
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(reads, 200)
      isDown = false
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(hub.find("down/7")?.top, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(reads, 200)
    }))

  it.effect("begins a topic anew whose broker failed", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isDown = true
      const failing = Broker.Broker.of({
        ...broker,
        top: (topic) => Effect.suspend(() => isDown ? new Broker.BrokerError({ operation: "top", applied: "no" }) : broker.top(topic))
      })
      const hub = yield* Hubs.make(failing, Limits.makeTopics())
      assert.strictEqual((yield* Effect.flip(hub.hold("a", history))).operation, "top")
      assert.strictEqual(hub.size, 0)
      isDown = false
      const topic = yield* hub.hold("a", history)
      assert.strictEqual(yield* hub.hold("a", history), topic)
      hub.release(topic)
      hub.release(topic)
      yield* TestClock.adjust("5 seconds")
      // Somebody comes back in time.
      assert.strictEqual(yield* hub.hold("a", history), topic)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(hub.find("a"), topic)
    }))

  it.effect("lets go of a topic that nobody waits for any more", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const slow = Broker.Broker.of({ ...broker, top: (topic) => Effect.andThen(Effect.sleep("1 second"), broker.top(topic)) })
      const hub = yield* Hubs.make(slow, Limits.makeTopics())
      const waiting = yield* Effect.forkChild(hub.hold("a", history), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(hub.size, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(hub.size, 0)
    }))

  it.effect("lets nobody wait for it behind its end", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const scope = yield* Scope.make()
      const hub = yield* Scope.provide(Hubs.make(broker, Limits.makeTopics()), scope)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(hub.publish("a", "k", "1", history))))
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(hub.enter("a", { id: "1", member: "m", payload: "1" }).settled)))
      assert.strictEqual((yield* broker.top("a")).offset, 0)
    }))

  it("gives names that nothing else has", () => {
    const make = () => new Hubs.Hub(undefined as never, Limits.defaultTopics, undefined as never, undefined as never, undefined as never)
    const [one, other] = [make(), make()]
    const names = [one, one, other, other].map((hub) => hub.uniqueName())
    assert.strictEqual(new Set(names).size, 4)
    for (const name of names) assert.notInclude(name, " ")
  })
})
