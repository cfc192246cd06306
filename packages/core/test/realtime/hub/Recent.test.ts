import { assert, describe, it } from "@effect/vitest"
import { Recent, RecentBudget, Window } from "../../../src/realtime/hub/Recent.ts"

const recent = (offset: number, payload = "1", expires = Infinity) => new Recent({ offset, key: `k${offset}`, payload }, expires)
const offsets = (window: Window, from = window.first?.offset ?? 0) => window.from(from, 1000).map(({ offset }) => offset)
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe("the latest publications", () => {
  it("of a topic are so many", () => {
    const window = new Window(new RecentBudget(1e9), 3)
    for (const offset of range(1, 5)) window.push(recent(offset))
    assert.deepStrictEqual(offsets(window), [3, 4, 5])
    assert.deepStrictEqual(offsets(window, 5), [5])
    assert.deepStrictEqual(offsets(window, 6), [])
    assert.deepStrictEqual(window.from(3, 2).map(({ offset }) => offset), [3, 4])
    window.prepend([recent(1), recent(2)])
    assert.deepStrictEqual(offsets(window), [3, 4, 5])
  })

  it("are filled up with older ones, the latest first", () => {
    const window = new Window(new RecentBudget(1e9), 4)
    window.push(recent(9))
    window.prepend(range(4, 8).map((offset) => recent(offset)))
    assert.deepStrictEqual(offsets(window), [6, 7, 8, 9])
  })

  it("of all topics take so many bytes, and the oldest go first", () => {
    const { size } = recent(1)
    const budget = new RecentBudget(size * 4)
    const [one, other] = [new Window(budget, 100), new Window(budget, 100)]
    for (const offset of [1, 2, 3]) one.push(recent(offset))
    for (const offset of [1, 2]) other.push(recent(offset))
    assert.deepStrictEqual([offsets(one), offsets(other)], [[2, 3], [1, 2]])
    assert.strictEqual(budget.bytes, size * 4)
    // Nothing goes for older ones.
    one.prepend([recent(1)])
    assert.deepStrictEqual([offsets(one), offsets(other)], [[2, 3], [1, 2]])
    // One that is larger than everything is not held.
    other.push(recent(3, "x".repeat(size * 5)))
    assert.deepStrictEqual([offsets(one), offsets(other), budget.bytes], [[], [], 0])
  })

  it("go when they are too old, and give back what they took", () => {
    const budget = new RecentBudget(1e9)
    const window = new Window(budget, 100)
    for (const offset of range(1, 5)) window.push(recent(offset, "1", offset * 10))
    window.expire(30)
    assert.deepStrictEqual(offsets(window), [4, 5])
    window.clear()
    assert.deepStrictEqual([window.length, budget.bytes], [0, 0])
    window.push(recent(6))
    assert.deepStrictEqual(offsets(window), [6])
  })

  it("of no number are none", () => {
    const window = new Window(new RecentBudget(1e9), 0)
    window.push(recent(1))
    window.prepend([recent(1)])
    assert.strictEqual(window.length, 0)
  })

  it("are encoded once, whatever their texts", () => {
    const one = new Recent({ offset: 7, key: `"k"`, payload: `{"a":[1]}` }, 0)
    const message = one.message(`a"b`, "e\\")
    assert.strictEqual(one.message(`a"b`, "e\\"), message)
    assert.deepStrictEqual(JSON.parse(String(message.message)), {
      type: "publication", topic: `a"b`, epoch: "e\\", offset: 7, key: `"k"`, value: { a: [1] }
    })
  })
})
