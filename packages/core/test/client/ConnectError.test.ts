import { assert, describe, it } from "@effect/vitest"
import * as WebSocketClient from "../../src/WebSocketClient.ts"

const coded = (code: string, message = code) => Object.assign(new Error(message), { code })

const why = (cause: unknown) => {
  const { detail, phase, reason } = WebSocketClient.connectError(cause)
  return { detail, phase, reason }
}

describe("connectError: why a server could not be reached", () => {
  it("says what to do about it", () => {
    const expected: ReadonlyArray<readonly [code: string, reason: string, advice: string]> = [
      ["ECONNREFUSED", "Refused", "is it running"],
      ["ENOTFOUND", "Unresolved", "its name is unknown"],
      ["ECONNRESET", "Reset", "cut before a response"],
      ["UND_ERR_CONNECT_TIMEOUT", "TimedOut", "does not respond"],
      ["ABORT_ERR", "Aborted", "this side stopped"],
      ["EACCES", "Unknown", "see the cause"]
    ]
    for (const [code, reason, advice] of expected) {
      const error = why(coded(code))
      assert.deepStrictEqual([error.phase, error.reason], ["connect", reason])
      assert.include(error.detail, `(${code})`)
      assert.include(error.detail, advice)
    }
    assert.deepInclude(why(new Error("odd")), {
      reason: "Unknown",
      detail: "The server could not be reached: see the cause"
    })
  })

  it("keeps the cause, and finds the code in it", () => {
    const cause = { reason: { cause: coded("CERT_HAS_EXPIRED") } }
    const error = WebSocketClient.connectError(cause)
    assert.strictEqual(error.cause, cause)
    assert.strictEqual(error.reason, "Tls")
    assert.include(error.detail, "has expired")
  })

  it("says that it is undici that drops a connection because of a 100", () => {
    const error = why({ cause: coded("UND_ERR_SOCKET", "bad response") })
    assert.deepInclude(error, { phase: "handshake", reason: "Aborted" })
    assert.include(error.detail, "100 Continue")
    assert.strictEqual(why(coded("UND_ERR_SOCKET", "other side closed")).reason, "Reset")
  })

  it("tells an answer that is no HTTP, or too long, from a server that cannot be reached", () => {
    const parser = Object.assign(new Error("Expected HTTP/"), { name: "HTTPParserError" })
    for (const cause of [coded("HPE_INVALID_CONSTANT"), parser, { cause: parser }]) {
      const error = why(cause)
      assert.deepInclude(error, { phase: "handshake", reason: "Unknown" })
      assert.include(error.detail, "is not HTTP/1.1")
    }
    assert.include(why(coded("HPE_HEADER_OVERFLOW")).detail, "too large")
  })
})
