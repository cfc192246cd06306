import { assert, describe, it } from "@effect/vitest"
import { Broker } from "@effect-ws/core/realtime"
import { BrokerLaws, TestBroker } from "@effect-ws/core/testing"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"

type Service = Broker.Broker["Service"]

const history = { size: 1000, timeToLive: 600_000, keyTimeToLive: 600_000 }

const make = (options: TestBroker.Options) =>
  Effect.gen(function*() {
    const store = yield* Broker.makeMemoryStore
    return { store, inner: yield* store.broker, test: yield* TestBroker.make(store.broker, options) }
  })

const publish = (broker: Service, key: string) => broker.publish("t", { key, payload: key }, history)

const listen = (broker: Service) =>
  Effect.gen(function*() {
    const heard: Array<Broker.Heard> = []
    yield* Effect.forkScoped(Stream.runForEach(broker.heard, (event) => Effect.sync(() => heard.push(event))))
    return heard
  })

/** Time enough for what is told at once. */
const turns = Effect.repeat(Effect.yieldNow, { times: 1000 })

/** What an operation answers, while time passes. */
const passing = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

describe("TestBroker", () => {
  describe("that does nothing wrong", () => {
    for (const [index, { name }] of BrokerLaws.make({ broker: Effect.never, lose: Effect.void }).entries()) {
      it.effect(`keeps the laws: ${name}`, () =>
        Effect.gen(function*() {
          const store = yield* Broker.makeMemoryStore
          const broker = Effect.map(TestBroker.make(store.broker), (test) => test.broker)
          yield* BrokerLaws.make({ broker, lose: store.lose, pass: TestClock.adjust })[index].check
        }))
    }
  })

  it.effect("fails without applying", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({ fail: 0.5 })
      let failed = 0
      for (let i = 0; i < 100; i++) {
        const applied = yield* Effect.match(publish(test.broker, `${i}`), { onSuccess: () => "yes", onFailure: ({ applied }) => applied })
        assert.notStrictEqual(applied, "unknown")
        if (applied === "no") failed++
      }
      assert.isTrue(failed > 20 && failed < 80, `${failed}`)
      assert.strictEqual((yield* inner.top("t")).offset, 100 - failed)
    }))

  it.effect("interrupts what changes something, applied or not", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({ interrupt: 1 })
      for (let i = 0; i < 100; i++) {
        const error = yield* Effect.flip(publish(test.broker, `${i}`))
        assert.strictEqual(error.applied, "unknown")
      }
      const { offset } = yield* inner.top("t")
      assert.isTrue(offset > 20 && offset < 80, `${offset}`)
      yield* Effect.flip(test.broker.enter("t", { id: "1", member: "ann", payload: "1" }))
      assert.strictEqual((yield* test.broker.members("t", 10)).count, 0)
      yield* inner.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* Effect.flip(test.broker.leave("t", "1"))
      assert.strictEqual((yield* test.broker.members("t", 10)).count, 0)
    }))

  it.effect("leaves even where leaving fails", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({ fail: 1 })
      yield* inner.enter("t", { id: "1", member: "ann", payload: "1" })
      const error = yield* Effect.flip(test.broker.leave("t", "1"))
      assert.strictEqual(error.applied, "no")
      assert.strictEqual((yield* inner.members("t", 10)).count, 0)
    }))

  it.effect("delays operations and what is heard, and keeps their order", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({ delay: 1000, seed: 3 })
      const heard = yield* listen(test.broker)
      yield* Effect.forkScoped(test.broker.subscribe("t"))
      yield* TestClock.adjust("1 minute")
      const keys = Array.from({ length: 50 }, (_, i) => `${i}`)
      const took = yield* passing(
        Effect.forEach(keys, (key) => Effect.andThen(publish(test.broker, key), Clock.currentTimeMillis), { concurrency: "unbounded" })
      )
      assert.isAbove(new Set(took).size, 10)
      const { epoch } = yield* inner.top("t")
      const { entries } = yield* inner.read("t", { epoch, offset: 0 }, 100)
      assert.deepStrictEqual(entries.map((entry) => entry.key), keys)
      assert.deepStrictEqual(heard.map((event) => event._tag === "Published" && event.entry.key), keys)
    }))

  it.effect("tells twice, and loses, and says later what it lost", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({ lose: 0.3, double: 0.3 })
      const heard = yield* listen(test.broker)
      yield* test.broker.subscribe("t")
      for (let i = 1; i <= 100; i++) yield* publish(inner, `${i}`)
      yield* turns
      const offsets = heard.flatMap((event) => event._tag === "Published" ? [event.entry.offset] : [])
      const lost = 100 - new Set(offsets).size
      assert.isTrue(lost > 10 && lost < 60, `${lost}`)
      assert.isAbove(offsets.length, new Set(offsets).size)
      assert.deepStrictEqual(offsets, offsets.toSorted((a, b) => a - b))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(heard.filter((event) => event._tag === "Missed" && event.topic === "t").length, lost)
    }))

  it.effect("does the same for the same seed, and something else for another", () =>
    Effect.gen(function*() {
      const run = (seed: number) =>
        Effect.gen(function*() {
          const { test } = yield* make({ seed, fail: 0.3, interrupt: 0.3 })
          return yield* Effect.forEach(Array.from({ length: 30 }, (_, i) => `${i}`), (key) =>
            Effect.match(publish(test.broker, key), { onSuccess: () => "ok", onFailure: ({ applied }) => applied }))
        })
      assert.deepStrictEqual(yield* run(7), yield* run(7))
      assert.notDeepEqual(yield* run(7), yield* run(8))
    }))

  it.effect("is cut off and mended", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({})
      const heard = yield* listen(test.broker)
      yield* test.broker.subscribe("t")
      yield* test.cut
      yield* publish(inner, "1")
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flip(publish(test.broker, "2"))).applied, "no")
      yield* test.mend
      yield* publish(inner, "3")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(heard.map((event) => event._tag === "Published" ? event.entry.key : event._tag), ["Missed", "3"])
    }))

  it.effect("is calm when the test says so", () =>
    Effect.gen(function*() {
      const { test } = yield* make({ fail: 1, delay: 1000 })
      yield* test.calm
      assert.strictEqual((yield* publish(test.broker, "1")).position.offset, 1)
    }))

  it.effect("dies without its finalizers: its members leave after the lease", () =>
    Effect.gen(function*() {
      const { inner, test } = yield* make({})
      const heard = yield* listen(test.broker)
      yield* test.broker.subscribe("t")
      yield* test.broker.enter("t", { id: "1", member: "ann", payload: "1" })
      yield* TestClock.adjust(0)
      const before = heard.length
      yield* test.kill
      yield* test.kill
      const fiber = yield* Effect.forkChild(publish(test.broker, "1"))
      yield* publish(inner, "2")
      yield* TestClock.adjust(5999)
      assert.strictEqual((yield* inner.members("t", 10)).count, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* inner.members("t", 10)).count, 0)
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(heard.length, before)
    }))
})
