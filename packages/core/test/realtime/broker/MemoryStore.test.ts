import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { MemoryProcess, MemoryStore } from "../../../src/realtime/broker/MemoryStore.ts"
import * as Deadlines from "../../../src/runtime/Deadlines.ts"

const history = { size: 3, timeToLive: 1000, keyTimeToLive: 500 }
const make = Effect.map(Deadlines.current, (deadlines) => {
  let epochs = 0
  return { deadlines, store: new MemoryStore(deadlines, () => `e${++epochs}`) }
})

describe("MemoryStore", () => {
  it.effect("holds nothing of topics in which nothing is", () =>
    Effect.gen(function*() {
      const { store } = yield* make
      const process = new MemoryProcess()
      assert.deepStrictEqual(store.top("a"), { epoch: "e1", offset: 0 })
      assert.deepStrictEqual(store.read("a", { epoch: "e1", offset: 0 }, 10), { epoch: "e1", entries: [], oldest: 1, top: 0 })
      store.signal("a", "x", "1")
      assert.deepStrictEqual(store.members("a", 10), { count: 0, members: [] })
      store.subscribe(process, "a")
      store.subscribe(process, "a")
      store.enter(process, "b", { id: "1", member: "ann", payload: "1" })
      assert.strictEqual(store.size, 2)
      store.unsubscribe(process, "a")
      assert.strictEqual(store.size, 2)
      store.unsubscribe(process, "a")
      store.leave(process, "b", "1")
      assert.strictEqual(store.size, 0)
      assert.strictEqual(process.counts.size + process.entered.size, 0)
    }))

  it.effect("forgets in time what nobody reads, and then has no alarm", () =>
    Effect.gen(function*() {
      const { deadlines, store } = yield* make
      for (let i = 0; i < 3; i++) store.publish("a", { key: `${i}`, payload: "1" }, history)
      const topic = store["topics"].get("a")!
      assert.strictEqual(topic["kept"].length, 3)
      assert.strictEqual(deadlines["heap"].length, 1)
      yield* TestClock.adjust(500)
      assert.strictEqual(topic["keys"].size, 0)
      assert.strictEqual(topic["kept"].length, 3)
      yield* TestClock.adjust(500)
      assert.strictEqual(topic["kept"].length, 0)
      assert.strictEqual(deadlines["heap"].length, 0)
      assert.deepStrictEqual(store.top("a"), { epoch: "e1", offset: 3 })
      store.publish("a", { key: "0", payload: "1" }, history)
      assert.strictEqual(deadlines["heap"].length, 1)
      store.close()
      assert.strictEqual(deadlines["heap"].length, 0)
      store.publish("a", { key: "1", payload: "1" }, history)
      assert.strictEqual(deadlines["heap"].length, 0)
    }))

  it.effect("loses what was published, not who is present", () =>
    Effect.gen(function*() {
      const { deadlines, store } = yield* make
      const process = new MemoryProcess()
      store.publish("a", { key: "1", payload: "1" }, history)
      store.publish("b", { key: "1", payload: "1" }, history)
      store.subscribe(process, "b")
      store.enter(process, "c", { id: "1", member: "ann", payload: "1" })
      store.lose()
      assert.strictEqual(deadlines["heap"].length, 0)
      assert.strictEqual(store.size, 2)
      assert.deepStrictEqual(store.top("b"), { epoch: "e2", offset: 0 })
      assert.strictEqual(store.members("c", 1).count, 1)
      assert.deepStrictEqual(process.inbox["waiting"], [{ _tag: "Missed", topic: undefined }])
      assert.deepStrictEqual(store.publish("b", { key: "1", payload: "1" }, history), {
        position: { epoch: "e2", offset: 1 },
        duplicate: false
      })
    }))

  it.effect("ends what a process entered, and tells the others", () =>
    Effect.gen(function*() {
      const { store } = yield* make
      const [one, other] = [new MemoryProcess(), new MemoryProcess()]
      store.subscribe(other, "a")
      store.enter(one, "a", { id: "1", member: "ann", payload: "1" })
      store.enter(one, "a", { id: "2", member: "ann", payload: "1" })
      store.enter(other, "a", { id: "3", member: "bob", payload: "1" })
      assert.strictEqual(store.members("a", 10).count, 2)
      store.end(one)
      assert.deepStrictEqual(store.members("a", 10), { count: 1, members: [{ id: "3", member: "bob", payload: "1" }] })
      assert.strictEqual(other.inbox.size, 5)
    }))
})
