import { assert, describe, it } from "@effect/vitest"
import { Listeners } from "../../src/runtime/Listeners.ts"

const make = (count: number) => {
  const listeners = new Listeners<string>()
  const called: Array<number> = []
  const offs = Array.from({ length: count }, (_, i) => listeners.add("end", () => called.push(i)))
  return { called, listeners, offs }
}

describe("Listeners", () => {
  it("calls each once, however many there are, in their order", () => {
    for (const count of [0, 1, 2, 3]) {
      const { called, listeners } = make(count)
      assert.strictEqual(listeners.size, count)
      listeners.happen("end")
      assert.deepStrictEqual(called, Array.from({ length: count }, (_, i) => i))
      assert.strictEqual(listeners.size, 0)
      listeners.happen("end")
      assert.lengthOf(called, count)
    }
  })

  it("does not call one that was removed, and removes no other", () => {
    for (const removed of [0, 1, 2]) {
      const { called, listeners, offs } = make(3)
      offs[removed]!()
      assert.strictEqual(listeners.size, 2)
      offs[removed]!()
      assert.strictEqual(listeners.size, 2)
      listeners.happen("end")
      assert.deepStrictEqual(called, [0, 1, 2].filter((i) => i !== removed))
    }
  })

  it("calls those of a step, and none that another one removes", () => {
    const { called, listeners } = make(1)
    listeners.add("other", () => called.push(7))
    listeners.happen("other")
    assert.deepStrictEqual(called, [7])
    const offs: Array<() => void> = []
    listeners.add("other", () => offs[0]!())
    offs.push(listeners.add("other", () => called.push(8)))
    listeners.happen("other")
    assert.deepStrictEqual([called, listeners.size], [[7], 1])
  })

  it("one that comes in the place of the first is not removed with it", () => {
    const { called, listeners, offs } = make(1)
    offs[0]!()
    listeners.add("end", () => called.push(1))
    offs[0]!()
    assert.strictEqual(listeners.size, 1)
    listeners.happen("end")
    assert.deepStrictEqual(called, [1])
  })

  it("one that is added by another waits for the next time", () => {
    const listeners = new Listeners<string>()
    let calls = 0
    listeners.add("end", () => listeners.add("end", () => calls++))
    listeners.happen("end")
    assert.strictEqual(calls, 0)
    assert.strictEqual(listeners.size, 1)
    listeners.happen("end")
    assert.strictEqual(calls, 1)
  })
})
