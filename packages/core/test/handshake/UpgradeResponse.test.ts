import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Handshake from "../../src/Handshake.ts"

const request: Handshake.ClientRequest = {
  key: "dGhlIHNhbXBsZSBub25jZQ==",
  subprotocols: ["chat"],
  extensions: [{ name: "x-test", params: [] }],
  origin: undefined,
  host: "a",
  expectsContinue: false
}

const answer = (options: Handshake.AcceptOptions = {}, to = request) =>
  Result.getOrThrow(Handshake.acceptResponse(to, options))

const general = ({ headers, status }: Handshake.UpgradeResponse) =>
  Handshake.encodeResponseHead(status, Handshake.statusText(status), headers)

describe("Handshake: the head of the answer that accepts", () => {
  it("an answer without options is the one that the general rules make", () => {
    assert.deepStrictEqual(Handshake.encodeUpgradeResponse(answer()), general(answer()))
    assert.strictEqual(
      Result.getOrThrow(Handshake.encodeUpgradeResponse(answer())),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
  })

  it("so is one with any option, and one to an extended CONNECT", () => {
    const cookie = [["Set-Cookie", "a=1"]] as const
    for (const options of [{ subprotocol: "chat" }, { extensions: "x-test; a" }, { headers: cookie }]) {
      assert.deepStrictEqual(Handshake.encodeUpgradeResponse(answer(options)), general(answer(options)))
    }
    const connected = answer({ headers: [...cookie, ...cookie, ...cookie] }, { ...request, key: undefined })
    assert.deepStrictEqual(Handshake.encodeUpgradeResponse(connected), general(connected))
  })

  it("stands behind a 100 for a client that waits for it (RFC 9110 §7.8)", () => {
    const [head, continued] = [request, { ...request, expectsContinue: true }].map((to) =>
      Result.getOrThrow(Handshake.encodeUpgradeResponse(answer({}, to)))
    )
    assert.strictEqual(continued, `HTTP/1.1 100 Continue\r\n\r\n${head}`)
  })

  it("writes no head that its own values would split", () => {
    for (const accept of ["a\r\nb: c", "a\n", "\0"]) {
      const { headers, status } = answer({ sha1: () => accept })
      for (const continues of [false, true]) {
        assert.isTrue(Result.isFailure(Handshake.encodeUpgradeResponse({ status, headers, continues })))
      }
    }
    const split = { status: 101, headers: [["a", "b\nc"]], continues: false } as const
    assert.isTrue(Result.isFailure(Handshake.encodeUpgradeResponse(split)))
  })
})
