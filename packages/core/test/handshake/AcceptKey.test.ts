import { assert, describe, it } from "@effect/vitest"
import { acceptKey, isKey, makeKey } from "../../src/handshake/AcceptKey.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

describe("Keys and what proves that they were read (RFC 6455 §1.3)", () => {
  it("is the example of the RFC", () => {
    assert.strictEqual(makeKey(new TextEncoder().encode("the sample nonce")), key)
    assert.strictEqual(acceptKey(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  })

  it("is the platform's digest where it has one", () => {
    assert.strictEqual(acceptKey(key, (text) => `digest of ${text}`), `digest of ${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  })

  it("knows the base64 of 16 bytes, whatever its spare bits", () => {
    for (const good of [key, "AAAAAAAAAAAAAAAAAAAAAA==", "//////////////////////==", "++++++++++++++++++++++=="]) {
      assert.isTrue(isKey(good), good)
    }
    for (const bad of ["", `${key} `, key.slice(1), key.replace("=", "a"), key.replace("Z", "-"), key.replace("Z", "@"), key.replace("Z", "[")]) {
      assert.isFalse(isKey(bad), bad)
    }
  })
})
