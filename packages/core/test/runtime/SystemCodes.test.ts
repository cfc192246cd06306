/** What the codes of systems mean. */
import { assert, describe, it } from "@effect/vitest"
import { Transport } from "@effect-ws/core"
import { codeOf, reasonOf } from "../../src/runtime/SystemCodes.ts"

const coded = (code: string) => Object.assign(new Error("read failed"), { code })

describe("SystemCodes", () => {
  it("finds the code of an error, or of what caused it", () => {
    assert.strictEqual(codeOf(coded("EPIPE")), "EPIPE")
    assert.strictEqual(codeOf(new Error("outer", { cause: new Error("inner", { cause: coded("EPIPE") }) })), "EPIPE")
    assert.strictEqual(codeOf({ reason: { cause: coded("EPIPE") } }), "EPIPE")
    assert.strictEqual(codeOf({ code: 1, cause: coded("EPIPE") }), "EPIPE")
    for (const none of [undefined, null, "EPIPE", {}, { cause: null }, new Error("no code")]) assert.isUndefined(codeOf(none))
    const circular: { cause?: unknown } = {}
    circular.cause = circular
    assert.isUndefined(codeOf(circular))
  })

  it("knows what they stand for", () => {
    const expected = {
      Refused: ["ECONNREFUSED"],
      Unresolved: ["ENOTFOUND", "EAI_AGAIN"],
      Reset: ["ECONNRESET", "ECONNABORTED", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "UND_ERR_SOCKET"],
      TimedOut: ["ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT"],
      Tls: ["DEPTH_ZERO_SELF_SIGNED_CERT", "EPROTO", "ERR_TLS_CERT_ALTNAME_INVALID", "ERR_SSL_WRONG_VERSION_NUMBER", "CERT_HAS_EXPIRED"],
      Unknown: [undefined, "", "EACCES", "CERT", "XCERT_", "constructor"]
    } as const
    for (const [reason, codes] of Object.entries(expected)) {
      for (const code of codes) assert.strictEqual(reasonOf(code), reason, String(code))
    }
  })

  it("makes an IOError of an error, with the error as its cause", () => {
    const cause = coded("ECONNRESET")
    const error = Transport.toIOError("write", cause)
    assert.deepStrictEqual([error.phase, error.reason, error.cause], ["write", "Reset", cause])
    assert.include(error.message, "read failed")
    assert.strictEqual(Transport.toIOError("read", new Error("odd")).reason, "Unknown")
  })
})
