import { assert, describe, it } from "@effect/vitest"
import { Listeners } from "../../src/runtime/Listeners.ts"

const make = (count: number) => {
  const listeners = new Listeners()
  const called: Array<number> = []
  const offs = Array.from({ length: count }, (_, i) => listeners.add(() => called.push(i)))
  return { called, listeners, offs }
}

describe("Listeners", () => {
  it("calls each once, however many there are, in their order", () => {
    for (const count of [0, 1, 2, 3]) {
      const { called, listeners } = make(count)
      assert.strictEqual(listeners.size, count)
      listeners.happen()
      assert.deepStrictEqual(called, Array.from({ length: count }, (_, i) => i))
      assert.strictEqual(listeners.size, 0)
      listeners.happen()
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
      listeners.happen()
      assert.deepStrictEqual(called, [0, 1, 2].filter((i) => i !== removed))
    }
  })

  it("one that comes in the place of the first is not removed with it", () => {
    const { called, listeners, offs } = make(1)
    offs[0]!()
    listeners.add(() => called.push(1))
    offs[0]!()
    assert.strictEqual(listeners.size, 1)
    listeners.happen()
    assert.deepStrictEqual(called, [1])
  })

  it("one that is added by another waits for the next time", () => {
    const listeners = new Listeners()
    let calls = 0
    listeners.add(() => listeners.add(() => calls++))
    listeners.happen()
    assert.strictEqual(calls, 0)
    assert.strictEqual(listeners.size, 1)
    listeners.happen()
    assert.strictEqual(calls, 1)
  })
})
