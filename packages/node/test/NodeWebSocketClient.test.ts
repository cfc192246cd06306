/** The client, against servers of our own and servers made of bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { answering, closeBody, listenRaw, serverFrame, switching, until } from "./support/RawPeer.ts"
import { serve } from "./support/Serve.ts"

/** Sends what the request was, then echoes. */
const Mirror = HttpRouter.add("GET", "/mirror", Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  return yield* WebSocketServer.handle((ws) =>
    Effect.andThen(
      ws.send(JSON.stringify({ url: request.url, protocol: ws.subprotocol, headers: { ...request.headers } })),
      Stream.run(ws.messages, ws.sink)
    ), { selectSubprotocol: ["v2", "v1"] })
}))

interface Mirrored {
  readonly url: string
  readonly protocol?: string
  readonly headers: Readonly<Record<string, string>>
}

const layerUndici = NodeHttpClient.layerUndiciOptions({ allowH2: false })

const mirrored = Effect.fn(function*(url: string | URL, options?: WebSocketClient.ConnectOptions) {
  const ws = yield* WebSocketClient.connect(url, options)
  const first = yield* ws.receive
  assert.isString(first)
  yield* ws.send("echo")
  assert.strictEqual(yield* ws.receive, "echo")
  return JSON.parse(first as string) as Mirrored
})

/** A `Dialer` over a client that the test has changed. */
const dialerOf = (change: (client: HttpClient.HttpClient) => HttpClient.HttpClient, base = layerUndici) =>
  NodeWebSocketClient.layerHttpClient.pipe(
    Layer.provide(Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, change))),
    Layer.provide(base)
  )

const clients = [
  ["the default", NodeWebSocketClient.layer, true],
  ["undici", NodeWebSocketClient.layerHttpClient.pipe(Layer.provide(layerUndici)), true],
  ["node:http", NodeWebSocketClient.layerHttpClient.pipe(Layer.provide(NodeHttpClient.layerNodeHttp)), true],
  ["the Socket of an HttpClient", WebSocketClient.layerHttpClient.pipe(Layer.provide(layerUndici)), true],
  ["no HttpClient", NodeWebSocketClient.layerDirect, false]
] as const

for (const [name, Client, isTraced] of clients) {
  describe(`over ${name}`, () => {
    const unit = <A, E>(
      what: string,
      test: () => Effect.Effect<A, E, WebSocketClient.Connector | Scope.Scope>
    ) => it.live(what, () => Effect.provide(test(), Client))

    unit("connects to ws and http URLs, strings and objects", () =>
      Effect.gen(function*() {
        const { port } = yield* serve(Mirror)
        for (const scheme of ["ws", "http", "WS"]) {
          const seen = yield* mirrored(`${scheme}://127.0.0.1:${port}/mirror?a=1`)
          assert.strictEqual(seen.url, "/mirror?a=1")
          assert.strictEqual(seen.headers["host"], `127.0.0.1:${port}`)
        }
        assert.strictEqual((yield* mirrored(new URL(`ws://127.0.0.1:${port}/mirror`))).url, "/mirror")
      }))

    unit("sends headers and subprotocols, and a span's context", () =>
      Effect.gen(function*() {
        const { port } = yield* serve(Mirror)
        const seen = yield* mirrored(`ws://127.0.0.1:${port}/mirror`, {
          headers: [["X-A", "1"], ["X-A", "2"], ["Authorization", "Bearer x"]],
          subprotocols: ["v1", "v2"]
        }).pipe(Effect.withSpan("test"))
        assert.strictEqual(seen.headers["x-a"], "1, 2")
        assert.strictEqual(seen.headers["authorization"], "Bearer x")
        assert.strictEqual(seen.headers["sec-websocket-protocol"], "v1, v2")
        assert.strictEqual(seen.headers["sec-websocket-version"], "13")
        assert.strictEqual(seen.protocol, "v2")
        assert.strictEqual(seen.headers["traceparent"] !== undefined, isTraced)
      }))

    for (const ends of [false, true]) {
      unit(`frames ${ends ? "and the end of the stream " : ""}in the segment of the 101 are received`, () =>
        Effect.gen(function*() {
          const { port } = yield* answering((_, accept, { socket }) => {
            if (ends) setImmediate(() => socket.end())
            return [
              switching(accept),
              serverFrame(Opcode.Text, "early"),
              serverFrame(Opcode.Text, "bird"),
              serverFrame(Opcode.Close, closeBody(1000))
            ]
          })
          const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}`, { closeTimeout: 100 })
          assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["early", "bird"])
          assert.strictEqual((yield* ws.closed).clean, true)
        }))
    }

    unit("a refusal is a HandshakeError with status, headers and body", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering(() => [
          "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nSet-Cookie: a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\n" +
          "Set-Cookie: b=2\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"x\"\r\n" +
          "Content-Length: 4\r\n\r\nno!\n"
        ])
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.strictEqual(error._tag, "HandshakeError")
        if (error._tag !== "HandshakeError") return
        assert.strictEqual(error.reason, "StatusNot101")
        assert.strictEqual(error.status, 403)
        assert.strictEqual(error.body, "no!\n")
        assert.deepStrictEqual(error.headers, [
          ["x-why", "because"],
          ["set-cookie", "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT"],
          ["set-cookie", "b=2"],
          ["www-authenticate", "Negotiate"],
          ["www-authenticate", "Basic realm=\"x\""],
          ["content-length", "4"]
        ])
        yield* until("the connection is dropped", () => peers.every((peer) => peer.closed || peer.ended))
      }))

    unit("the headers of the answer that accepts are readable, each line as it was sent", () =>
      Effect.gen(function*() {
        const { port } = yield* answering((_, accept) => [
          switching(accept).replace("\r\n\r\n", "\r\nSet-Cookie: a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\nX-A: 1\r\n" +
            "set-cookie: b=2\r\nx-a: 2\r\n\r\n")
        ])
        const { responseHeaders } = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}`, { closeTimeout: 100 })
        const values = (wanted: string) => responseHeaders.filter(([name]) => name === wanted).map(([, value]) => value)
        assert.deepStrictEqual(values("set-cookie"), ["a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "b=2"])
        assert.deepStrictEqual(values("x-a"), ["1", "2"])
        assert.deepStrictEqual(values("upgrade"), ["websocket"])
      }))

    for (const interim of ["100 Continue", "102 Processing", "103 Early Hints"]) {
      unit(`a ${interim} before the 101 is accepted, or the client is named that does not`, () =>
        Effect.gen(function*() {
          const { port } = yield* answering((_, accept) => [`HTTP/1.1 ${interim}\r\n\r\n`, switching(accept)])
          const connected = yield* Effect.result(WebSocketClient.connect(`ws://127.0.0.1:${port}`, { closeTimeout: 10 }))
          if (connected._tag === "Success") return assert.strictEqual(connected.success.role, "client")
          assert.isTrue(interim.startsWith("100") && (name === "undici" || name === "the Socket of an HttpClient"))
          const { failure } = connected
          assert.deepStrictEqual(failure._tag === "IOError" && [failure.phase, failure.reason], ["handshake", "Aborted"])
          assert.include(failure.message, "undici rejects a 100 Continue")
        }))
    }

    unit("a redirect is a refusal that says where to", () =>
      Effect.gen(function*() {
        const { port } = yield* answering(() => [
          "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
        ])
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.strictEqual(error._tag, "HandshakeError")
        if (error._tag !== "HandshakeError") return
        assert.strictEqual(error.status, 302)
        assert.strictEqual(error.headers.find(([name]) => name === "location")?.[1], "ws://elsewhere.example/")
      }))

    unit("an endless body is kept to 8 KiB and dropped", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering((_, __, { socket }) => {
          const flood = () => {
            while (!socket.destroyed && socket.write("x".repeat(65536))) { /* as much as goes */ }
          }
          socket.on("drain", flood)
          setImmediate(flood)
          return ["HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n"]
        })
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.strictEqual(error._tag, "HandshakeError")
        if (error._tag === "HandshakeError") assert.strictEqual(error.body, "x".repeat(8192))
        yield* until("the connection is dropped", () => peers.every((peer) => peer.closed || peer.ended))
      }))

    // The roads differ only in whether there is an HttpClient, and waiting for it takes 2 s.
    if (name === "undici" || !isTraced) {
      unit("a body that never comes does not hang", () =>
        Effect.gen(function*() {
          const { port } = yield* answering(() => ["HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf"])
          const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
          assert.strictEqual(error._tag === "HandshakeError" && error.body, "half")
        }))
    }

    for (
      const [rule, head] of [
        ["AcceptInvalid", () => switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
        ["SubprotocolUnexpected", (accept: string) => switching(accept, "Sec-WebSocket-Protocol: other\r\n")],
        ["ExtensionUnexpected", (accept: string) => switching(accept, "Sec-WebSocket-Extensions: x-other\r\n")],
        ["SubprotocolMissing", switching]
      ] as const
    ) {
      unit(`${rule} drops the connection at once, in a scope that goes on`, () =>
        Effect.gen(function*() {
          const { peers, port } = yield* answering((_, accept) => [head(accept)])
          const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`, { subprotocols: ["mine"] }))
          assert.strictEqual(error._tag === "HandshakeError" && error.reason, rule)
          assert.strictEqual(error._tag === "HandshakeError" && error.status, 101)
          yield* until("the connection is dropped", () => peers.length === 1 && peers[0]!.ended)
        }))
    }

    unit("requireSubprotocol: false goes on without a subprotocol", () =>
      Effect.gen(function*() {
        const { port } = yield* answering((_, accept) => [switching(accept), serverFrame(Opcode.Text, "hi")])
        const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}`, {
          subprotocols: ["mine"],
          requireSubprotocol: false,
          closeTimeout: 50
        })
        assert.isUndefined(ws.subprotocol)
        assert.strictEqual(yield* ws.receive, "hi")
      }))

    unit("nobody listens: IOError, connect, Refused", () =>
      Effect.gen(function*() {
        const port = yield* Effect.scoped(Effect.map(listenRaw(() => {}), ({ port }) => port))
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Refused"])
      }))

    unit("an unknown host: IOError, connect, Unresolved", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(WebSocketClient.connect("ws://no-such-host.invalid/"))
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Unresolved"])
      }))

    unit("a server that resets instead of answering: IOError, connect, Reset", () =>
      Effect.gen(function*() {
        const { port } = yield* listenRaw((peer) => peer.socket.once("data", () => peer.reset()))
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Reset"])
      }))

    unit("a server that ends instead of answering: IOError", () =>
      Effect.gen(function*() {
        const { port } = yield* listenRaw((peer) => peer.socket.once("data", () => peer.socket.end()))
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Reset"])
      }))

    unit("what is no HTTP: IOError, handshake", () =>
      Effect.gen(function*() {
        const { port } = yield* answering(() => ["SSH-2.0-OpenSSH\r\n\r\n"])
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`))
        assert.strictEqual(error._tag === "IOError" && error.phase, "handshake")
      }))

    unit("a server that never answers: IOError, handshake, TimedOut, and the connection is dropped", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* listenRaw(() => {})
        const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}`, { handshakeTimeout: 100 }))
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["handshake", "TimedOut"])
        yield* until("the connection is dropped", () => peers.every((peer) => peer.ended || peer.closed))
      }))

    unit("the deadline holds where nothing can be interrupted", () =>
      Effect.gen(function*() {
        const { port } = yield* listenRaw(() => {})
        const error = yield* Effect.flip(
          Effect.uninterruptible(WebSocketClient.connect(`ws://127.0.0.1:${port}`, { handshakeTimeout: 100 }))
        )
        assert.deepStrictEqual(error._tag === "IOError" && error.reason, "TimedOut")
      }))

    unit("an interrupted connect drops the connection", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* listenRaw(() => {})
        yield* Effect.timeoutOption(WebSocketClient.connect(`ws://127.0.0.1:${port}`), 50)
        yield* until("the connection is dropped", () => peers.length === 1 && peers.every((peer) => peer.ended || peer.closed))
      }))

    unit("the scope's end performs the closing handshake", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering((_, accept) => [switching(accept)])
        const closing = yield* Effect.forkChild(
          Effect.scoped(Effect.asVoid(WebSocketClient.connect(`ws://127.0.0.1:${port}`)))
        )
        yield* until("a Close", () => peers.length === 1 && peers[0]!.frames().length === 1)
        const [close] = peers[0]!.frames()
        assert.isTrue(close!.masked)
        assert.deepStrictEqual([close!.opcode, ...close!.data], [Opcode.Close, ...closeBody(1000)])
        peers[0]!.write(serverFrame(Opcode.Close, closeBody(1000)))
        peers[0]!.socket.end()
        yield* peers[0]!.untilClosed
        void closing
      }))
  })
}

describe("clients of one's own", () => {
  it.live("relative URLs against bases of every scheme", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Mirror)
      for (const scheme of ["http", "ws"]) {
        const seen = yield* mirrored("/mirror?b=2").pipe(Effect.provide(
          dialerOf(HttpClient.mapRequest(HttpClientRequest.prependUrl(`${scheme}://127.0.0.1:${port}`)))
        ))
        assert.strictEqual(seen.url, "/mirror?b=2")
      }
    }))

  it.live("a relative URL without a base is a typed error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(WebSocketClient.connect("/mirror"))
      assert.strictEqual(error._tag, "HandshakeError")
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))

  it.live("authentication by mapRequest", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Mirror)
      const seen = yield* mirrored(`ws://127.0.0.1:${port}/mirror`).pipe(
        Effect.provide(dialerOf(HttpClient.mapRequest(HttpClientRequest.bearerToken("secret"))))
      )
      assert.strictEqual(seen.headers["authorization"], "Bearer secret")
    }))

  it.live("a client that filters statuses connects, and its refusals are HandshakeErrors", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(
        Mirror,
        HttpRouter.add("GET", "/no", HttpServerResponse.text("go away", { status: 401 }))
      ))
      assert.strictEqual((yield* mirrored(`ws://127.0.0.1:${port}/mirror`)).url, "/mirror")
      const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}/no`))
      assert.strictEqual(error._tag, "HandshakeError")
      if (error._tag !== "HandshakeError") return
      assert.strictEqual(error.status, 401)
      assert.strictEqual(error.body, "go away")
    }).pipe(Effect.provide(dialerOf(HttpClient.filterStatusOk))))

  it.live("a client that follows redirects gets there", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(
        Mirror,
        HttpRouter.add("GET", "/old", HttpServerResponse.redirect("/mirror"))
      ))
      assert.strictEqual((yield* mirrored(`ws://127.0.0.1:${port}/old`)).url, "/mirror")
    }).pipe(Effect.provide(dialerOf(HttpClient.followRedirects(2)))))

  it.live("fetch, which cannot upgrade, fails with a typed error", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Mirror)
      const error = yield* Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}/mirror`))
      assert.isTrue(error._tag === "IOError" || error._tag === "HandshakeError", String(error))
    }).pipe(Effect.provide(NodeWebSocketClient.layerHttpClient.pipe(Layer.provide(NodeHttpClient.layerFetch)))))
})
