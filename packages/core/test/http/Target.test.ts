import { assert, describe, it } from "@effect/vitest"
import { authorityOf, isOriginForm } from "../../src/http/Target.ts"

describe("Target (RFC 9112 §3.2)", () => {
  it("the origin form is a path of printable ASCII", () => {
    for (const target of ["/", "//a", "/a?b=c#".slice(0, -1), "/%20", "/[x]", "/~"]) assert.isTrue(isOriginForm(target), target)
    for (const target of ["", "a", "*", "/a b", "/a\t", "/a\0", "/\x7f", "/é", "/a#b", "http://a/"]) {
      assert.isFalse(isOriginForm(target), target)
    }
  })

  it("the absolute form is an http or https URL, of which the authority counts", () => {
    const expected: ReadonlyArray<readonly [string, string]> = [
      ["http://a", "a"],
      ["http://a/b", "a"],
      ["HTTPS://a:1?b", "a:1"],
      ["http://[::1]:80/", "[::1]:80"],
      ["https://u@a/", "u@a"],
      ["http:///a", ""]
    ]
    for (const [target, authority] of expected) assert.strictEqual(authorityOf(target), authority, target)
    for (const target of ["/", "*", "a:80", "ftp://a/", "ws://a/", "http:/a", "http://a b/", "http://a/#b", ""]) {
      assert.isUndefined(authorityOf(target), target)
    }
  })
})
