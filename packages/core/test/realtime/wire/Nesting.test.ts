import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { isDeeper } from "../../../src/realtime/wire/Nesting.ts"

const depthOf = (value: Schema.Json): number =>
  typeof value !== "object" || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf))

describe("isDeeper", () => {
  it.prop("agrees with the value", [Schema.Json], ([value]) => {
    const text = JSON.stringify(value)
    const depth = depthOf(value)
    // Spaces, since a short text is not looked at.
    const long = text + " ".repeat(1000)
    assert.isFalse(isDeeper(long, depth))
    assert.isFalse(isDeeper(text, depth))
    if (depth > 0) assert.isTrue(isDeeper(long, depth - 1))
  })

  it("counts no brackets in strings", () => {
    const long = (value: unknown) => JSON.stringify(value) + " ".repeat(100)
    for (const text of ["[[[", "\\", "\"[[", "\\\"[[[", "\\\\\"]["]) {
      assert.isFalse(isDeeper(long([text]), 1), text)
      assert.isTrue(isDeeper(long([text, [text]]), 1), text)
    }
  })

  it("ends with a text that is no JSON", () => {
    for (const text of ["\"", "\"\\", "]]]", "[".repeat(500)]) isDeeper(text + " ".repeat(100), 10)
    assert.isTrue(isDeeper("[".repeat(500), 100))
    assert.isTrue(isDeeper("{".repeat(500), 100))
  })
})
