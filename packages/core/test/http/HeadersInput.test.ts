import { assert, describe, it } from "@effect/vitest"
import { toHeaderList } from "../../src/http/HeadersInput.ts"

describe("HeadersInput", () => {
  const lines = [["set-cookie", "a=1"], ["Set-Cookie", "b=2"], ["x", "y"]] as const

  it("a list stays as it is, repeated names included", () => {
    assert.strictEqual(toHeaderList(lines), lines)
    assert.deepStrictEqual(toHeaderList(new Set(lines)), lines)
  })

  it("in a record a list of values stands for one line each", () => {
    assert.deepStrictEqual(toHeaderList({ "set-cookie": ["a=1", "b=2"], x: "y", none: [], left: undefined }), [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x", "y"]
    ])
  })

  it("nothing is no lines", () => {
    assert.deepStrictEqual(toHeaderList(undefined), [])
  })
})
