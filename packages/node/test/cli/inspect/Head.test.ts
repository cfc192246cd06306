import { assert, describe, it } from "@effect/vitest"
import { encode, HeadReader, statusOf, valuesOf, withHeader } from "../../../src/cli/inspect/Head.ts"
import { mask } from "../../../src/cli/inspect/Secrets.ts"

const text = "GET /a HTTP/1.1\r\nHost: one\r\nX-a: 1\r\nx-A:2\r\n\r\n"
const head = {
  start: "GET /a HTTP/1.1",
  headers: [["Host", "one"], ["X-a", "1"], ["x-A", "2"]] as ReadonlyArray<readonly [string, string]>
}

describe("HeadReader", () => {
  it("finds the end of a head however it is cut, and what stands behind it", () => {
    const bytes = Buffer.from(`${text}rest`, "latin1")
    for (let cut = 1; cut < bytes.length; cut++) {
      const reader = new HeadReader()
      const first = reader.push(bytes.subarray(0, cut))
      const found = first ?? reader.push(bytes.subarray(cut))
      if (found === undefined || found === "too long") return assert.fail()
      assert.deepStrictEqual(found.head, head)
      const behind = first === undefined ? found.rest : Buffer.concat([found.rest, bytes.subarray(cut)])
      assert.strictEqual(Buffer.from(behind).toString(), "rest")
    }
  })

  it("is not misled by line ends that do not end it", () => {
    const found = new HeadReader().push(Buffer.from("GET / HTTP/1.1\r\na: \r\r\nb: 1\r\n\r\n"))
    assert.deepStrictEqual(found !== undefined && found !== "too long" && found.head.headers.map(([name]) => name), ["a", "b"])
  })

  it("gives up on a head without end", () => {
    const reader = new HeadReader()
    let last
    for (let count = 0; count < 70; count++) last = reader.push(Buffer.alloc(1024, "a"))
    assert.strictEqual(last, "too long")
  })
})

describe("Head", () => {
  it("is put together as it was, but for spaces", () => {
    assert.strictEqual(encode(head).toString(), text.replace("x-A:2", "x-A: 2"))
  })

  it("gets a header in the place of those of the same name", () => {
    assert.deepStrictEqual(withHeader(head, "x-a", "3").headers, [["Host", "one"], ["X-a", "3"]])
    assert.deepStrictEqual(withHeader(head, "New", "3").headers.at(-1), ["New", "3"])
    assert.deepStrictEqual(valuesOf(head, "x-a"), ["1", "2"])
  })

  it("has a status if it is an answer", () => {
    assert.strictEqual(statusOf({ start: "HTTP/1.1 101 Switching Protocols", headers: [] }), 101)
    for (const start of ["GET / HTTP/1.1", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/1.1 99999"]) {
      assert.isUndefined(statusOf({ start, headers: [] }))
    }
  })
})

describe("Secrets", () => {
  it("are replaced in headers and in the query", () => {
    assert.deepStrictEqual(
      mask({
        start: "GET /feed?room=1&access_token=abc&empty=&sig=x#y HTTP/1.1",
        headers: [
          ["Authorization", "Bearer abc"],
          ["authorization", "abc"],
          ["COOKIE", "a=b"],
          ["Sec-WebSocket-Key", "key"],
          ["Origin", "https://app.example"]
        ]
      }),
      {
        start: "GET /feed?room=1&access_token=***&empty=&sig=*** HTTP/1.1",
        headers: [
          ["Authorization", "Bearer ***"],
          ["authorization", "***"],
          ["COOKIE", "***"],
          ["Sec-WebSocket-Key", "key"],
          ["Origin", "https://app.example"]
        ]
      }
    )
    assert.deepStrictEqual(mask({ start: "HTTP/1.1 101 key=1?key=2", headers: [["Set-Cookie", "s=1"]] }), {
      start: "HTTP/1.1 101 key=1?key=2",
      headers: [["Set-Cookie", "***"]]
    })
  })
})
