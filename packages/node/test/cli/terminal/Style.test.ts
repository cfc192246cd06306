import { assert, describe, it } from "@effect/vitest"
import { hasColours, oneLine, visible } from "../../../src/cli/terminal/Style.ts"

describe("Style", () => {
  it("colours a terminal, unless the environment says otherwise", () => {
    assert.isTrue(hasColours(true, {}))
    assert.isFalse(hasColours(false, {}))
    assert.isFalse(hasColours(true, { NO_COLOR: "1" }))
    assert.isTrue(hasColours(true, { NO_COLOR: "" }))
    assert.isFalse(hasColours(true, { TERM: "dumb" }))
    assert.isTrue(hasColours(false, { FORCE_COLOR: "1" }))
    assert.isFalse(hasColours(false, { FORCE_COLOR: "0" }))
    assert.isFalse(hasColours(false, { FORCE_COLOR: "1", NO_COLOR: "1" }))
  })

  it("shows control characters instead of obeying them", () => {
    assert.strictEqual(visible("a\u001B[2Jb\u0007\u009Bc\r\n\td"), "a\\x1b[2Jb\\x07\\x9bc\\x0d\n\td")
    assert.strictEqual(visible("plain ä €"), "plain ä €")
    assert.strictEqual(oneLine("a\nb\tc"), "a\\nb\\tc")
  })
})
