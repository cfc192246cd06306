import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Origin from "../src/Origin.ts"
import { parseAuthority } from "../src/http/Authority.ts"
import { parseOrigin } from "../src/Origin.ts"

const verdict = (
  policy: Origin.OriginPolicy,
  origin: string | undefined,
  host = "example.com",
  secure?: boolean
): number => {
  const result = Origin.check(policy, origin, host, { headers: [], secure })
  return Result.isSuccess(result) ? 101 : result.failure.status ?? 0
}

describe("Origin (RFC 6455 §10.2, RFC 6454)", () => {
  const same: ReadonlyArray<readonly [origin: string, host: string, secure?: boolean]> = [
    ["https://example.com", "example.com"], // also behind a proxy that ended TLS
    ["http://example.com", "example.com"],
    ["https://example.com", "example.com:443"],
    ["http://example.com", "example.com:80"],
    ["http://example.com:80", "example.com"],
    ["https://example.com:443", "example.com:"],
    ["http://localhost:8080", "localhost:8080"],
    ["HTTPS://Example.COM", "eXample.com"],
    ["http://[::1]:3000", "[0:0:0:0:0:0:0:1]:3000"],
    ["http://127.0.0.1:3000", "127.0.0.1:3000"],
    ["https://example.com", "example.com", true],
    ["https://xn--bcher-kva.example", "xn--bcher-kva.example"]
  ]
  for (const [origin, host, secure] of same) {
    it(`allows ${origin} on ${host}${secure === true ? " with TLS" : ""}`, () => {
      assert.strictEqual(verdict(Origin.sameHost, origin, host, secure), 101)
    })
  }

  const foreign: ReadonlyArray<readonly [origin: string, host: string, secure?: boolean]> = [
    ["http://example.com:8080", "example.com"],
    ["https://example.com", "example.com:8080"],
    ["https://example.com", "example.com:80"],
    ["http://example.com", "example.com:443"],
    ["http://example.com", "example.com", true], // a page without TLS, a socket with
    ["https://evil.com", "example.com"],
    ["https://example.com.evil.com", "example.com"],
    ["https://evilexample.com", "example.com"],
    ["https://sub.example.com", "example.com"],
    ["null", "null"],
    ["", "example.com"],
    ["example.com", "example.com"],
    ["//example.com", "example.com"],
    ["https:example.com", "example.com"],
    ["https:///example.com", "example.com"],
    ["https://example.com/", "example.com"],
    ["https://example.com/path", "example.com"],
    ["https://example.com?x", "example.com"],
    ["https://example.com#x", "example.com"],
    ["https://user@example.com", "example.com"],
    ["https://evil.com\\@example.com", "example.com"],
    ["https://evil.com https://example.com", "example.com"],
    ["https://exam\tple.com", "example.com"],
    ["https://example.com:99999", "example.com"],
    ["https://example.com:4x3", "example.com"],
    ["https://example.com:0443", "example.com:44"],
    ["chrome-extension://example.com", "example.com"],
    ["file://", "example.com"],
    ["https://[::1", "[::1"],
    ["https://example.com", ""],
    ["https://example.com", "exa mple.com"]
  ]
  for (const [origin, host, secure] of foreign) {
    it(`refuses ${JSON.stringify(origin)} on ${host}${secure === true ? " with TLS" : ""}`, () => {
      assert.strictEqual(verdict(Origin.sameHost, origin, host, secure), 403)
    })
  }

  it("allows a request without an Origin header: it is no browser", () => {
    assert.strictEqual(verdict(Origin.sameHost, undefined), 101)
    assert.strictEqual(verdict([], undefined), 101)
  })

  it("compares with a list, parsed", () => {
    const list = ["https://app.example", "http://localhost:3000/", "chrome-extension://abcdef"]
    for (const origin of ["https://app.example", "https://APP.example:443", "http://localhost:3000"]) {
      assert.strictEqual(verdict(list, origin), 101, origin)
    }
    assert.strictEqual(verdict(list, "chrome-extension://abcdef"), 101)
    for (
      const origin of [
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil",
        "https://example.com", // its own host is not in the list
        "http://localhost",
        "chrome-extension://other",
        "null",
        ""
      ]
    ) {
      assert.strictEqual(verdict(list, origin), 403, origin)
    }
  })

  it("compares the scheme also where the port is written", () => {
    assert.strictEqual(verdict(["https://app.example:8443"], "https://app.example:8443"), 101)
    assert.strictEqual(verdict(["https://app.example:8443"], "http://app.example:8443"), 403)
  })

  it("refuses a host longer than any name", () => {
    const host = "a.".repeat(600)
    assert.strictEqual(verdict(Origin.sameHost, `https://${host}`, host), 403)
  })

  it("allows null only where the list says so", () => {
    assert.strictEqual(verdict(["null"], "null"), 101)
    assert.strictEqual(verdict(["null"], "https://evil.com"), 403)
  })

  it("asks a function, also without an Origin header, and refuses when it throws", () => {
    const policy = (origin: string | undefined) => origin === "https://a.example"
    assert.strictEqual(verdict(policy, "https://a.example"), 101)
    assert.strictEqual(verdict(policy, "https://b.example"), 403)
    assert.strictEqual(verdict(policy, undefined), 403)
    const broken = () => {
      throw new Error("broken")
    }
    assert.strictEqual(verdict(broken, "https://example.com"), 500)
  })

  it("says what was compared, and what to set", () => {
    const refused = (policy: Origin.OriginPolicy, origin: string | undefined, secure = false) => {
      const result = Origin.check(policy, origin, "backend:8080", { headers: [], secure })
      return Result.isFailure(result) ? result.failure.detail : assert.fail()
    }
    const page = "https://app.example"
    for (const part of [`Origin "${page}"`, "Host \"backend:8080\"", "the origin option", "xForwardedHeaders"]) {
      assert.include(refused(Origin.sameHost, page), part)
    }
    assert.include(refused(Origin.sameHost, page, true), "Host \"backend:8080\" with TLS")
    assert.strictEqual(refused(["https://b.example"], page), `Origin "${page}" is not allowed by the origin option`)
    assert.strictEqual(refused(() => false, undefined), "a request without Origin is not allowed by the origin option")
  })

  it("lets everyone in only by the name that says it", () => {
    assert.strictEqual(Origin.unsafeAllowAny, "dangerouslyAllowAnyOrigin")
    for (const origin of ["https://evil.com", "null", "\0", undefined]) {
      assert.strictEqual(verdict(Origin.unsafeAllowAny, origin), 101)
    }
  })

  const pieces = ["http", "https", ":", "//", "/", "a", "[", "]", "@", "\\", ".", "%", "1", " ", "\0", "é"] as const
  const piece = Schema.Literals(pieces)
  it.prop("is total", [Schema.Array(piece), Schema.Array(piece)], ([origin, host]) => {
    const status = verdict(Origin.sameHost, origin.join(""), host.join(""))
    assert.isTrue(status === 101 || status === 403)
    parseOrigin(host.join(""))
    parseAuthority(origin.join(""))
  })
})
