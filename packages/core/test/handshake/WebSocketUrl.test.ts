import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Handshake from "../../src/Handshake.ts"

const invalid = (url: string, reason: Handshake.HandshakeRule) => {
  const result = Handshake.normalizeUrl(url)
  assert.strictEqual(Result.isFailure(result) && result.failure.reason, reason, url)
}

describe("The URL of a WebSocket (RFC 6455 §3)", () => {
  it("maps ws and wss to the HTTP layer, with their default ports", () => {
    const cases = [
      ["ws://a", "http://a/"],
      ["wss://a", "https://a/"],
      ["http://a/b?c", "http://a/b?c"],
      ["https://a", "https://a/"],
      ["ws://a:80/", "http://a/"],
      ["wss://a:443/", "https://a/"],
      ["ws://a:443/", "http://a:443/"],
      ["wss://a:80/", "https://a:80/"],
      ["WSS://A.Example:8443/x", "https://a.example:8443/x"],
      ["ws://[::1]:9/", "http://[::1]:9/"],
      ["ws://b\u00fccher.example/\u00e9 x", "http://xn--bcher-kva.example/%C3%A9%20x"]
    ] as const
    for (const [given, expected] of cases) {
      assert.strictEqual(Result.getOrThrow(Handshake.normalizeUrl(given)).href, expected)
      const object = new URL(given)
      assert.strictEqual(Result.getOrThrow(Handshake.normalizeUrl(object)).href, expected)
      assert.strictEqual(object.href, new URL(given).href) // the caller's object is left alone
    }
  })

  it("resolves relative URLs", () => {
    const cases = [
      ["/ticks", "https://a/b/c", "https://a/ticks"],
      ["d?e", "wss://a/b/c", "https://a/b/d?e"],
      ["//x/y", "ws://a/", "http://x/y"],
      ["", "ws://a/b#c", "http://a/b"]
    ] as const
    for (const [given, base, expected] of cases) {
      assert.strictEqual(Result.getOrThrow(Handshake.normalizeUrl(given, base)).href, expected)
      assert.strictEqual(Result.getOrThrow(Handshake.normalizeUrl(given, new URL(base))).href, expected)
    }
  })

  it("refuses what is no URL of a WebSocket", () => {
    for (const bad of ["", "/relative", "a", "ws://", "ws://a:99999", "ws://a b", "ws://[::1"]) {
      invalid(bad, "UrlInvalid")
    }
    for (const bad of ["ws://a/b\r\nc", "ws://a/\0", "\tws://a", "ws://a/\x7f"]) invalid(bad, "UrlInvalid")
    for (const bad of ["ftp://a", "file:///a", "javascript:1", "wsx://a"]) invalid(bad, "UrlScheme")
    for (const bad of ["ws://a#b", "ws://a/#", "wss://a/b?c#d"]) invalid(bad, "UrlFragment")
    for (const bad of ["ws://user@a", "ws://user:secret@a", "ws://:secret@a"]) invalid(bad, "UrlCredentials")
  })

  it("refuses a base that cannot be one", () => {
    for (const base of ["", "a", "ws://a\0"]) assert.isTrue(Result.isFailure(Handshake.normalizeUrl("/a", base)))
  })

  it("tells where a secure URL ended on an insecure one (§10.6)", () => {
    for (const asked of ["https://a/", "wss://a/?token"]) {
      for (const ended of ["http://a/?token", "ws://a/", "", "x"]) {
        const result = Handshake.checkDowngrade(asked, ended)
        if (Result.isSuccess(result)) return assert.fail(ended)
        assert.strictEqual(result.failure.reason, "Downgraded")
        assert.notInclude(result.failure.detail, "token")
      }
      for (const ended of ["https://b/", "wss://b/"]) {
        assert.isTrue(Result.isSuccess(Handshake.checkDowngrade(new URL(asked), new URL(ended))))
      }
    }
    for (const asked of ["http://a/", "ws://a/", "", "ftp://a/"]) {
      assert.isTrue(Result.isSuccess(Handshake.checkDowngrade(asked, "http://a/")))
    }
  })
})
