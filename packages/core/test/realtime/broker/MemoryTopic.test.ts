import { assert, describe, it } from "@effect/vitest"
import { MemoryTopic } from "../../../src/realtime/broker/MemoryTopic.ts"

const history = { size: 3, timeToLive: 100, keyTimeToLive: 50 }
const offsets = (topic: MemoryTopic<string>, now: number, offset = 0, limit = 100) =>
  topic.read("e", { epoch: "e", offset }, limit, now).entries.map((entry) => entry.offset)

describe("MemoryTopic", () => {
  it("keeps the last publications", () => {
    const topic = new MemoryTopic<string>("t")
    for (let i = 1; i <= 10; i++) {
      topic.publish("e", { key: `${i}`, payload: `${i}` }, history, 0)
      assert.deepStrictEqual(offsets(topic, 0), [i - 2, i - 1, i].filter((offset) => offset > 0))
    }
    assert.deepStrictEqual(offsets(topic, 0, 8), [9, 10])
    assert.deepStrictEqual(offsets(topic, 0, 8, 1), [9])
    assert.deepStrictEqual(offsets(topic, 0, 10), [])
    assert.deepStrictEqual(offsets(topic, 0, 99), [])
    const { oldest, top } = topic.read("e", { epoch: "e", offset: 0 }, 1, 0)
    assert.deepStrictEqual([oldest, top], [8, 10])
  })

  it("keeps none older than its time, and says when the next one goes", () => {
    const topic = new MemoryTopic<string>("t")
    topic.publish("e", { key: "1", payload: "1" }, history, 0)
    topic.publish("e", { key: "2", payload: "2" }, history, 60)
    assert.deepStrictEqual(offsets(topic, 99), [1, 2])
    assert.deepStrictEqual(offsets(topic, 100), [2])
    // The key of the second one.
    assert.strictEqual(topic.trim(100), 110)
    assert.strictEqual(topic.trim(110), 160)
    assert.strictEqual(topic.trim(160), Infinity)
    assert.deepStrictEqual(topic.read("e", { epoch: "e", offset: 0 }, 1, 160), { epoch: "e", entries: [], oldest: 3, top: 2 })
  })

  it("remembers a key for its time, and no longer", () => {
    const topic = new MemoryTopic<string>("t")
    const publish = (key: string, now: number) => topic.publish("e", { key, payload: "1" }, history, now)
    publish("a", 0)
    publish("b", 10)
    assert.deepStrictEqual(publish("a", 49), { position: { epoch: "e", offset: 1 }, duplicate: true, entry: undefined })
    assert.strictEqual(publish("a", 50).position.offset, 3)
    assert.strictEqual(publish("b", 59).duplicate, true)
    topic.trim(60)
    assert.strictEqual(publish("a", 99).duplicate, true)
    assert.strictEqual(publish("b", 99).position.offset, 4)
  })

  it("forgets its publications, not who is here", () => {
    const topic = new MemoryTopic<string>("t")
    topic.listeners.add("p")
    topic.enter({ id: "1", member: "ann", payload: "1" })
    topic.publish("e", { key: "a", payload: "1" }, history, 0)
    topic.forget()
    assert.strictEqual(topic.top, 0)
    assert.strictEqual(topic.publish("f", { key: "a", payload: "1" }, history, 0).duplicate, false)
    assert.strictEqual(topic.count, 1)
    assert.strictEqual(topic.listeners.size, 1)
  })

  it("lists the presence of each member that entered last", () => {
    const topic = new MemoryTopic<string>("t")
    topic.enter({ id: "1", member: "ann", payload: "1" })
    topic.enter({ id: "2", member: "ann", payload: "2" })
    topic.enter({ id: "3", member: "bob", payload: "3" })
    topic.enter({ id: "1", member: "ann", payload: "4" })
    assert.strictEqual(topic.count, 2)
    assert.deepStrictEqual(topic.list(1), [{ id: "1", member: "ann", payload: "4" }])
    assert.isTrue(topic.leave("1"))
    assert.isFalse(topic.leave("1"))
    assert.deepStrictEqual(topic.list(10), [{ id: "2", member: "ann", payload: "2" }, { id: "3", member: "bob", payload: "3" }])
    topic.leave("2")
    topic.leave("3")
    assert.isTrue(topic.isBlank)
  })
})
