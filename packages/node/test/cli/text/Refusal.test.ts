import { assert, describe, it } from "@effect/vitest"
import { WebSocketError } from "@effect-ws/core"
import { status } from "../../../src/cli/Failure.ts"
import { plain } from "../../../src/cli/terminal/Style.ts"
import { failureOf } from "../../../src/cli/text/Refusal.ts"

const refused = (code: number, headers: ReadonlyArray<readonly [string, string]> = [], body = "") =>
  new WebSocketError.HandshakeError({
    reason: "StatusNot101",
    section: "RFC 6455 §4.1",
    detail: `the server answered ${code} instead of 101`,
    status: code,
    headers,
    body
  })

describe("failureOf", () => {
  it.each([
    [301, "location", "https://other.example/", "connect to https://other.example/ if you trust it"],
    [200, "server", "x", "this path is an ordinary web page"],
    [401, "www-authenticate", "Bearer", "the server wants credentials: --header"],
    [403, "server", "x", "--origin https://…"],
    [404, "server", "x", "nothing is at this path"],
    [426, "sec-websocket-version", "8", "supports version 8 of the protocol"],
    [426, "server", "x", "a proxy in between may have removed the Upgrade header"],
    [429, "retry-after", "7", "try again after 7"],
    [502, "server", "x", "the server behind it is down"],
    [500, "server", "x", "the server failed"]
  ])("advises on %i with %s: %s", (code, name, value, advice) => {
    const failure = failureOf(refused(code, [[name, value]]), plain)
    assert.strictEqual(failure.status, status.refused)
    assert.include(failure.text, `\n  ${name}: ${value}\n`)
    assert.include(failure.text, `What to do: `)
    assert.include(failure.text, advice)
  })

  it("cuts a long body and takes control characters out of it", () => {
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index}\u001B[2J`)
    const { text } = failureOf(refused(500, [], lines.join("\n")), plain)
    assert.include(text, "  line 11\\x1b[2J\n  … 8 more lines\n")
  })

  it("takes what was not sent for a mistake in the command line", () => {
    const error = new WebSocketError.HandshakeError({
      reason: "UrlScheme",
      section: "RFC 6455 §3",
      detail: "ftp",
      headers: [],
      body: ""
    })
    assert.strictEqual(failureOf(error, plain).status, status.usage)
  })

  it("advises on TLS", () => {
    const of = (detail: string) =>
      failureOf(new WebSocketError.IOError({ phase: "connect", reason: "Tls", detail }), plain)
    assert.strictEqual(of("x").status, status.unreachable)
    assert.include(of("x").text, "--ca FILE")
    assert.include(of("(EPROTO)").text, "try ws:// instead of wss://")
  })
})
