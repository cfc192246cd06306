import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Handshake from "../../src/Handshake.ts"
import { acceptHead } from "../../src/handshake/AcceptHead.ts"

const request: Handshake.ClientRequest = {
  key: "dGhlIHNhbXBsZSBub25jZQ==",
  subprotocols: ["chat"],
  extensions: [{ name: "x-test", params: [] }],
  origin: undefined,
  host: "a"
}

describe("acceptHead (RFC 6455 §4.2.2)", () => {
  it("the answer that says no more than it must is the one that the general rules make", () => {
    const { headers } = Result.getOrThrow(Handshake.acceptResponse(request))
    const general = Handshake.encodeResponseHead(101, Handshake.statusText(101), headers)
    assert.deepStrictEqual(acceptHead(request, {}, undefined), general)
    assert.deepStrictEqual(acceptHead(request, { headers: [] }, undefined), general)
  })

  it("uses the platform's own SHA-1", () => {
    const head = Result.getOrThrow(acceptHead(request, { sha1: () => "digest" }, undefined))
    assert.include(head, "Sec-WebSocket-Accept: digest\r\n\r\n")
  })

  it("says what was chosen", () => {
    const head = Result.getOrThrow(
      acceptHead(request, { subprotocol: "chat", headers: [["Set-Cookie", "a=1"]] }, { name: "x-test", params: [] })
    )
    for (const line of ["Sec-WebSocket-Protocol: chat", "Set-Cookie: a=1", "Sec-WebSocket-Extensions: x-test"]) {
      assert.include(head, `${line}\r\n`)
    }
  })

  it("refuses what was not offered, and headers that belong to the handshake", () => {
    const reasons = [
      acceptHead(request, { subprotocol: "other" }, undefined),
      acceptHead(request, {}, { name: "x-other", params: [] }),
      acceptHead(request, { headers: [["Upgrade", "h2c"]] }, undefined)
    ].map((result) => Result.isFailure(result) && result.failure.reason)
    assert.deepStrictEqual(reasons, ["SubprotocolNotOffered", "ExtensionNotOffered", "HeaderReserved"])
  })
})
