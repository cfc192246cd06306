import { assert, describe, it } from "@effect/vitest"
import { tlsAdvice } from "../../src/client/TlsAdvice.ts"

describe("TlsAdvice", () => {
  it("fits the kind of failure, by its code", () => {
    const expected: ReadonlyArray<readonly [advice: string, codes: ReadonlyArray<string>]> = [
      ["authority", [
        "UNABLE_TO_GET_ISSUER_CERT",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "CERT_UNTRUSTED",
        "INVALID_CA"
      ]],
      ["another name", ["ERR_TLS_CERT_ALTNAME_INVALID", "HOSTNAME_MISMATCH"]],
      ["has expired", ["CERT_HAS_EXPIRED"]],
      ["not valid yet", ["CERT_NOT_YET_VALID"]],
      ["revoked", ["CERT_REVOKED"]],
      ["does not use TLS", ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "ERR_SSL_HTTP_REQUEST"]],
      ["it wants a client certificate", ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"]],
      ["does not accept the client certificate", [
        "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
        "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
        "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN",
        "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"
      ]],
      ["no version of TLS", ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"]],
      ["ciphers", ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "ERR_SSL_NO_SHARED_CIPHER"]],
      ["ALPN", ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL"]],
      ["host's name", ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME"]],
      ["see the cause", ["CERT_SIGNATURE_FAILURE", "UNSPECIFIED", "EPROTO"]]
    ]
    for (const [advice, codes] of expected) {
      for (const code of codes) assert.include(tlsAdvice(code, ""), advice, code)
    }
  })

  it("or by OpenSSL's words, where the code is EPROTO", () => {
    const said = (words: string) => `write EPROTO 80:error:0A00010B:SSL routines:tls_validate_record_header:${words}:ssl/record.c:80:`
    assert.include(tlsAdvice("EPROTO", said("wrong version number")), "does not use TLS")
    assert.include(tlsAdvice("EPROTO", said("tlsv1 alert protocol version")), "no version of TLS")
    assert.include(tlsAdvice("EPROTO", said("ssl/tls alert handshake failure")), "ciphers")
  })
})
