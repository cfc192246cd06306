/** What a request keeps once it has become a connection. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Arbitrary from "effect/Arbitrary"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { AcceptedRequest, type Head, joinHeaders } from "../../src/upgrade/AcceptedRequest.ts"

const head = (rawHeaders: Array<string>, socket: Head["socket"] = {}): Head => ({
  method: "GET",
  url: "/a?b",
  httpVersion: "1.1",
  rawHeaders,
  headers: {},
  socket
})

describe("AcceptedRequest", () => {
  // Few different lines, so that many lists have all of them in common, or all but one.
  const lines = Arbitrary.array(Arbitrary.schema(Schema.Literals(["Host", "a", "b", ""])), { maxLength: 4 })

  it.prop("keeps the headers of each request, whatever others had and do with theirs", {
    lists: Arbitrary.array(lines, { maxLength: 12 })
  }, ({ lists }) => {
    const accepted = lists.map((list) => {
      const raw: Array<string> = [...list]
      const one = new AcceptedRequest(head(raw))
      raw.fill("changed")
      one.rawHeaders.fill("changed")
      return { one, list }
    })
    for (const { list, one } of accepted) assert.deepStrictEqual(one.rawHeaders, list)
  })

  it("holds one list for those that differ in one line", () => {
    const names = (key: string) => ["Host", "example.com:80", "Sec-WebSocket-Key", key]
    const [first, second, third] = ["1", "2", "3"].map((key) =>
      new AcceptedRequest(head(names(key))) as object as Record<string, unknown>)
    assert.strictEqual(first!["lines"], second!["lines"])
    assert.strictEqual(second!["lines"], third!["lines"])
    assert.deepStrictEqual([first!["own"], second!["own"], third!["own"]], [undefined, "2", "3"])
  })

  it("tells the target and the peer's address as the message did", () => {
    const addresses = [
      { remoteAddress: "127.0.0.1", remotePort: 1, remoteFamily: "IPv4" },
      { remoteAddress: "::1", remotePort: 2, remoteFamily: "IPv6", encrypted: true },
      { remoteAddress: "fe80::1%br_lan", remotePort: 3, remoteFamily: "IPv6" },
      { remoteAddress: "::1", remotePort: 4, remoteFamily: "IPv6" },
      { remoteAddress: undefined, remotePort: undefined, remoteFamily: undefined }
    ]
    const accepted = addresses.map((address) => new AcceptedRequest(head([], address)))
    assert.deepStrictEqual(accepted.map(({ socket }) => socket), addresses)
    assert.deepStrictEqual(accepted.map(({ httpVersion, method, url }) => [method, url, httpVersion])[0], ["GET", "/a?b", "1.1"])
  })

  it("joins headers as Node does", async () => {
    // Each name that Node's documentation speaks of, and others, once or more often.
    const names = [
      ..."age authorization content-type etag expires from if-modified-since if-unmodified-since".split(" "),
      ..."last-modified location max-forwards proxy-authorization referer retry-after server user-agent".split(" "),
      ..."set-cookie cookie x-other accept sec-websocket-protocol constructor __proto__ ".trim().split(" ")
    ]
    const lines = names.flatMap((name) => [`${name}: 1`, `${name.toUpperCase()}: 2`, `${name}:`])
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1")
    try {
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nSet-Cookie: only\r\n${lines.join("\r\n")}\r\n\r\n`)
      const [message] = await once(server, "request") as [IncomingMessage]
      assert.strictEqual(message.rawHeaders.length, 2 * (lines.length + 2))
      assert.deepStrictEqual(joinHeaders(message.rawHeaders), { ...message.headers })
    } finally {
      socket.destroy()
      server.close()
    }
  })
})
