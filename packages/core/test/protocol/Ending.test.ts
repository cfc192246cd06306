import { assert, describe, it } from "@effect/vitest"
import { violation } from "../../src/protocol/Ending.ts"

describe("Ending", () => {
  it("is the error of a broken rule", () => {
    const plain = violation("MaskMissing")
    assert.strictEqual(plain._tag, "Violation")
    assert.deepInclude(plain._tag === "Violation" ? plain.error : {}, { rule: "MaskMissing", code: 1002 })
    const detailed = violation("CloseCodeInvalid", "it was 1005")
    assert.strictEqual(detailed._tag === "Violation" ? detailed.error.detail : "", "it was 1005")
  })
})
