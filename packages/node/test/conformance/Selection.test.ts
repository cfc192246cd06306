import { assert, describe, it } from "@effect/vitest"
import { allCases, choose, select } from "../../src/conformance/Selection.ts"

const ids = (list: string) => select(list).map(({ id }) => id)

describe("Selection", () => {
  it("names cases by their number or its beginning", () => {
    assert.deepStrictEqual(ids("6.4.1"), ["6.4.1"])
    assert.deepStrictEqual(ids("6.4"), ["6.4.1", "6.4.2", "6.4.3", "6.4.4"])
    assert.deepStrictEqual(ids("6.4.*"), ids("6.4"))
    assert.strictEqual(ids("1").length, 16)
    assert.strictEqual(ids("1.*").length, 16)
    assert.deepStrictEqual(ids("D.3, 2.1").slice(0, 2), ["2.1", "D.3.1"])
  })

  it("knows all, and leaves out what is excluded", () => {
    assert.strictEqual(allCases.length, 548)
    assert.strictEqual(choose("*", "").length, 548)
    assert.strictEqual(choose("*", "9,12,13").length, 548 - 54 - 90 - 126)
    assert.deepStrictEqual(choose("6.4", "6.4.2").map(({ id }) => id), ["6.4.1", "6.4.3", "6.4.4"])
  })

  it("refuses what names no case", () => {
    assert.throws(() => select("8"), "there is no case 8")
    assert.throws(() => select("6.4.9"), "there is no case 6.4.9")
  })
})
