import { assert, describe, it } from "@effect/vitest"
import { invalidCallerHeader, invalidHeader } from "../../src/http/CallerHeaders.ts"
import type { HeaderList } from "../../src/http/Tokens.ts"

const ruleOf = (headers: HeaderList, role: "request" | "response" = "request") => invalidCallerHeader(headers, role)?.rule

describe("Headers that a caller wants to send", () => {
  it("are tokens with values that end no line (RFC 9110 §5.5)", () => {
    for (const header of [["a b", "c"], ["", "c"], ["a", "b\r\n"], ["a", "\u0101"], ["a", "\0"]] as const) {
      assert.strictEqual(invalidHeader([["x", "y"], header])?.rule, "HeaderInvalid", JSON.stringify(header))
      assert.strictEqual(ruleOf([header]), "HeaderInvalid")
    }
    assert.isUndefined(invalidHeader([["x", "\t y \xff"], ["x", ""]]))
    assert.isUndefined(invalidHeader([]))
  })

  it("are none of the handshake's, nor of a body", () => {
    for (const name of ["Upgrade", "CONNECTION", "sec-websocket-key", "Sec-WebSocket-Protocol", "content-length", "Trailer"]) {
      assert.strictEqual(ruleOf([[name, "a"]]), "HeaderReserved", name)
      assert.strictEqual(ruleOf([[name, "a"]], "response"), "HeaderReserved", name)
    }
  })

  it("that have one value are given once, in a request", () => {
    assert.strictEqual(ruleOf([["Cookie", "a=1"], ["x", "y"], ["cookie", "b=2"]]), "HeaderDuplicated")
    assert.isUndefined(ruleOf([["Cookie", "a=1"], ["Authorization", "b"], ["x", "y"], ["x", "z"]]))
    assert.isUndefined(ruleOf([["Cookie", "a=1"], ["Cookie", "b=2"]], "response"))
  })
})
