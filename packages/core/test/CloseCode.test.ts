import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as CloseCode from "../src/CloseCode.ts"

describe("CloseCode", () => {
  it("knows which codes may stand on the wire (RFC 6455 §7.4)", () => {
    for (let code = 0; code < 5100; code++) {
      const defined = code >= 1000 && code < 1015 && ![1004, 1005, 1006].includes(code)
      const valid = defined || (code >= 3000 && code < 5000)
      assert.strictEqual(CloseCode.isWireValid(code), valid, `${code}`)
      assert.strictEqual(Schema.is(CloseCode.CloseCode)(code), valid, `${code}`)
      assert.strictEqual(CloseCode.isApplication(code), code >= 3000 && code < 5000, `${code}`)
    }
  })

  it("refuses what is not an integer", () => {
    for (const code of [1000.5, NaN, Infinity, -1000, "1000", null]) {
      assert.isFalse(Schema.is(CloseCode.CloseCode)(code))
      assert.isFalse(Schema.is(CloseCode.ApplicationCloseCode)(code))
    }
  })

  it.prop("generates valid codes", { code: CloseCode.CloseCode, own: CloseCode.ApplicationCloseCode }, ({ code, own }) => {
    assert.isTrue(CloseCode.isWireValid(code))
    assert.isTrue(CloseCode.isApplication(own))
    assert.notStrictEqual(CloseCode.nameOf(code), "Unassigned")
  })

  it.prop("close information has an arbitrary", { info: CloseCode.CloseInfo }, ({ info }) => {
    assert.isTrue(Schema.is(CloseCode.CloseInfo)(info))
  })

  it("names codes", () => {
    assert.strictEqual(CloseCode.nameOf(1000), "Normal Closure")
    assert.strictEqual(CloseCode.nameOf(3999), "Library")
    assert.strictEqual(CloseCode.nameOf(4999), "Application")
    for (const code of [999, 1004, 1016, 2999, 5000]) {
      assert.strictEqual(CloseCode.nameOf(code), "Unassigned", `${code}`)
    }
  })
})
