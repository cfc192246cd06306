import { assert, describe, it } from "@effect/vitest"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { linesOf } from "../../src/client/ResponseLines.ts"

const request = HttpClientRequest.get("http://a/")

const lines = [
  ["x-a", "1"],
  ["set-cookie", "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT"],
  ["set-cookie", "b=2"]
] as const

/** A response that keeps what another platform's answer is. */
const keeping = (source: unknown) =>
  Object.assign(Object.create(HttpClientResponse.fromWeb(request, new Response(null))), { source })

/** A response that keeps nothing of it, and what it wraps. */
const hiding = (headers: HeadersInit, original: () => unknown = () => undefined): HttpClientResponse.HttpClientResponse =>
  new Proxy(HttpClientResponse.fromWeb(request, new Response(null, { headers })), {
    get: (target, key) =>
      key === "source" ? undefined : key === "original" ? original() : Reflect.get(target, key, target)
  })

describe("ResponseLines: the header lines of an HttpClient's answer", () => {
  it("of fetch, of undici and of node:http", () => {
    const web = HttpClientResponse.fromWeb(request, new Response(null, { headers: lines.map(([name, value]) => [name, value]) }))
    const sorted = (list: ReadonlyArray<readonly [string, string]>) => [...list].sort((a, b) => a[0] < b[0] ? -1 : 1)
    assert.deepStrictEqual(sorted(linesOf(web)), sorted(lines))
    const record = { "x-a": "1", "set-cookie": [lines[1][1], lines[2][1]] }
    assert.deepStrictEqual(linesOf(keeping({ headers: record })), lines)
    const raw = lines.flat()
    assert.deepStrictEqual(linesOf(keeping({ rawHeaders: raw, headers: {} })), lines)
  })

  it("behind wrappers of the response, of which there may be too many", () => {
    let wrapped: unknown = keeping({ rawHeaders: lines.flat() })
    for (let i = 0; i < 7; i++) wrapped = Object.assign(keeping(undefined), { original: wrapped })
    assert.deepStrictEqual(linesOf(wrapped as HttpClientResponse.HttpClientResponse), lines)
    const endless: HttpClientResponse.HttpClientResponse = hiding({ "x-a": "1" }, () => endless)
    assert.deepStrictEqual(linesOf(endless), [["x-a", "1"]])
  })

  it("where the client keeps nothing, cookies are apart and the others as they were joined", () => {
    const plain = hiding(lines.map(([name, value]) => [name, value]))
    const cookies = linesOf(plain).filter(([name]) => name === "set-cookie").map(([, value]) => value)
    assert.lengthOf(cookies, 2)
    assert.include(cookies[0], "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT")
    assert.strictEqual(cookies[1], "b=2")
    assert.deepInclude(linesOf(plain), ["x-a", "1"])
  })
})
