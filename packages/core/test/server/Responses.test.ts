import { assert, describe, it } from "@effect/vitest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { headerLines, toResponse } from "../../src/server/Responses.ts"
import { HandshakeError } from "../../src/WebSocketError.ts"

type Lines = ReadonlyArray<readonly [string, string]>

const refusing = (headers: Lines, status?: number) =>
  toResponse(
    new HandshakeError({ reason: "Application", section: "-", detail: "who are you", ...(status && { status }), headers, body: "" })
  )

/** Without those that the body brings. */
const linesOf = (response: HttpServerResponse.HttpServerResponse): Lines =>
  headerLines(response).filter(([name]) => !name.startsWith("content-"))

const challenges: Lines = [["WWW-Authenticate", "Negotiate"], ["www-authenticate", "Basic realm=\"x\""]]
const cookies: Lines = [
  ["Set-Cookie", "sid=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT; x-mine=yes"],
  ["set-cookie", "sid=2; Path=/other"],
  ["set-cookie", "not a cookie"]
]
const lower = (lines: Lines): Lines => lines.map(([name, value]) => [name.toLowerCase(), value])

describe("the response of a refusal", () => {
  it("has status, message and headers of the error; 400 where it has none", () => {
    const response = refusing([["x-why", "because"]], 401)
    assert.strictEqual(response.status, 401)
    assert.strictEqual(response.headers["x-why"], "because")
    assert.strictEqual(refusing([]).status, 400)
  })

  it("keeps repeated lines apart, as they were given and in order", () => {
    assert.deepStrictEqual(linesOf(refusing([...challenges, ...cookies])), lower([...challenges, ...cookies]))
  })

  it("for who reads Effect's headers the lines of a name are joined, and cookies are cookies", () => {
    const response = refusing([...challenges, ...cookies])
    assert.strictEqual(response.headers["www-authenticate"], "Negotiate, Basic realm=\"x\"")
    assert.deepStrictEqual(Object.keys(response.cookies.cookies), ["sid"])
    assert.deepStrictEqual(HttpServerResponse.toWeb(response).headers.getSetCookie().length, 1)
  })

  it("what middleware adds, sets or removes is followed", () => {
    const response = refusing([...challenges, ...cookies])
    const added = HttpServerResponse.setCookieUnsafe(HttpServerResponse.setHeader(response, "x-more", "1"), "lb", "3")
    assert.deepStrictEqual(linesOf(added), [
      ...lower(challenges),
      ["x-more", "1"],
      ...lower(cookies),
      ["set-cookie", "lb=3"]
    ])
    const set = HttpServerResponse.setHeader(response, "www-authenticate", "Bearer")
    assert.deepStrictEqual(linesOf(set), [["www-authenticate", "Bearer"], ...lower(cookies)])
    const removed = HttpServerResponse.removeCookie(HttpServerResponse.removeHeader(response, "www-authenticate"), "sid")
    assert.deepStrictEqual(linesOf(removed), [["set-cookie", "not a cookie"]])
    const replaced = HttpServerResponse.setCookieUnsafe(response, "sid", "9")
    assert.deepStrictEqual(linesOf(replaced), [...lower(challenges), ["set-cookie", "not a cookie"], ["set-cookie", "sid=9"]])
  })

  it("a name that objects have themselves is a name like others", () => {
    assert.deepStrictEqual(linesOf(refusing([["__proto__", "a"], ["__proto__", "b"]])), [["__proto__", "a"], ["__proto__", "b"]])
  })
})

describe("headerLines of any other response", () => {
  it("are its headers, and a line for each cookie", () => {
    const response = HttpServerResponse.empty({ headers: { x: "1" } }).pipe(
      HttpServerResponse.setCookieUnsafe("a", "1"),
      HttpServerResponse.setCookieUnsafe("b", "2")
    )
    assert.deepStrictEqual(headerLines(response), [["x", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]])
  })
})
