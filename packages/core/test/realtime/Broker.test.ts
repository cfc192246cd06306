import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Broker } from "@effect-ws/core/realtime"

describe("BrokerError", () => {
  it("says whether something may have been done", () => {
    const message = (applied: "no" | "unknown") => new Broker.BrokerError({ operation: "publish", applied }).message
    assert.strictEqual(message("no"), "The broker failed to publish")
    assert.strictEqual(message("unknown"), "The broker failed to publish, or has not answered")
  })
})

const history = { size: 100, timeToLive: 60_000, keyTimeToLive: 60_000 }

describe("makeMemoryStore", () => {
  it.effect("lets several brokers share their topics, each with what it hears", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const [one, other] = [yield* store.broker, yield* store.broker]
      yield* other.subscribe("a")
      const { position } = yield* one.publish("a", { key: "k", payload: "1" }, history)
      assert.deepStrictEqual(yield* other.top("a"), position)
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(other.heard, 1)), [
        { _tag: "Published", topic: "a", epoch: position.epoch, entry: { offset: 1, key: "k", payload: "1" } }
      ])
      yield* store.lose
      assert.notStrictEqual((yield* one.top("a")).epoch, position.epoch)
    }))

  it.effect("ends what a broker entered with its scope", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const scope = yield* Scope.make()
      const one = yield* Scope.provide(store.broker, scope)
      yield* one.enter("a", { id: "1", member: "ann", payload: "1" })
      const other = yield* store.broker
      assert.strictEqual((yield* other.members("a", 10)).count, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* other.members("a", 10)).count, 0)
    }))
})

describe("layerMemory", () => {
  it.effect("is one broker", () =>
    Effect.gen(function*() {
      const broker = yield* Broker.Broker
      yield* broker.publish("a", { key: "k", payload: "1" }, history)
      assert.strictEqual((yield* broker.top("a")).offset, 1)
    }).pipe(Effect.provide(Broker.layerMemory)))
})
