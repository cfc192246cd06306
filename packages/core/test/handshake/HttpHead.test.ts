import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Handshake from "../../src/Handshake.ts"
import { handshakeRules } from "../../src/http/Refusal.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

const made = (options: Partial<Handshake.MakeRequestOptions> = {}): Handshake.HandshakeRequest =>
  Result.getOrThrow(Handshake.makeRequest({ url: "ws://a/", key, ...options }))

describe("HTTP/1.1 heads as text (RFC 9112)", () => {
  it("of an answer cannot be split", () => {
    assert.strictEqual(
      Result.getOrThrow(Handshake.encodeResponseHead(403, Handshake.statusText(403), [["Retry-After", "1"]])),
      "HTTP/1.1 403 Forbidden\r\nRetry-After: 1\r\n\r\n"
    )
    assert.isTrue(Result.isFailure(Handshake.encodeResponseHead(101, "a\r\nb", [])))
    assert.isTrue(Result.isFailure(Handshake.encodeResponseHead(101, "", [["a", "b\nc"]])))
    assert.isTrue(Result.isFailure(Handshake.encodeResponseHead(101, "", [["a b", "c"]])))
    for (const status of [99, 1000, 101.5, Number.NaN]) {
      assert.isTrue(Result.isFailure(Handshake.encodeResponseHead(status, "", [])))
    }
  })

  it("there is a reason phrase for each status that a refusal answers with", () => {
    assert.strictEqual(Handshake.statusText(299), "")
    for (const { status } of Object.values(handshakeRules)) {
      if (status !== 502) assert.notStrictEqual(Handshake.statusText(status), "", String(status))
    }
  })

  it("of a request begins with Host, and cannot be split", () => {
    const head = Result.getOrThrow(Handshake.encodeRequestHead(made({ url: "ws://a:81/b?c", headers: [["x", "y"]] })))
    assert.strictEqual(
      head,
      "GET /b?c HTTP/1.1\r\nHost: a:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nx: y\r\n\r\n`
    )
    const own = Result.getOrThrow(Handshake.encodeRequestHead(made({ headers: [["host", "other"]] })))
    assert.strictEqual(own.toLowerCase().split("host:").length, 2)
    const split = { ...made(), headers: [["a", "b\r\nc: d"]] as const }
    assert.isTrue(Result.isFailure(Handshake.encodeRequestHead(split)))
    assert.isTrue(Result.isFailure(Handshake.encodeRequestHead(made({ transport: "connect" }))), "it has no text")
    for (const target of ["", "a", "/a b", "/a\r\nb"]) {
      assert.isTrue(Result.isFailure(Handshake.encodeRequestHead({ ...made(), target })))
    }
  })
})
