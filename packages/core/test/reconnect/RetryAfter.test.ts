import { assert, describe, it } from "@effect/vitest"
import { retryAfter } from "../../src/reconnect/RetryAfter.ts"

const now = Date.UTC(2026, 0, 1)
const read = (value: string) => retryAfter([["Retry-After", value]], now)

describe("retryAfter", () => {
  it("reads seconds", () => {
    assert.strictEqual(read("0"), 0)
    assert.strictEqual(read("120"), 120_000)
    assert.strictEqual(read(" 7 "), 7000)
  })

  it("reads a date; one that has passed is now", () => {
    assert.strictEqual(read("Thu, 01 Jan 2026 00:01:00 GMT"), 60_000)
    assert.strictEqual(read("Wed, 31 Dec 2025 00:00:00 GMT"), 0)
  })

  it("takes more than an hour for an hour", () => {
    assert.strictEqual(read("3601"), 3_600_000)
    assert.strictEqual(read("9".repeat(32)), 3_600_000)
    assert.strictEqual(read("Thu, 01 Jan 2099 00:00:00 GMT"), 3_600_000)
  })

  it("what it cannot read says nothing", () => {
    for (const value of ["", "soon", "-5", "1.5 s", "9".repeat(33), "١٢"]) assert.strictEqual(read(value), undefined, value)
    assert.strictEqual(retryAfter([["date", "1"]], now), undefined)
  })
})
