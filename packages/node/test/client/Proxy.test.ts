import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Proxy from "../../src/client/Proxy.ts"

const nameFor = (url: string, environment: Proxy.Environment) =>
  Result.getOrThrow(Proxy.proxyFor("environment", new URL(url), environment))?.name

describe("Proxy", () => {
  it("schemes, default ports and credentials", () => {
    const seen = ["proxy.example:3128", "http://h", "https://h", "socks5://h", "socks5h://u%3A:p%40@[::1]:9"].map((url) => {
      const { credentials, host, isSecure, kind, name } = Result.getOrThrow(Proxy.parse(url))
      return [kind, isSecure, host, name, credentials?.user, credentials?.password]
    })
    assert.deepStrictEqual(seen, [
      ["http", false, "proxy.example", "proxy.example:3128", undefined, undefined],
      ["http", false, "h", "h:80", undefined, undefined],
      ["http", true, "h", "h:443", undefined, undefined],
      ["socks5", false, "h", "h:1080", undefined, undefined],
      ["socks5", false, "::1", "[::1]:9", "u:", "p@"]
    ])
  })

  it("the environment: by scheme, lower case first, ALL_PROXY last, empty is none", () => {
    const environment = { HTTPS_PROXY: "s:1", HTTP_PROXY: "upper:2", http_proxy: "p:3" }
    assert.strictEqual(nameFor("https://a.example/", environment), "s:1")
    assert.strictEqual(nameFor("http://a.example/", environment), "p:3")
    assert.strictEqual(nameFor("http://a.example/", { ALL_PROXY: "socks5://all:4", HTTP_PROXY: "" }), "all:4")
    assert.isUndefined(nameFor("https://a.example/", { HTTP_PROXY: "p:1" }))
    assert.isUndefined(nameFor("https://a.example/", {}))
  })

  for (
    const [list, direct, proxied] of [
      ["*", ["a.example", "127.0.0.1"], []],
      ["example.com", ["example.com", "EXAMPLE.com.", "a.example.com", "example.com:81"], ["notexample.com", "example.com.evil.net"]],
      [".example.com", ["a.example.com"], ["example.com", "aexample.com"]],
      ["*.example.com", ["a.example.com"], ["example.com"]],
      ["example.com:8080", ["example.com:8080", "a.example.com:8080"], ["example.com", "example.com:80"]],
      ["a.net, b.net c.net", ["a.net", "b.net", "c.net"], ["d.net"]],
      ["10.0.0.0/8,192.0.2.1", ["10.1.2.3", "192.0.2.1"], ["11.0.0.1", "192.0.2.11"]],
      ["2001:db8::/32,[::1]:90", ["[2001:db8::7]", "[::1]:90"], ["[2001:db9::7]", "[::1]"]],
      ["10.0.0.0/99,/,:,[,.,*.,10.0.0.0/x", [], ["10.0.0.1", "a.example"]],
      ["0.1", [], ["10.0.0.1"]]
    ] as const
  ) {
    it(`NO_PROXY=${list}`, () => {
      const environment = { HTTP_PROXY: "p:1", NO_PROXY: list }
      for (const host of direct) assert.isUndefined(nameFor(`http://${host}/`, environment), host)
      for (const host of proxied) assert.strictEqual(nameFor(`http://${host}/`, environment), "p:1", host)
    })
  }
})
