import { assert, describe, it } from "@effect/vitest"
import { Latencies } from "../../../src/cli/load/Latencies.ts"
import { make, numbered } from "../../../src/cli/load/Plan.ts"

describe("Plan", () => {
  it("spreads messages evenly over time, and over connections in turn", () => {
    const plan = make(3, 300)
    const due = [0, 1, 2].flatMap((connection) => [0, 1, 2].map((index) => plan.dueAt(connection, index)))
    assert.deepStrictEqual(due.map((millis) => Math.round(millis * 100) / 100), [
      0,
      10,
      20,
      3.33,
      13.33,
      23.33,
      6.67,
      16.67,
      26.67
    ])
  })

  it("counts what is due as it says when it is due", () => {
    for (const [connections, rate] of [[1, 1], [7, 1234], [100, 3]] as const) {
      const plan = make(connections, rate)
      for (let connection = 0; connection < connections; connection++) {
        for (let index = 0; index < 50; index++) {
          const at = plan.dueAt(connection, index)
          assert.strictEqual(plan.dueBefore(connection, at + 1e-6), index + 1)
          if (at > 0) assert.strictEqual(plan.dueBefore(connection, at - 1e-6), index)
        }
      }
    }
  })
})

describe("numbered", () => {
  it("makes messages of a size that can be told apart", () => {
    const { fits, make } = numbered(16)
    assert.strictEqual(make(42), "0000000042xxxxxx")
    assert.isTrue(fits(make(42), 42))
    assert.isFalse(fits(make(42), 43))
    assert.isFalse(fits(`${make(42)}x`, 42))
    assert.strictEqual(numbered(2).make(123), "23")
    assert.strictEqual(numbered(0).make(123), "")
    assert.isTrue(numbered(0).fits("", 5))
  })
})

describe("Latencies", () => {
  it("keeps three digits", () => {
    const latencies = new Latencies()
    for (let millis = 1; millis <= 1000; millis++) latencies.record(millis)
    assert.strictEqual(latencies.count, 1000)
    assert.approximately(latencies.at(50), 500, 1)
    assert.approximately(latencies.at(99), 990, 2)
    assert.approximately(latencies.summary.mean, 500.5, 1)
    assert.approximately(latencies.summary.most, 1000, 1)
  })

  it("says nothing where there is nothing, and bears what is out of its range", () => {
    const latencies = new Latencies()
    assert.deepInclude(latencies.summary, { count: 0, least: 0, mean: 0, most: 0 })
    latencies.record(-1)
    latencies.record(1e12)
    assert.strictEqual(latencies.count, 2)
  })
})
