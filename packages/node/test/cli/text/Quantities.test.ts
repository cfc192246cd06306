import { assert, describe, it } from "@effect/vitest"
import {
  parseDuration,
  parseSize,
  plural,
  showBytes,
  showCount,
  showMillis
} from "../../../src/cli/text/Quantities.ts"

describe("Quantities", () => {
  it("reads durations, in seconds unless a unit is given", () => {
    assert.deepStrictEqual(["500ms", "5s", "1.5 s", "2m", "1h", "3"].map(parseDuration), [
      500,
      5000,
      1500,
      120_000,
      3_600_000,
      3000
    ])
    for (const wrong of ["", "soon", "-1s", "5 years", "1.2.3s"]) assert.throws(() => parseDuration(wrong), "is not a duration")
  })

  it("reads sizes, in bytes unless a unit is given", () => {
    assert.deepStrictEqual(["0", "512", "16k", "16KiB", "1kb", "1MiB", "0.5m"].map(parseSize), [
      0,
      512,
      16_384,
      16_384,
      1000,
      1_048_576,
      524_288
    ])
    for (const wrong of ["", "big", "-1", "1.5", "5 parsecs"]) assert.throws(() => parseSize(wrong), "is not a size")
  })

  it("shows them with about three digits", () => {
    assert.deepStrictEqual([0.0123, 1.234, 12.34, 123.4, 12_340, 754_000].map(showMillis), [
      "12 µs",
      "1.23 ms",
      "12.3 ms",
      "123 ms",
      "12.3 s",
      "12 min 34 s"
    ])
    assert.deepStrictEqual([12, 1234, 123_456, 12_345_678, 2 ** 31].map(showBytes), [
      "12 B",
      "1.21 KiB",
      "121 KiB",
      "11.8 MiB",
      "2.00 GiB"
    ])
    assert.strictEqual(showCount(1_234_567.8), "1,234,568")
    assert.strictEqual(`${plural(1, "message")}, ${plural(2, "message")}`, "1 message, 2 messages")
  })
})
