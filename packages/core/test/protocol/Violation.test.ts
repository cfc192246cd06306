import { assert, describe, it } from "@effect/vitest"
import { isWireValid } from "../../src/CloseCode.ts"
import { protocolError, rules } from "../../src/protocol/Violation.ts"
import type { ProtocolRule } from "../../src/WebSocketError.ts"

describe("Violation", () => {
  it("makes an error of each rule, with the code and the section of its table", () => {
    for (const rule of Object.keys(rules) as Array<ProtocolRule>) {
      const { code, section, text } = rules[rule]
      const error = protocolError(rule)
      assert.deepInclude(error, { rule, code, section, detail: text })
      assert.isTrue(isWireValid(code), rule)
      assert.match(section, /^RFC \d+ §/)
      assert.include(error.message, text)
    }
    assert.strictEqual(protocolError("MessageTooBig", "1 GiB").detail, "1 GiB")
  })

  it("closes with 1007 what is not text, 1009 what is too much, 1008 what costs too much, and 1002 otherwise", () => {
    const codes: Record<number, Array<string>> = {}
    for (const [rule, { code }] of Object.entries(rules)) (codes[code] ??= []).push(rule)
    assert.deepStrictEqual(codes[1007], ["InvalidUtf8", "CloseReasonInvalid", "ExtensionData"])
    assert.deepStrictEqual(codes[1009], ["MessageTooBig", "TooManyFragments"])
    assert.deepStrictEqual(codes[1008], ["TooManyControlFrames", "MessageTooSlow", "TooMuchUnread"])
    assert.deepStrictEqual(Object.keys(codes), ["1002", "1007", "1008", "1009"])
  })
})
