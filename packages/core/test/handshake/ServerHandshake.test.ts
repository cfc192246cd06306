import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Handshake from "../../src/Handshake.ts"
import { handshakeRules } from "../../src/http/Refusal.ts"
import { HandshakeError } from "../../src/WebSocketError.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

const base: Handshake.HeaderList = [
  ["Host", "server.example.com"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", key],
  ["Sec-WebSocket-Version", "13"]
]

/** The valid request, with every line of these names replaced. */
const requestWith = (
  changes: Handshake.HeaderList,
  rest: Partial<Handshake.UpgradeRequest> = {}
): Handshake.UpgradeRequest => ({
  method: "GET",
  httpVersion: "1.1",
  headers: [
    ...base.filter(([name]) => !changes.some(([changed]) => changed.toLowerCase() === name.toLowerCase())),
    ...changes
  ],
  ...rest
})

const without = (name: string): Handshake.UpgradeRequest => ({
  method: "GET",
  httpVersion: "1.1",
  headers: base.filter(([other]) => other !== name)
})

const refused = (request: Handshake.UpgradeRequest, reason: Handshake.HandshakeRule, status: number) => {
  const result = Handshake.checkRequest(request)
  if (Result.isSuccess(result)) return assert.fail(`not refused: ${JSON.stringify(request)}`)
  assert.instanceOf(result.failure, HandshakeError)
  assert.deepStrictEqual([result.failure.reason, result.failure.status], [reason, status], JSON.stringify(request))
  assert.strictEqual(result.failure.section, handshakeRules[reason].section)
  return result.failure
}

const accepted = (request: Handshake.UpgradeRequest): Handshake.ClientRequest =>
  Result.getOrThrow(Handshake.checkRequest(request))

describe("Handshake, server: the request (RFC 6455 §4.2.1)", () => {
  it("accepts the example of the RFC", () => {
    const request = accepted(requestWith([
      ["Origin", "http://server.example.com"],
      ["Sec-WebSocket-Protocol", "chat, superchat"],
      ["Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"]
    ]))
    assert.deepStrictEqual(request, {
      key,
      subprotocols: ["chat", "superchat"],
      extensions: [{ name: "permessage-deflate", params: [{ name: "client_max_window_bits" }] }],
      origin: "http://server.example.com",
      host: "server.example.com",
      expectsContinue: false
    })
    const plain = accepted(requestWith([]))
    assert.deepStrictEqual([plain.subprotocols, plain.extensions, plain.origin], [[], [], undefined])
  })

  it("ignores the case of names and of the two keywords, and spaces around values", () => {
    accepted({
      method: "GET",
      httpVersion: "1.1",
      headers: base.map(([name, value]) => [name.toUpperCase(), name === "Upgrade" ? " WebSocket\t" : ` ${value} `])
    })
  })

  it("answers another method with 405 and Allow", () => {
    for (const method of ["POST", "CONNECT", "get", ""]) {
      assert.deepStrictEqual(refused(requestWith([], { method }), "MethodNotGet", 405).headers, [["allow", "GET"]])
    }
  })

  it("requires HTTP/1.1 or a later 1.x, since HTTP/2 is no text", () => {
    for (const httpVersion of ["1.0", "0.9", "", "1", "1.1.1", "x.y", "HTTP/1.1", "1,1"]) {
      refused(requestWith([], { httpVersion }), "HttpVersionTooOld", 400)
    }
    for (const httpVersion of ["1.1", "1.2"]) accepted(requestWith([], { httpVersion }))
    for (const httpVersion of ["2.0", "3.0"]) refused(requestWith([], { httpVersion }), "HttpVersionUnsupported", 505)
  })

  it("refuses a request body", () => {
    refused(requestWith([["Content-Length", "1"]]), "RequestHasBody", 400)
    refused(requestWith([["Content-Length", "0"], ["Content-Length", "5"]]), "RequestHasBody", 400)
    refused(requestWith([["Content-Length", "-0"]]), "RequestHasBody", 400)
    refused(requestWith([["transfer-encoding", "chunked"]]), "RequestHasBody", 400)
    refused(requestWith([], { hasBody: true }), "RequestHasBody", 400)
    accepted(requestWith([["Content-Length", "0"]], { hasBody: false }))
  })

  it("requires exactly one valid Host", () => {
    refused(without("Host"), "HostInvalid", 400)
    refused(requestWith([["Host", "a"], ["host", "a"]]), "HostInvalid", 400)
    const bad = ["", "a b", "a/b", "u@a", "a:b", "a:65536", "[::1", "::1", "a?b", "a#b", "a\\b", "a\0", "[]", "é"]
    for (const host of bad) {
      refused(requestWith([["Host", host]]), "HostInvalid", 400)
    }
    for (const host of ["a", "a:", "a:8080", "[::1]", "[::1]:80", "127.0.0.1:1", "my_host.internal", "a."]) {
      assert.strictEqual(accepted(requestWith([["Host", host]])).host, host)
    }
  })

  it("reads Upgrade as a list, and answers 426 with Upgrade and Connection", () => {
    accepted(requestWith([["Upgrade", "h2c, WebSocket"]]))
    accepted(requestWith([["Upgrade", "h2c"], ["upgrade", "websocket"]]))
    const requests = [
      without("Upgrade"),
      ...["", "h2c", "websockets", "web socket", "websocket/13", "webSoc\u212aet"].map((value) =>
        requestWith([["Upgrade", value]])
      )
    ]
    for (const request of requests) {
      assert.deepStrictEqual(
        refused(request, "NotAnUpgrade", 426).headers,
        [["upgrade", "websocket"], ["connection", "Upgrade"]]
      )
    }
  })

  it("reads Connection as a list", () => {
    accepted(requestWith([["Connection", "keep-alive, Upgrade"]]))
    accepted(requestWith([["Connection", "keep-alive"], ["connection", "UPGRADE"]]))
    refused(without("Connection"), "NotAnUpgrade", 426)
    for (const value of ["", "close", "keep-alive", "upgraded", "not-upgrade", "keep-alive upgrade"]) {
      refused(requestWith([["Connection", value]]), "NotAnUpgrade", 426)
    }
  })

  it("requires exactly one version, 13", () => {
    const missing = refused(without("Sec-WebSocket-Version"), "VersionMissing", 400)
    assert.deepInclude(missing.headers, ["sec-websocket-version", "13"])
    refused(requestWith([["Sec-WebSocket-Version", "13"], ["sec-websocket-version", "13"]]), "VersionMissing", 400)
    for (const version of ["0", "7", "8", "12", "14", "013", "13.0", "13, 8", "", "x"]) {
      const error = refused(requestWith([["Sec-WebSocket-Version", version]]), "VersionUnsupported", 426)
      assert.deepInclude(error.headers, ["sec-websocket-version", "13"])
      assert.deepInclude(error.headers, ["upgrade", "websocket"]) // RFC 9110 §15.5.22
    }
  })

  it("requires exactly one key of 16 bytes in base64", () => {
    refused(without("Sec-WebSocket-Key"), "KeyInvalid", 400)
    refused(requestWith([["Sec-WebSocket-Key", key], ["sec-websocket-key", key]]), "KeyInvalid", 400)
    const bad = [
      "",
      "AAAAAAAAAAAAAAAAAAAA", // 15 bytes
      "AAAAAAAAAAAAAAAAAAAAAAA=", // 17 bytes
      "AAAAAAAAAAAAAAAAAAAAAA", // no padding
      "AAAAAAAAAAAAAAAAAAAAAA=", // half of it
      "AAAAAAAAAAAAAAAAAAAA====",
      "AAAAAAAAAAAAAAAAAAAAA===",
      "AAAAAAAAAA AAAAAAAAAAA==",
      "AAAAAAAAAA\r\nAAAAAAAAAA==",
      "AAAAAAAAAA-AAAAAAAAAA_==", // base64url
      "AAAAAAAAAA=AAAAAAAAAAA==",
      "AAAAAAAAAAéAAAAAAAAAAA==",
      "A".repeat(24),
      `${key}, ${key}`
    ]
    for (const value of bad) refused(requestWith([["Sec-WebSocket-Key", value]]), "KeyInvalid", 400)
    const spare = "//////////////////////=="
    assert.strictEqual(accepted(requestWith([["Sec-WebSocket-Key", spare]])).key, spare)
  })

  it("takes a path or an http URL for its target, and the host of that before Host (RFC 9112 §3.2.2)", () => {
    for (const target of ["*", "chat", "ftp://a/", "/a b", "/#a", "http:///", "http://u@a/", "http://a:99999/"]) {
      refused(requestWith([], { target }), "TargetInvalid", 400)
    }
    for (const target of [undefined, "/", "/chat?a=b"]) {
      assert.strictEqual(accepted(requestWith([], { target })).host, "server.example.com")
    }
    const absolute = { target: "http://other.example/chat" }
    assert.strictEqual(accepted(requestWith([], absolute)).host, "other.example")
    refused(requestWith([["Origin", "http://server.example.com"]], absolute), "OriginRefused", 403)
    accepted(requestWith([["Origin", "http://other.example"]], absolute))
  })

  it("knows who waits for a 100, and fails every other expectation (RFC 9110 §10.1.1)", () => {
    for (const value of ["100-continue", "100-Continue", "100-continue, 100-continue"]) {
      const request = accepted(requestWith([["Expect", value]]))
      assert.isTrue(request.expectsContinue)
      assert.isTrue(Result.getOrThrow(Handshake.acceptResponse(request)).continues)
    }
    for (const value of ["200-ok", "100-continue, x", "100-continue;a=b", "\0"]) {
      refused(requestWith([["Expect", value]]), "ExpectationFailed", 417)
    }
    assert.isFalse(accepted(requestWith([["Expect", ""]])).expectsContinue)
  })

  it("takes several lines of subprotocols as one list of distinct tokens (§11.3.4)", () => {
    const request = accepted(requestWith([
      ["Sec-WebSocket-Protocol", "v2, Chat"],
      ["sec-websocket-protocol", ", chat,__proto__"]
    ]))
    assert.deepStrictEqual(request.subprotocols, ["v2", "Chat", "chat", "__proto__"]) // case-sensitive
    for (const value of ["", ",", "a, a", "a b", "a;b", "a/b", "\"a\"", "a\0", "é"]) {
      refused(requestWith([["Sec-WebSocket-Protocol", value]]), "SubprotocolsInvalid", 400)
    }
    refused(requestWith([["Sec-WebSocket-Protocol", "a"], ["Sec-WebSocket-Protocol", "a"]]), "SubprotocolsInvalid", 400)
  })

  it("refuses a malformed list of extensions, and leaves bad offers to the extension (§9.1)", () => {
    for (const value of ["", "a;", "a;b=", "a;b=\"c d\"", "a b"]) {
      refused(requestWith([["Sec-WebSocket-Extensions", value]]), "ExtensionsMalformed", 400)
    }
    const request = accepted(requestWith([
      ["Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=99; bogus"],
      ["Sec-WebSocket-Extensions", "permessage-deflate"]
    ]))
    assert.lengthOf(request.extensions, 2)
  })

  it("applies the origin policy after everything else", () => {
    refused(requestWith([["Origin", "https://evil.example"]]), "OriginRefused", 403)
    refused(requestWith([["Origin", "null"]]), "OriginRefused", 403)
    refused(
      requestWith([["Origin", "http://server.example.com"], ["origin", "http://server.example.com"]]),
      "OriginDuplicated",
      400
    )
    refused(requestWith([["Origin", "http://server.example.com"]], { secure: true }), "OriginRefused", 403)
    accepted(requestWith([["Origin", "https://server.example.com"]], { secure: true }))
    const listed = Handshake.checkRequest(requestWith([["Origin", "https://app.example"]]), {
      origin: ["https://app.example"]
    })
    assert.isTrue(Result.isSuccess(listed))
    const seen: Array<string | undefined> = []
    const asked = Handshake.checkRequest(requestWith([], { target: "/chat" }), {
      origin: (_, request) => {
        seen.push(request.target)
        return false
      }
    })
    assert.isTrue(Result.isFailure(asked))
    assert.deepStrictEqual(seen, ["/chat"])
  })

  it("compares with the host that a trusted proxy says was asked", () => {
    const check = (origin: string, host?: string) => {
      const result = Handshake.checkRequest(requestWith([["Origin", origin]]), { host })
      return Result.isSuccess(result) ? result.success.host : result.failure.status
    }
    assert.strictEqual(check("https://app.example", "app.example"), "app.example")
    assert.strictEqual(check("http://server.example.com", "app.example"), 403)
    assert.strictEqual(check("http://server.example.com"), "server.example.com")
    assert.strictEqual(check("https://app.example", "a b"), 403)
  })

  it("caps lists with 431", () => {
    for (const name of ["Upgrade", "Connection", "Expect", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]) {
      refused(requestWith([[name, "a".repeat(8193)]]), "HeaderTooLarge", 431)
      refused(requestWith([[name, Array.from({ length: 65 }, (_, i) => `a${i}`).join()]]), "HeaderTooLarge", 431)
    }
  })

  it("stays short about long and strange input", () => {
    const strange = "\u0085\n(".repeat(2000)
    const error = refused(requestWith([["Sec-WebSocket-Protocol", strange]]), "SubprotocolsInvalid", 400)
    assert.isBelow(error.message.length, 400)
    assert.isFalse(error.message.includes("\n"))
  })

  it("does work that is linear in the input", () => {
    const names = base.map(([name]) => name).concat("Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")
    const long = [" ", ",", "\\\"", "a;", ":", "a,", "[", "="].map((piece) => piece.repeat(200_000))
    const start = performance.now()
    for (const name of names) {
      for (const value of long) Handshake.checkRequest(requestWith([[name, value], [name, `x${value}x`]]))
    }
    // Quadratic work over 200,000 characters would take minutes
    assert.isBelow(performance.now() - start, 5_000)
  })

  const headerName = Schema.Literals([
    ...base.map(([name]) => name),
    "upgrade",
    "Origin",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
    "__proto__",
    ""
  ])
  const value = Schema.Union([
    Schema.Literals([...base.map(([, value]) => value), "a;b=\"c\"", "a, b", ",", "null", "http://server.example.com"]),
    Schema.String
  ])
  const headerList = Schema.Array(Schema.Tuple([headerName, value]))

  it.prop(
    "is total on arbitrary headers",
    [headerList, Schema.Boolean, Schema.Literals(["GET", "POST"]), Schema.Literals(["1.1", "1.0", ""])],
    ([headers, complete, method, httpVersion]) => {
      const all = complete ? [...base, ...headers] : headers
      const result = Handshake.checkRequest({ method, httpVersion, headers: all })
      if (Result.isSuccess(result)) {
        assert.strictEqual(result.success.key, key)
        assert.strictEqual(new Set(result.success.subprotocols).size, result.success.subprotocols.length)
        return assert.isTrue(Result.isSuccess(Handshake.acceptResponse(result.success)))
      }
      assert.instanceOf(result.failure, HandshakeError)
      assert.include([400, 403, 405, 426, 431], result.failure.status)
    },
    { arbitrary: { runs: 500 } }
  )
})

describe("Handshake, server: the request by extended CONNECT (RFC 8441)", () => {
  const pseudo: Handshake.HeaderList = [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", "https"],
    [":path", "/chat"],
    [":authority", "server.example.com"],
    ["sec-websocket-version", "13"]
  ]
  const connectWith = (
    changes: Handshake.HeaderList,
    rest: Partial<Handshake.UpgradeRequest> = {}
  ): Handshake.UpgradeRequest => ({
    transport: "connect",
    method: "CONNECT",
    httpVersion: "2.0",
    headers: [...pseudo.filter(([name]) => !changes.some(([changed]) => changed === name)), ...changes],
    ...rest
  })
  const lacking = (name: string) => connectWith([], { headers: pseudo.filter(([other]) => other !== name) })

  it("accepts the example of the RFC, with :authority as host and no key", () => {
    const request = accepted(connectWith([
      ["sec-websocket-protocol", "chat, superchat"],
      ["sec-websocket-extensions", "permessage-deflate"],
      ["origin", "https://server.example.com"]
    ]))
    assert.deepStrictEqual(request, {
      key: undefined,
      subprotocols: ["chat", "superchat"],
      extensions: [{ name: "permessage-deflate", params: [] }],
      origin: "https://server.example.com",
      host: "server.example.com",
      expectsContinue: false
    })
    accepted(connectWith([["host", "server.example.com"], [":scheme", "http"]]))
  })

  it("ignores a key, as some clients send it here too", () => {
    assert.isUndefined(accepted(connectWith([["sec-websocket-key", key]])).key)
    assert.isUndefined(accepted(connectWith([["sec-websocket-key", "nonsense"]])).key)
  })

  it("refuses what is no extended CONNECT for a WebSocket", () => {
    refused(connectWith([], { method: "GET" }), "ConnectInvalid", 400)
    refused(connectWith([[":protocol", "connect-udp"]]), "ConnectProtocol", 501)
    for (const name of [":protocol", ":scheme", ":path"]) {
      refused(lacking(name), "ConnectInvalid", 400)
      refused(connectWith([[name, "websocket"], [name, "websocket"]]), "ConnectInvalid", 400)
    }
    refused(connectWith([[":scheme", "ftp"]]), "ConnectInvalid", 400)
    for (const path of ["*", "", "http://a/", "/a#b"]) refused(connectWith([[":path", path]]), "ConnectInvalid", 400)
    refused(connectWith([["content-length", "1"]]), "RequestHasBody", 400)
    refused(connectWith([], { hasBody: true }), "RequestHasBody", 400)
  })

  it("refuses headers that HTTP/2 and HTTP/3 do not have (RFC 9113 §8.2.2)", () => {
    refused(connectWith([["connection", "Upgrade"]]), "ConnectInvalid", 400)
    refused(connectWith([["upgrade", "websocket"]]), "ConnectInvalid", 400)
  })

  it("wants one :authority, which Host does not contradict", () => {
    refused(lacking(":authority"), "HostInvalid", 400)
    refused(connectWith([[":authority", "a b"]]), "HostInvalid", 400)
    refused(connectWith([[":authority", "a"], [":authority", "b"]]), "HostInvalid", 400)
    refused(connectWith([["host", "other.example.com"]]), "HostInvalid", 400)
  })

  it("answers another version with 400 and ours, since there is no Upgrade to require", () => {
    refused(lacking("sec-websocket-version"), "VersionMissing", 400)
    const { headers } = refused(connectWith([["sec-websocket-version", "8"]]), "VersionUnsupported", 400)
    assert.deepStrictEqual(headers, [["sec-websocket-version", "13"]])
  })

  it("applies the origin policy", () => {
    refused(connectWith([["origin", "https://evil.example"]]), "OriginRefused", 403)
  })

  it("is accepted by 200, without an accept value", () => {
    const request = accepted(connectWith([["sec-websocket-protocol", "chat"]]))
    assert.deepInclude(Result.getOrThrow(Handshake.acceptResponse(request)), { status: 200, headers: [] })
    const { headers } = Result.getOrThrow(Handshake.acceptResponse(request, { subprotocol: "chat" }))
    assert.deepStrictEqual(headers, [["Sec-WebSocket-Protocol", "chat"]])
  })
})

describe("Handshake, server: the answer (RFC 6455 §4.2.2)", () => {
  const request = accepted(requestWith([
    ["Sec-WebSocket-Protocol", "chat, superchat"],
    ["Sec-WebSocket-Extensions", "x-test; a, y-test"]
  ]))

  const failed = (options: Handshake.AcceptOptions, reason: Handshake.HandshakeRule) => {
    const result = Handshake.acceptResponse(request, options)
    if (Result.isSuccess(result)) return assert.fail(`accepted: ${JSON.stringify(options)}`)
    assert.deepStrictEqual([result.failure.reason, result.failure.status], [reason, 500])
  }

  it("proves that the key was read (§1.3)", () => {
    assert.strictEqual(Handshake.acceptKey(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert.deepStrictEqual(Result.getOrThrow(Handshake.acceptResponse(request)), {
      status: 101,
      headers: [
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
      ],
      continues: false,
      subprotocol: undefined,
      extensions: undefined,
      applicationHeaders: []
    })
    const { headers } = Result.getOrThrow(Handshake.acceptResponse(request, { sha1: () => "digest" }))
    assert.deepStrictEqual(headers[2], ["Sec-WebSocket-Accept", "digest"], "the platform's own SHA-1")
  })

  it("names what was chosen, and sends the application's headers along", () => {
    const applicationHeaders: Handshake.HeaderList = [["Set-Cookie", "a=1"], ["set-cookie", "b=2"]]
    const chosen = { subprotocol: "superchat", extensions: "x-test; a" }
    const response = Result.getOrThrow(Handshake.acceptResponse(request, { ...chosen, headers: applicationHeaders }))
    assert.deepInclude(response, { ...chosen, applicationHeaders })
    assert.deepStrictEqual(response.headers.slice(3), [
      ["Sec-WebSocket-Protocol", "superchat"],
      ["Sec-WebSocket-Extensions", "x-test; a"],
      ...applicationHeaders
    ])
    assert.isUndefined(Result.getOrThrow(Handshake.acceptResponse(request, { extensions: "" })).extensions)
  })

  it("does not choose what was not offered", () => {
    for (const protocol of ["other", "Chat", "", "chat, superchat"]) failed({ subprotocol: protocol }, "SubprotocolNotOffered")
    failed({ extensions: "z-test" }, "ExtensionNotOffered")
    failed({ extensions: "x-test, z-test" }, "ExtensionNotOffered")
    failed({ extensions: "x-test;" }, "HeaderInvalid")
    failed({ extensions: "x-test\r\nx: y" }, "HeaderInvalid")
  })

  it("does not send headers that end a line or belong to the handshake", () => {
    for (const value of ["a\r\nb: c", "a\n", "\0", "a\rb", "\u0100"]) {
      failed({ headers: [["x", value]] }, "HeaderInvalid")
    }
    for (const name of ["", "a b", "a:", "a\r\n", "é"]) failed({ headers: [[name, "x"]] }, "HeaderInvalid")
    for (
      const name of [
        "Upgrade",
        "CONNECTION",
        "Sec-WebSocket-Accept",
        "sec-websocket-key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding"
      ]
    ) {
      failed({ headers: [[name, "x"]] }, "HeaderReserved")
    }
  })
})
