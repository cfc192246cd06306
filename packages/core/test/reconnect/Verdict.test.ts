import { assert, describe, it } from "@effect/vitest"
import type { CloseInfo } from "../../src/CloseCode.ts"
import { judge } from "../../src/reconnect/Verdict.ts"
import { ConnectionClosed, HandshakeError, type HandshakeRule, IOError, ProtocolError } from "../../src/WebSocketError.ts"

const refusal = (reason: HandshakeRule, status?: number, headers: ReadonlyArray<readonly [string, string]> = []) =>
  new HandshakeError({ reason, section: "", detail: "", ...(status !== undefined && { status }), headers, body: "" })

const closed = (code: number, initiator: CloseInfo["initiator"] = "remote") =>
  new ConnectionClosed({ info: { code, reason: "", initiator, clean: true } })

const tag = (loss: unknown) => judge(loss, 0)._tag

describe("judge", () => {
  it("statuses from 400 to 499 end it, but 401, 408, 425 and 429; those from 500 do not", () => {
    for (let status = 100; status < 600; status++) {
      if (status === 101) continue
      const expected = status === 401
        ? "Renew"
        : status >= 500 || [408, 425, 429].includes(status) ? "Retry" : "End"
      assert.strictEqual(tag(refusal("StatusNot101", status)), expected, String(status))
    }
  })

  it("an answer that breaks the handshake ends it, and a request that cannot be sent", () => {
    for (const rule of ["AcceptInvalid", "UpgradeInvalid", "SubprotocolMissing", "Downgraded"] as const) {
      assert.strictEqual(tag(refusal(rule, 101)), "End", rule)
    }
    assert.strictEqual(tag(refusal("UrlInvalid")), "End")
    assert.strictEqual(tag(refusal("StatusNot101")), "End")
  })

  it("a connection that broke, or whose peer broke a rule, is tried again", () => {
    assert.strictEqual(tag(new IOError({ phase: "connect", reason: "Refused", detail: "" })), "Retry")
    assert.strictEqual(tag(new ProtocolError({ code: 1002, rule: "ReservedBit", section: "", detail: "" })), "Retry")
  })

  it("close codes from 4400 to 4499 are taken for statuses", () => {
    for (let code = 4400; code < 4500; code++) {
      assert.strictEqual(tag(closed(code)), tag(refusal("StatusNot101", code - 4000)), String(code))
    }
  })

  it("the peer's Close ends it where it says that the connection cannot go on like this", () => {
    const ends = [1002, 1003, 1007, 1008, 1010]
    for (const code of [...Array.from({ length: 15 }, (_, i) => 1000 + i), 3000, 4000, 4399, 4500, 4999]) {
      assert.strictEqual(tag(closed(code)), ends.includes(code) ? "End" : "Retry", String(code))
      assert.strictEqual(tag(closed(code, "local")), "Retry", String(code))
    }
  })

  it("says what the server asked for", () => {
    assert.deepInclude(judge(refusal("StatusNot101", 503, [["retry-after", "10"]]), 0), { told: { min: 10_000, max: 15_000 } })
    assert.deepInclude(judge(refusal("StatusNot101", 429, [["retry-after", "1"]]), 0), { told: { min: 1000, max: 2000 } })
    assert.deepInclude(judge(refusal("StatusNot101", 503, [["retry-after", "600"]]), 0), { told: { min: 600_000, max: 630_000 } })
    assert.deepInclude(judge(refusal("StatusNot101", 503), 0), { told: { min: 0, max: 0 } })
    assert.deepInclude(judge(closed(1001), 0), { told: { min: 0, max: 2000 } })
    assert.deepInclude(judge(closed(1012), 0), { told: { min: 5000, max: 30_000 } })
    assert.deepInclude(judge(closed(1013), 0), { told: { min: 5000, max: 30_000 } })
  })

  it("what the program's own effects fail with is the program's", () => {
    assert.strictEqual(tag({ _tag: "NoToken" }), "End")
    assert.strictEqual(tag(undefined), "End")
  })
})
