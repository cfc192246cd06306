import { assert, describe, it } from "@effect/vitest"
import { parseAuthority, parseUrl } from "../../src/http/Authority.ts"

describe("Authority (RFC 3986 §3.2)", () => {
  it("reads a host and its port, if one is written", () => {
    const expected: ReadonlyArray<readonly [text: string, hostname: string, port: number | undefined]> = [
      ["a", "a", undefined],
      ["A.Example:80", "a.example", 80],
      ["a:", "a", undefined],
      ["a:0", "a", 0],
      ["a:65535", "a", 65535],
      ["[::1]", "[::1]", undefined],
      ["[0:0:0:0:0:0:0:1]:9", "[::1]", 9],
      ["127.1:8080", "127.0.0.1", 8080],
      ["xn--bcher-kva.example", "xn--bcher-kva.example", undefined]
    ]
    for (const [text, hostname, port] of expected) assert.deepStrictEqual(parseAuthority(text), { hostname, port }, text)
  })

  it("refuses what is none, also the second time", () => {
    const bad = [
      "", ":", ":80", "a:b", "a:-1", "a:65536", "a:123456", "a:80:80", "a b", "a/b", "u@a", "a\0", "é", "a\u0101", "[::1", "[]", "[::1]a",
      "[::1]80", "[g]", "[1:2]", "]", "999.1.1.1", "%zz", "a".repeat(1025)
    ]
    for (const text of [...bad, ...bad.flatMap((one) => [one, one])]) assert.isUndefined(parseAuthority(text), text)
  })

  it("is asked for the same host again and again", () => {
    assert.strictEqual(parseAuthority("same.example:1"), parseAuthority("same.example:1"))
  })

  it("has a URL parser that does not throw", () => {
    assert.isUndefined(parseUrl("a"))
    assert.strictEqual(parseUrl("b", "http://a/")?.href, "http://a/b")
  })
})
