import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { portable } from "../../src/Primitives.ts"
import { checkClose, closeBody, readClose } from "../../src/protocol/CloseFrame.ts"

const ruleOf = (...body: Array<number>) => {
  const ending = readClose(Uint8Array.from(body), portable)
  return ending._tag === "Violation" ? ending.error.rule : ending
}

describe("CloseFrame", () => {
  it("checks what a Close may say", () => {
    const ok = (role: "client" | "server", code: number | undefined, reason = "") =>
      Result.isSuccess(checkClose(role, code, reason))
    for (const code of [1000, 1003, 1007, 1014, 3000, 4999, undefined]) assert.isTrue(ok("server", code))
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, NaN]) assert.isFalse(ok("client", code))
    assert.isTrue(ok("client", 1010))
    assert.isFalse(ok("server", 1010))
    assert.isTrue(ok("client", 1000, "r".repeat(123)))
    assert.isFalse(ok("client", 1000, "r".repeat(124)))
    assert.isFalse(ok("client", 1000, "€".repeat(42)))
    assert.isFalse(ok("client", undefined, "r"))
    const said = checkClose("client", 1000, "r".repeat(124))
    assert.include(Result.isFailure(said) ? said.failure.message : "", "124 bytes; at most 123")
  })

  it("writes what it reads: every code and reason that may stand on the wire", () => {
    for (const code of [1000, 1003, 1007, 1014, 3000, 4999]) {
      for (const reason of ["", "r", "\u00e9\u20ac\u{1f600}", "r".repeat(123)]) {
        assert.deepStrictEqual(readClose(closeBody(code, reason), portable), { _tag: "Close", code, reason })
      }
    }
    assert.strictEqual(closeBody(1005, "").length, 0)
    assert.deepStrictEqual(readClose(closeBody(1005, ""), portable), { _tag: "Close", code: 1005, reason: "" })
  })

  it("refuses a body that RFC 6455 §5.5.1 and §7.4 do not allow", () => {
    assert.strictEqual(ruleOf(3), "CloseTooShort")
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535]) {
      assert.strictEqual(ruleOf(code >> 8, code & 255), "CloseCodeInvalid")
    }
    assert.strictEqual(ruleOf(3, 232, 0xc0, 0x80), "CloseReasonInvalid")
    assert.strictEqual(ruleOf(3, 232, 0xe2, 0x82), "CloseReasonInvalid", "a reason that ends inside a character")
  })
})
