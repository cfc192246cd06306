import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Handshake from "../../src/Handshake.ts"
import { HandshakeError } from "../../src/WebSocketError.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
const url = "ws://server.example.com/chat"

const made = (options: Partial<Handshake.MakeRequestOptions> = {}): Handshake.HandshakeRequest =>
  Result.getOrThrow(Handshake.makeRequest({ url, key, ...options }))

const invalid = (options: Partial<Handshake.MakeRequestOptions>, reason: Handshake.HandshakeRule) => {
  const result = Handshake.makeRequest({ url, key, ...options })
  if (Result.isSuccess(result)) return assert.fail(`made: ${JSON.stringify(options)}`)
  assert.strictEqual(result.failure.reason, reason, JSON.stringify(options))
  assert.isUndefined(result.failure.status)
}

describe("Handshake, client: the request (RFC 6455 §4.1)", () => {
  it("asks for an upgrade of version 13", () => {
    assert.deepStrictEqual(made(), {
      transport: "http/1.1",
      method: "GET",
      url: "http://server.example.com/chat",
      host: "server.example.com",
      target: "/chat",
      key,
      subprotocols: [],
      extensions: [],
      headers: [
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Version", "13"],
        ["Sec-WebSocket-Key", key]
      ]
    })
  })

  it("passes our own server's check", () => {
    const request = made({
      url: "wss://server.example.com:8443/a?b",
      subprotocols: ["v2", "v1"],
      extensions: "x-test; a=\"b\"",
      headers: [["Origin", "https://server.example.com:8443"]]
    })
    const checked = Result.getOrThrow(Handshake.checkRequest({
      method: request.method,
      httpVersion: "1.1",
      target: request.target,
      headers: [["Host", request.host], ...request.headers]
    }))
    assert.deepStrictEqual(checked, {
      key,
      subprotocols: ["v2", "v1"],
      extensions: [{ name: "x-test", params: [{ name: "a", value: "b", quoted: true }] }],
      origin: "https://server.example.com:8443",
      host: "server.example.com:8443",
      expectsContinue: false
    })
  })

  it("makes a fresh key of 16 random bytes", () => {
    const keys = Array.from({ length: 50 }, () => Result.getOrThrow(Handshake.makeRequest({ url })).key)
    assert.strictEqual(new Set(keys).size, 50)
    for (const fresh of keys) assert.strictEqual(made({ key: fresh }).key, fresh)
    const sizes: Array<number> = []
    const request = Result.getOrThrow(Handshake.makeRequest({
      url,
      randomFill: (bytes) => {
        sizes.push(bytes.length)
        bytes.fill(0xff)
      }
    }))
    assert.deepStrictEqual([request.key, sizes], ["/////////////////////w==", [16]])
  })

  it("takes a key as bytes or base64, of exactly 16 bytes", () => {
    assert.strictEqual(made({ key: new TextEncoder().encode("the sample nonce") }).key, key)
    for (const bad of ["", "x", "A".repeat(24), new Uint8Array(15), new Uint8Array(17)]) {
      invalid({ key: bad }, "KeyInvalid")
    }
  })

  it("is an extended CONNECT on HTTP/2 and HTTP/3: pseudo-headers, lower case and no key (RFC 8441 §5)", () => {
    const options: Partial<Handshake.MakeRequestOptions> = {
      url: "wss://server.example.com:8443/a?b",
      subprotocols: ["v2", "v1"],
      extensions: "x-test",
      headers: [["Origin", "https://server.example.com:8443"], ["X-A", "1"], ["x-a", "2"]]
    }
    const request = made({ ...options, transport: "connect" })
    assert.deepStrictEqual(request.headers, [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":scheme", "https"],
      [":authority", "server.example.com:8443"],
      [":path", "/a?b"],
      ["sec-websocket-version", "13"],
      ["sec-websocket-protocol", "v2, v1"],
      ["sec-websocket-extensions", "x-test"],
      ["origin", "https://server.example.com:8443"],
      ["x-a", "1"],
      ["x-a", "2"]
    ])
    assert.deepInclude(request, { transport: "connect", method: "CONNECT", url: "https://server.example.com:8443/a?b" })
    assert.deepStrictEqual(Handshake.overConnect(made(options)), request)
    assert.strictEqual(Handshake.overConnect(request), request)
    const { headers, httpVersion, method, transport } = { ...request, httpVersion: "2.0" }
    const checked = Result.getOrThrow(Handshake.checkRequest({ transport, method, httpVersion, headers }))
    assert.deepInclude(checked, { key: undefined, subprotocols: ["v2", "v1"], host: "server.example.com:8443" })
  })

  it("names the caller's Host as :authority", () => {
    const { headers } = made({ headers: [["Host", "other.example"]], transport: "connect" })
    assert.deepStrictEqual(headers.filter(([name]) => name === ":authority" || name === "host"), [
      [":authority", "other.example"]
    ])
    assert.deepInclude(headers, [":scheme", "http"])
  })

  it("validates subprotocols", () => {
    assert.deepInclude(made({ subprotocols: "chat" }).headers, ["Sec-WebSocket-Protocol", "chat"])
    assert.deepInclude(made({ subprotocols: ["a", "A"] }).headers, ["Sec-WebSocket-Protocol", "a, A"])
    assert.lengthOf(made({ subprotocols: [] }).headers, 4)
    for (const bad of ["", "a b", "a,b", "a\r\nb", "é", "a;b"]) {
      invalid({ subprotocols: bad }, "SubprotocolsInvalid")
      invalid({ subprotocols: ["ok", bad] }, "SubprotocolsInvalid")
    }
    invalid({ subprotocols: ["a", "b", "a"] }, "SubprotocolsInvalid")
  })

  it("validates an offer of extensions", () => {
    assert.deepInclude(made({ extensions: "a; b=c" }).headers, ["Sec-WebSocket-Extensions", "a; b=c"])
    assert.lengthOf(made({ extensions: "" }).headers, 4)
    for (const bad of [" ", "a;", "a\r\nb", "a b"]) invalid({ extensions: bad }, "ExtensionsMalformed")
  })

  it("validates a caller's headers", () => {
    const own: Handshake.HeaderList = [["Authorization", "Bearer x"], ["X-A", "1"], ["x-a", "2"], ["Host", "other:1"]]
    const request = made({ headers: own })
    assert.deepStrictEqual(request.headers.slice(4), own)
    assert.strictEqual(request.host, "other:1")
    for (const value of ["a\r\nb: c", "a\n", "\0", "\u0100"]) invalid({ headers: [["x", value]] }, "HeaderInvalid")
    for (const name of ["", "a b", "a:", "a\r\n"]) invalid({ headers: [[name, "x"]] }, "HeaderInvalid")
    invalid({ headers: [["Host", "a/b"]] }, "HeaderInvalid")
    for (
      const name of [
        "UPGRADE",
        "Connection",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Accept",
        "Content-Length",
        "Transfer-Encoding"
      ]
    ) {
      invalid({ headers: [[name, "x"]] }, "HeaderReserved")
    }
    for (const name of ["Host", "Origin", "Cookie", "authorization"]) {
      invalid({ headers: [[name, "x"], [name.toUpperCase(), "x"]] }, "HeaderDuplicated")
    }
  })
})

const answer: Handshake.HeaderList = [
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Accept", accept]
]

/** The valid answer, with every line of these names replaced. */
const answerWith = (
  changes: Handshake.HeaderList,
  rest: Partial<Handshake.HandshakeResponse> = {}
): Handshake.HandshakeResponse => ({
  status: 101,
  headers: [
    ...answer.filter(([name]) => !changes.some(([changed]) => changed.toLowerCase() === name.toLowerCase())),
    ...changes
  ],
  ...rest
})

const without = (name: string): Handshake.HandshakeResponse => ({
  status: 101,
  headers: answer.filter(([other]) => other !== name)
})

describe("Handshake, client: the answer (RFC 6455 §4.1)", () => {
  const agreed = (response: Handshake.HandshakeResponse, expectation: Partial<Handshake.Expectation> = {}) =>
    Result.getOrThrow(Handshake.checkResponse(response, { key, ...expectation }))

  const failed = (
    response: Handshake.HandshakeResponse,
    reason: Handshake.HandshakeRule,
    expectation: Partial<Handshake.Expectation> = {}
  ) => {
    const result = Handshake.checkResponse(response, { key, ...expectation })
    if (Result.isSuccess(result)) return assert.fail(`accepted: ${JSON.stringify(response)}`)
    assert.strictEqual(result.failure.reason, reason, JSON.stringify(response))
    assert.strictEqual(result.failure.status, response.status)
    return result.failure
  }

  it("accepts the example of the RFC, and our own server's answer", () => {
    assert.deepStrictEqual(agreed(answerWith([])), { subprotocol: undefined, extensions: [] })
    const request = made({ subprotocols: ["v2", "v1"], extensions: "x-test" })
    const checked = Result.getOrThrow(Handshake.checkRequest({
      method: "GET",
      httpVersion: "1.1",
      headers: [["Host", request.host], ...request.headers]
    }))
    const response = Result.getOrThrow(Handshake.acceptResponse(checked, { subprotocol: "v1", extensions: "x-test; a" }))
    assert.deepStrictEqual(Result.getOrThrow(Handshake.checkResponse(response, request)), {
      subprotocol: "v1",
      extensions: [{ name: "x-test", params: [{ name: "a" }] }]
    })
  })

  it("shows the status, headers and bounded body of a refusal", () => {
    const error = failed(
      { status: 401, headers: [["WWW-Authenticate", "Basic"], ["X", "\0"]], body: "x".repeat(10_000) },
      "StatusNot101"
    )
    assert.deepStrictEqual(error?.headers, [["www-authenticate", "Basic"], ["x", "\0"]])
    assert.lengthOf(error?.body ?? "", 8192)
    const pair = failed({ status: 500, headers: [], body: `${"x".repeat(8191)}\u{1f600}` }, "StatusNot101")
    assert.strictEqual(pair?.body, "x".repeat(8191))
    for (const status of [100, 102, 200, 204, 301, 404, 426, 503]) failed(answerWith([], { status }), "StatusNot101")
  })

  it("accepts an extended CONNECT by any 2xx, without an accept value (RFC 8441 §5)", () => {
    for (const status of [200, 204, 299]) {
      const response = { transport: "connect" as const, status, headers: [["sec-websocket-protocol", "v1"]] as const }
      assert.strictEqual(agreed(response, { subprotocols: ["v1"] }).subprotocol, "v1")
    }
    for (const status of [101, 199, 300, 403, 503, Number.NaN]) {
      const result = Handshake.checkResponse({ transport: "connect", status, headers: answer }, { key })
      assert.isTrue(Result.isFailure(result) && result.failure.reason === "StatusNot101")
    }
    const request = made({ subprotocols: ["v1"], transport: "connect" })
    const asked = { method: request.method, httpVersion: "2.0", headers: request.headers, transport: request.transport }
    const accepted = Handshake.acceptResponse(Result.getOrThrow(Handshake.checkRequest(asked)), { subprotocol: "v1" })
    const response = { ...Result.getOrThrow(accepted), transport: "connect" as const }
    assert.strictEqual(Result.getOrThrow(Handshake.checkResponse(response, request)).subprotocol, "v1")
  })

  it("is total on a status that is no integer", () => {
    for (const status of [Number.NaN, 101.5, Infinity]) {
      const result = Handshake.checkResponse({ status, headers: answer }, { key })
      assert.isTrue(Result.isFailure(result) && result.failure.status === undefined)
    }
  })

  it("requires that Upgrade equals websocket, ignoring case", () => {
    agreed(answerWith([["upgrade", " WebSocket "]]))
    failed(without("Upgrade"), "UpgradeInvalid")
    failed(answerWith([["Upgrade", "websocket"], ["upgrade", "websocket"]]), "UpgradeInvalid")
    for (const value of ["", "h2c", "websocket, h2c", "websockets", "webSoc\u212aet"]) {
      failed(answerWith([["Upgrade", value]]), "UpgradeInvalid")
    }
  })

  it("requires that Connection contains the token upgrade", () => {
    agreed(answerWith([["connection", "keep-alive, UPGRADE"]]))
    agreed(answerWith([["Connection", "keep-alive"], ["Connection", "upgrade"]]))
    failed(without("Connection"), "ConnectionInvalid")
    for (const value of ["", "close", "upgraded", "x upgrade", "x".repeat(9000)]) {
      failed(answerWith([["Connection", value]]), "ConnectionInvalid")
    }
  })

  it("requires the exact Accept, once", () => {
    agreed(answerWith([["sec-websocket-accept", `\t${accept} `]]))
    failed(without("Sec-WebSocket-Accept"), "AcceptInvalid")
    failed(answerWith([["Sec-WebSocket-Accept", accept], ["sec-websocket-accept", accept]]), "AcceptInvalid")
    for (const value of ["", accept.toLowerCase(), accept.slice(0, -1), `${accept}x`, key]) {
      failed(answerWith([["Sec-WebSocket-Accept", value]]), "AcceptInvalid")
    }
    failed(answerWith([]), "AcceptInvalid", { key: "AAAAAAAAAAAAAAAAAAAAAA==" })
  })

  it("requires extensions to be a subset of what was offered", () => {
    const extensions = [{ name: "x-test", params: [] }, { name: "y-test", params: [] }]
    agreed(answerWith([["Sec-WebSocket-Extensions", "y-test; a=b"]]), { extensions })
    agreed(answerWith([]), { extensions })
    failed(answerWith([["Sec-WebSocket-Extensions", "x-test"]]), "ExtensionUnexpected")
    failed(answerWith([["Sec-WebSocket-Extensions", "x-test, z"]]), "ExtensionUnexpected", { extensions })
    failed(answerWith([["Sec-WebSocket-Extensions", "X-Test"]]), "ExtensionUnexpected", { extensions })
    for (const value of ["", "x-test;", "x-test; a=\"b c\""]) {
      failed(answerWith([["Sec-WebSocket-Extensions", value]]), "ExtensionsMalformed", { extensions })
    }
    failed(
      answerWith([["Sec-WebSocket-Extensions", "x-test"], ["Sec-WebSocket-Extensions", "y-test"]]),
      "ExtensionsMalformed",
      { extensions }
    )
  })

  it("requires one subprotocol that was offered, case-sensitively", () => {
    const protocols = ["chat", "superchat"]
    assert.strictEqual(agreed(answerWith([["Sec-WebSocket-Protocol", "chat"]]), { subprotocols: protocols }).subprotocol, "chat")
    failed(answerWith([["Sec-WebSocket-Protocol", "chat"]]), "SubprotocolUnexpected")
    for (const value of ["", "other", "Chat", "chat, superchat"]) {
      failed(answerWith([["Sec-WebSocket-Protocol", value]]), "SubprotocolUnexpected", { subprotocols: protocols })
    }
    failed(
      answerWith([["Sec-WebSocket-Protocol", "chat"], ["Sec-WebSocket-Protocol", "chat"]]),
      "SubprotocolUnexpected",
      { subprotocols: protocols }
    )
  })

  it("is strict about a missing subprotocol unless told otherwise", () => {
    failed(answerWith([]), "SubprotocolMissing", { subprotocols: ["chat"] })
    failed(answerWith([]), "SubprotocolMissing", { subprotocols: ["chat"], requireSubprotocol: true })
    const lenient = agreed(answerWith([]), { subprotocols: ["chat"], requireSubprotocol: false })
    assert.isUndefined(lenient.subprotocol)
  })

  it("fails where a secure URL ended on an insecure one", () => {
    for (const asked of ["https://a/", "wss://a/"]) {
      for (const ended of ["http://a/", "ws://a/", "", "x"]) {
        failed(answerWith([], { url: ended }), "Downgraded", { url: asked })
        assert.isTrue(Result.isFailure(Handshake.checkDowngrade(asked, ended)))
      }
      for (const ended of ["https://b/", "wss://b/"]) {
        agreed(answerWith([], { url: ended }), { url: asked })
        assert.isTrue(Result.isSuccess(Handshake.checkDowngrade(new URL(asked), new URL(ended))))
      }
      agreed(answerWith([]), { url: asked })
    }
    for (const ended of ["http://a/", "https://a/"]) agreed(answerWith([], { url: ended }), { url: "http://a/" })
  })

  const headerName = Schema.Literals([
    ...answer.map(([name]) => name),
    "upgrade",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    ""
  ])
  const value = Schema.Union([Schema.Literals([...answer.map(([, value]) => value), "a", "a;b", ","]), Schema.String])

  it.prop(
    "is total on arbitrary answers",
    [Schema.Array(Schema.Tuple([headerName, value])), Schema.Boolean, Schema.Number, Schema.String],
    ([headers, complete, status, body]) => {
      const response = {
        status: complete ? 101 : status,
        headers: complete ? [...answer, ...headers] : headers,
        body,
        url: body
      }
      const result = Handshake.checkResponse(response, { key, subprotocols: ["a"] })
      if (Result.isFailure(result)) return assert.instanceOf(result.failure, HandshakeError)
      assert.deepStrictEqual(result.success, { subprotocol: "a", extensions: [] })
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "is total on arbitrary options",
    [Schema.String, Schema.Array(Schema.String), Schema.Array(Schema.Tuple([Schema.String, Schema.String]))],
    ([path, protocols, headers]) => {
      const result = Handshake.makeRequest({ url: `ws://a/${path}`, subprotocols: protocols, headers, extensions: path })
      if (Result.isFailure(result)) return assert.instanceOf(result.failure, HandshakeError)
      const head = Result.getOrThrow(Handshake.encodeRequestHead(result.success))
      // The request line, Host, each header, and the empty line: nothing split a line
      assert.strictEqual(head.split("\r\n").length, result.success.headers.length + 4)
      assert.isFalse(head.replaceAll("\r\n", "").includes("\n"))
    }
  )
})
