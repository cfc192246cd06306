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
      Refused: ["ECONNREFUSED", "ENOENT"],
      Unresolved: ["ENOTFOUND", "EAI_AGAIN", "EAI_NONAME"],
      Reset: ["ECONNRESET", "ECONNABORTED", "EPIPE", "EHOSTUNREACH", "ERR_STREAM_PREMATURE_CLOSE", "UND_ERR_SOCKET"],
      TimedOut: ["ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "ERR_TLS_HANDSHAKE_TIMEOUT"],
      Aborted: ["ABORT_ERR", "UND_ERR_ABORTED"],
      Tls: [
        "EPROTO",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "ERR_SSL_WRONG_VERSION_NUMBER",
        "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE",
        "ERR_OSSL_EVP_UNSUPPORTED"
      ],
      Unknown: [undefined, "", "EACCES", "CERT", "XCERT_", "constructor"]
    } as const
    for (const [reason, codes] of Object.entries(expected)) {
      for (const code of codes) assert.strictEqual(reasonOf(code), reason, String(code))
    }
  })

  it("knows every code that Node gives a certificate that OpenSSL does not accept", () => {
    const codes = [
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_CRL",
      "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
      "UNABLE_TO_DECRYPT_CRL_SIGNATURE",
      "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
      "CERT_SIGNATURE_FAILURE",
      "CRL_SIGNATURE_FAILURE",
      "CERT_NOT_YET_VALID",
      "CERT_HAS_EXPIRED",
      "CRL_NOT_YET_VALID",
      "CRL_HAS_EXPIRED",
      "ERROR_IN_CERT_NOT_BEFORE_FIELD",
      "ERROR_IN_CERT_NOT_AFTER_FIELD",
      "ERROR_IN_CRL_LAST_UPDATE_FIELD",
      "ERROR_IN_CRL_NEXT_UPDATE_FIELD",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "CERT_CHAIN_TOO_LONG",
      "CERT_REVOKED",
      "INVALID_CA",
      "PATH_LENGTH_EXCEEDED",
      "INVALID_PURPOSE",
      "CERT_UNTRUSTED",
      "CERT_REJECTED",
      "HOSTNAME_MISMATCH",
      "UNSPECIFIED"
    ]
    for (const code of codes) assert.strictEqual(reasonOf(code), "Tls", code)
  })

  it("makes an IOError of an error, with the error as its cause", () => {
    const cause = coded("ECONNRESET")
    const error = Transport.toIOError("write", cause)
    assert.deepStrictEqual([error.phase, error.reason, error.cause], ["write", "Reset", cause])
    assert.include(error.message, "read failed")
    assert.strictEqual(Transport.toIOError("read", new Error("odd")).reason, "Unknown")
  })
})
