import { assert, describe, it } from "@effect/vitest"
import { isRelative } from "../../src/http/RelativeUrl.ts"

describe("RelativeUrl", () => {
  it("is one without a scheme (RFC 3986 §3.1)", () => {
    for (const url of ["/a", "a", "a/b:c", "", ":a", "//a:1/b", "?a"]) assert.isTrue(isRelative(url), url)
    for (const url of ["ws://a", "x:y", "http:/a", "wss:", new URL("ws://a")]) assert.isFalse(isRelative(url), String(url))
  })
})
