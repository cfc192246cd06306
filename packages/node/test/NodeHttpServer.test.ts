/** The HTTP server whose connections become WebSockets, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Socket } from "node:net"
import * as Deadlines from "../../core/src/runtime/Deadlines.ts"
import {
  clientFrame,
  closeBody,
  connectRaw,
  connectUpgraded,
  type RawPeer,
  sampleAccept,
  settles,
  until,
  upgradeRequest
} from "./support/RawPeer.ts"
import { keepLogs, type Logged, openSockets, portOf, serve, type ServeOptions } from "./support/Serve.ts"

const echo = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
const Echo = HttpRouter.add("GET", "/", echo)

/** What a server answers to the bytes of a request. */
const answerTo = Effect.fn(function*(port: number, request: string) {
  const peer = yield* connectRaw(port)
  peer.write(request)
  const head = yield* peer.head
  return { ...head, peer }
})

const echoes = Effect.fn(function*(peer: RawPeer, text = "hello") {
  peer.write(clientFrame(Opcode.Text, text))
  yield* peer.untilFrames(1)
  assert.deepStrictEqual(peer.texts(), [text])
})

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

describe("beside HTTP", () => {
  it.live("a WebSocket, an ordinary route and a static file are served on one port", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(
        HttpRouter.add("GET", "/echo", echo),
        HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")),
        HttpRouter.add("POST", "/upper", Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          return HttpServerResponse.text((yield* request.text).toUpperCase())
        })),
        HttpStaticServer.layer({ root: `${import.meta.dirname}/support/tls`, prefix: "/files" })
      ))
      const base = `http://127.0.0.1:${port}`
      const get = (path: string) => Effect.promise(() => fetch(base + path).then((response) => response.text()))
      yield* echoes(yield* connectUpgraded(port, "/echo"))
      assert.strictEqual(yield* get("/hello"), "hello")
      assert.strictEqual(
        yield* Effect.promise(() => fetch(`${base}/upper`, { method: "POST", body: "abc" }).then((r) => r.text())),
        "ABC"
      )
      assert.match(yield* get("/files/ca.pem"), /BEGIN CERTIFICATE/)
    }))

  it.live("an unknown path is refused with 404, and a route that is no WebSocket answers an upgrade as ever", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(Echo, HttpRouter.add("GET", "/page", HttpServerResponse.text("page"))))
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/nowhere"))).status, 404)
      const page = yield* answerTo(port, upgradeRequest("/page"))
      assert.strictEqual(page.status, 200)
      yield* page.peer.untilEnded
      assert.strictEqual(page.peer.text, "page")
    }))

  it.live("middleware runs around a WebSocket and sees 101", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const logs: Array<Logged> = []
      const watch = HttpRouter.middleware(
        (effect) => Effect.tap(effect, (response) => Effect.sync(() => seen.push(response.status))),
        { global: true }
      )
      const { port } = yield* serve(Layer.mergeAll(Echo, watch, HttpRouter.cors({ allowedOrigins: ["http://127.0.0.1"] })).pipe(
        Layer.provide(keepLogs(logs))
      ))
      const peer = yield* connectUpgraded(port, "/", { Origin: "http://127.0.0.1" })
      yield* echoes(peer)
      peer.write(clientFrame(Opcode.Close, closeBody(1000)))
      yield* peer.untilEnded
      yield* until("the middleware", () => seen.length > 0)
      assert.deepStrictEqual(seen, [101])
    }))

  it.live("the server's own logger tells 101", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const layer = HttpServer.serve(echo, HttpMiddleware.logger).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
        Layer.provideMerge(keepLogs(logs))
      )
      const context = yield* Layer.build(layer)
      const peer = yield* connectUpgraded(portOf(Context.get(context, HttpServer.HttpServer)))
      yield* echoes(peer)
      peer.write(clientFrame(Opcode.Close, closeBody(1000)))
      yield* until("a log line", () => logs.some(({ text }) => text.includes("Sent HTTP response")))
      assert.isFalse(logs.some(({ level }) => level === "Error" || level === "Warn"), JSON.stringify(logs))
    }))

  it.live("a middleware that changes the request does not hide the upgrade", () =>
    Effect.gen(function*() {
      let url = ""
      const strip = HttpRouter.middleware(
        (effect) =>
          Effect.updateService(effect, HttpServerRequest.HttpServerRequest, (request) =>
            request.modify({ url: "/changed", headers: request.headers })),
        { global: true }
      )
      const { port } = yield* serve(Layer.mergeAll(
        HttpRouter.add("GET", "/changed", Effect.gen(function*() {
          url = (yield* HttpServerRequest.HttpServerRequest).url
          return yield* echo
        })),
        strip
      ))
      yield* echoes(yield* connectUpgraded(port, "/prefix/echo"))
      assert.strictEqual(url, "/changed")
    }))
})

describe("what a request keeps of HTTP", () => {
  it.live("its peer's address and its headers, but not the socket that it came on", () =>
    Effect.gen(function*() {
      let seen: ReadonlyArray<unknown> = []
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const ws = yield* WebSocketServer.accept()
        const { headers, rawHeaders, socket } = request.source as IncomingMessage
        seen = [request.remoteAddress, socket.remotePort, headers["upgrade"], rawHeaders.length % 2, socket instanceof Socket]
        // Whoever has the socket in hand may listen to it, and end the connection.
        socket.on("close", () => {})
        yield* ws.receive
        socket.destroy()
        yield* ws.closed
        return HttpServerResponse.empty()
      }).pipe(Effect.scoped)))
      const peer = yield* connectUpgraded(port)
      yield* until("the route", () => seen.length > 0)
      assert.deepStrictEqual(seen, [Option.some("127.0.0.1"), peer.socket.localPort, "websocket", 0, false])
      peer.write(clientFrame(Opcode.Text, "end"))
      yield* peer.untilClosed
    }))

  it.live("a response that is looked at before it is refused carries what was set on it", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
        const response = NodeHttpServerRequest.toServerResponse(yield* HttpServerRequest.HttpServerRequest)
        response.setHeader("x-early", "yes")
        assert.isFalse(response.writableEnded)
        return HttpServerResponse.text("no", { status: 403 })
      })))
      const { headers, peer, status } = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(status, 403)
      assert.strictEqual(headers["x-early"], "yes")
      yield* peer.untilClosed
    }))

  it.live("a response that is looked at behind the accept, or before, is ended and writes nothing", () =>
    Effect.gen(function*() {
      for (const early of [true, false]) {
        const seen: Array<boolean> = []
        const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
          const response = NodeHttpServerRequest.toServerResponse(yield* HttpServerRequest.HttpServerRequest)
          if (early) response.setHeader("x-early", "yes")
          const ws = yield* WebSocketServer.accept()
          seen.push(response.writableEnded, "headersSent" in response, response.headersSent)
          response.end()
          yield* Stream.run(ws.messages, ws.sink)
          return HttpServerResponse.empty()
        }).pipe(Effect.scoped)))
        yield* echoes(yield* connectUpgraded(port))
        assert.deepStrictEqual(seen, [true, true, false])
      }
    }))
})

describe("an answer that is begun by hand", () => {
  /** A route that writes an answer and accepts all the same; what the accept came to. */
  const writing = Effect.fnUntraced(function*(write: (response: ServerResponse) => void) {
    const seen: Array<string> = []
    const { node, port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
      // A server without HTTP/2.
      write(NodeHttpServerRequest.toServerResponse(yield* HttpServerRequest.HttpServerRequest) as ServerResponse)
      seen.push(
        yield* WebSocketServer.accept().pipe(
          Effect.as("accepted"),
          Effect.catchTag("HandshakeError", ({ reason }) => Effect.succeed(reason))
        )
      )
      return HttpServerResponse.empty({ status: 418 })
    }).pipe(Effect.scoped)))
    return { node, port, seen }
  })
  const parts: Readonly<Record<string, (response: ServerResponse) => void>> = {
    "writeHead and end": (response) => response.writeHead(299).end("by hand"),
    "write and end": (response) => {
      response.statusCode = 299
      response.write("by ")
      response.end("hand")
    },
    end: (response) => {
      response.statusCode = 299
      response.end("by hand")
    }
  }
  for (const [what, write] of Object.entries(parts)) {
    it.live(`by ${what} stands, and no connection is accepted behind it`, () =>
      Effect.gen(function*() {
        const { node, port, seen } = yield* writing(write)
        const { peer, status } = yield* answerTo(port, upgradeRequest("/"))
        assert.strictEqual(status, 299)
        yield* peer.untilClosed
        assert.include(peer.text.replaceAll(/\r\n(\w\r\n)?/g, ""), "by hand")
        assert.notInclude(peer.text, "HTTP/1.1")
        assert.deepStrictEqual(seen, ["NotAnUpgrade"])
        yield* settles("no open socket", openSockets(node), (count) => count === 0)
      }))
  }

  for (
    const [what, write] of [
      ["writeHead", (response: ServerResponse) => void response.writeHead(299)],
      ["write", (response: ServerResponse) => void response.write("half")]
    ] as const
  ) {
    it.live(`by ${what} and not ended is not upgraded either, and the connection ends`, () =>
      Effect.gen(function*() {
        const { node, port, seen } = yield* writing(write)
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/"))
        yield* until("the accept", () => seen.length === 1)
        yield* until("the end", () => peer.ended || peer.closed)
        assert.notInclude(peer.text, "101")
        assert.deepStrictEqual(seen, ["NotAnUpgrade"])
        yield* settles("no open socket", openSockets(node), (count) => count === 0)
      }))
  }

  for (const looks of ["before the client goes", "behind it"] as const) {
    for (const then of ["accepts", "answers"] as const) {
      it.live(`is dropped with a client that is gone: looked at ${looks}, by a route that ${then} all the same`, () =>
        Effect.gen(function*() {
          const seen: Array<unknown> = []
          let connections: { readonly size: number } | undefined
          const { node, port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
            yield* Effect.addFinalizer(() => Effect.sync(() => seen.push("released")))
            const request = yield* HttpServerRequest.HttpServerRequest
            connections = (yield* Effect.serviceOption(WebSocketServer.Upgrades)).pipe(Option.getOrThrow).connections
            const { socket } = request.source as IncomingMessage
            if (looks === "before the client goes") NodeHttpServerRequest.toServerResponse(request)
            seen.push("began")
            yield* until("the client's end", () => socket.destroyed)
            const response = NodeHttpServerRequest.toServerResponse(request)
            if (looks === "behind it") assert.isTrue(response.destroyed)
            if (then === "accepts") {
              const ws = yield* WebSocketServer.accept({ closeTimeout: 100 })
              seen.push(yield* Effect.map(Effect.flip(ws.receive), ({ _tag }) => _tag))
            }
            seen.push(response.headersSent)
            return HttpServerResponse.text("nobody reads this")
          }).pipe(Effect.uninterruptible)))
          const peer = yield* connectRaw(port)
          peer.write(upgradeRequest("/"))
          yield* until("the route", () => seen.length === 1)
          peer.reset()
          yield* until("its end", () => seen.includes("released"))
          assert.deepStrictEqual(seen, ["began", ...(then === "accepts" ? ["IOError"] : []), false, "released"])
          yield* settles("no place taken", Effect.sync(() => connections?.size), (size) => size === 0)
          yield* settles("no open socket", openSockets(node), (count) => count === 0)
        }))
    }
  }
})

describe("a handler that puts another request in the place of its own", () => {
  it.live("leaves no deadline of the handshake behind its answer", () =>
    Effect.gen(function*() {
      const heap: ReadonlyArray<unknown> = (yield* Deadlines.current)["heap"]
      const before = heap.length
      let during = 0
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.andThen(Effect.sleep(1), Effect.withFiber((fiber) => {
        during = heap.length
        const other = HttpServerRequest.fromWeb(new Request("http://b/"))
        fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, other))
        return Effect.succeed(HttpServerResponse.empty({ status: 418 }))
      }))))
      const { peer, status } = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(status, 418)
      yield* peer.untilClosed
      assert.deepStrictEqual([during, heap.length], [before + 1, before])
    }))
})

describe("accept", () => {
  const served = (options: WebSocketServer.AcceptOptions, serveOptions?: ServeOptions) =>
    serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => ws.send(ws.subprotocol ?? "none"), options)), serveOptions)

  it.live("answers the Accept of the RFC's sample key", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const answer = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(answer.status, 101)
      assert.strictEqual(answer.headers["sec-websocket-accept"], sampleAccept)
      assert.strictEqual(answer.headers["upgrade"]?.toLowerCase(), "websocket")
      assert.strictEqual(answer.headers["connection"]?.toLowerCase(), "upgrade")
      assert.isUndefined(answer.headers["sec-websocket-extensions"])
      assert.isUndefined(answer.headers["sec-websocket-protocol"])
    }))

  it.live("sends 100 before 101 to a client that waits for it", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const { peer, status } = yield* answerTo(port, upgradeRequest("/", { Expect: "100-continue" }))
      assert.strictEqual(status, 100)
      assert.strictEqual((yield* peer.head).status, 101)
      yield* echoes(peer)
    }))

  it.live("the list of subprotocols is the server's order of preference", () =>
    Effect.gen(function*() {
      const { port } = yield* served({ selectSubprotocol: ["v3", "v2", "v1"] })
      const answer = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "v1, v2" }))
      assert.strictEqual(answer.headers["sec-websocket-protocol"], "v2")
      yield* answer.peer.untilFrames(1)
      assert.deepStrictEqual(answer.peer.texts(), ["v2"])
      const none = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "v9" }))
      assert.strictEqual(none.status, 101)
      assert.isUndefined(none.headers["sec-websocket-protocol"])
    }))

  it.live("a function chooses the subprotocol and sees the request", () =>
    Effect.gen(function*() {
      const { port } = yield* served({
        selectSubprotocol: (offered, request) => offered.find((one) => one === request.headers["x-wants"])
      })
      const answer = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "a, b", "X-Wants": "b" }))
      assert.strictEqual(answer.headers["sec-websocket-protocol"], "b")
    }))

  it.live("headers go out with the 101, one line each", () =>
    Effect.gen(function*() {
      const { port } = yield* served({ headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["X-Served-By", "test"]] })
      const peer = yield* connectRaw(port)
      peer.write(upgradeRequest("/"))
      yield* until("the head", () => peer.text.includes("\r\n\r\n"))
      assert.include(peer.text, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Served-By: test\r\n")
    }))

  for (
    const [what, options] of [
      ["a subprotocol that was not offered", { selectSubprotocol: () => "other" }],
      ["a header with a line break", { headers: { "X-A": "b\r\nX-C: d" } }],
      ["a header that belongs to the handshake", { headers: { "Sec-WebSocket-Accept": "x" } }],
      ["a chooser that throws", { selectSubprotocol: () => assert.fail("chooser") }]
    ] satisfies ReadonlyArray<readonly [string, WebSocketServer.AcceptOptions]>
  ) {
    it.live(`${what} answers 500, is logged, and the server goes on`, () =>
      Effect.gen(function*() {
        const logs: Array<Logged> = []
        const { port } = yield* served(options, { logger: true }).pipe(Effect.provide(keepLogs(logs)))
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* answerTo(port, upgradeRequest("/"))).status, 500)
        }
        yield* until("a log line", () => logs.some(({ text }) => text.includes("Error")))
      }))
  }

  it.live("a route may refuse with a response of its own, behind which the connection ends", () =>
    Effect.gen(function*() {
      const { node, port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        if (request.headers["authorization"] !== "Bearer secret") {
          return HttpServerResponse.text("who are you?", { status: 401, headers: { "www-authenticate": "Bearer" } })
        }
        return yield* echo
      })))
      const refused = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(refused.headers["www-authenticate"], "Bearer")
      yield* refused.peer.untilEnded
      assert.strictEqual(refused.peer.text, "who are you?")
      yield* echoes(yield* connectUpgraded(port, "/", { Authorization: "Bearer secret" }))
      yield* settles("one open socket", openSockets(node), (count) => count === 1)
    }))

  it.live("a second accept of the same request is refused and harms nobody", () =>
    Effect.gen(function*() {
      let second = ""
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.scoped(Effect.gen(function*() {
        const ws = yield* WebSocketServer.accept()
        second = yield* WebSocketServer.accept().pipe(
          Effect.as("accepted"),
          Effect.catchTag("HandshakeError", ({ reason }) => Effect.succeed(reason))
        )
        yield* Stream.run(ws.messages, ws.sink)
        return HttpServerResponse.empty()
      }))))
      yield* echoes(yield* connectUpgraded(port))
      assert.strictEqual(second, "NotAnUpgrade")
    }))

  it.live("on the layer of @effect/platform-node it fails with an error that names ours", () =>
    Effect.gen(function*() {
      const caught = yield* Deferred.make<string>()
      const routes = HttpRouter.add("GET", "/", Effect.tapError(echo, (error) => Deferred.succeed(caught, `${error._tag}: ${error.message}`)))
      const context = yield* Layer.build(
        HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
          Layer.provideMerge(StockHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
      )
      const { status } = yield* answerTo(portOf(Context.get(context, HttpServer.HttpServer)), upgradeRequest("/"))
      assert.strictEqual(status, 500)
      const message = yield* Deferred.await(caught)
      assert.match(message, /^UpgradeUnavailable: .*NodeHttpServer\.layer.*@effect-ws\/node/)
    }))
})

describe("handle", () => {
  it.live("a failure of the handler's own closes with 1011 and is reported", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Effect.andThen(ws.receive, new Broken()))),
        { logger: true }
      ).pipe(Effect.provide(keepLogs(logs)))
      const peer = yield* connectUpgraded(port)
      peer.write(clientFrame(Opcode.Text, "go"))
      const [close] = yield* peer.untilFrames(1)
      assert.strictEqual(close!.opcode, Opcode.Close)
      assert.deepStrictEqual([...close!.data], [...closeBody(1011)])
      peer.write(clientFrame(Opcode.Close, closeBody(1011)))
      yield* peer.untilEnded
      yield* until("a log line", () => logs.some(({ text }) => text.includes("Broken")))
      assert.isFalse(peer.text.includes("HTTP/1.1"), "nothing of HTTP behind the frames")
    }))

  it.live("a defect beside the connection's end is not hidden", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Effect.ensuring(ws.receive, Effect.die("a defect")))),
        { logger: true }
      ).pipe(Effect.provide(keepLogs(logs)))
      const peer = yield* connectUpgraded(port)
      peer.reset()
      yield* until("a log line", () => logs.some(({ text }) => text.includes("a defect")))
    }))

  it.live("closeCodeFor maps the handler's error", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", WebSocketServer.handle(() => new Broken(), { closeCodeFor: () => 4001 }))
      ).pipe(Effect.provide(keepLogs([])))
      const peer = yield* connectUpgraded(port)
      const [close] = yield* peer.untilFrames(1)
      assert.deepStrictEqual([...close!.data], [...closeBody(4001)])
    }))

  for (
    const [what, harm] of [
      ["a reset", (peer: RawPeer) => peer.reset()],
      ["an end without a Close", (peer: RawPeer) => peer.socket.end()],
      ["a broken rule", (peer: RawPeer) => peer.write(Uint8Array.of(0xff, 0x80, 0, 0, 0, 0))],
      ["a Close", (peer: RawPeer) => peer.write(clientFrame(Opcode.Close, closeBody(1001)))]
    ] as const
  ) {
    it.live(`${what} is logged at Debug and is no 500`, () =>
      Effect.gen(function*() {
        const logs: Array<Logged> = []
        const { port } = yield* serve(
          HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Effect.forever(ws.receive)))
        ).pipe(Effect.provide(keepLogs(logs)))
        const peer = yield* connectUpgraded(port)
        harm(peer)
        yield* until("a log line", () => logs.some(({ text }) => text.includes("WebSocket connection ended")))
        yield* peer.untilClosed
        assert.deepStrictEqual(logs.filter(({ level }) => level !== "Debug" && level !== "Trace"), [])
        assert.isFalse(peer.text.includes("HTTP/1.1"))
      }))
  }
})

describe("behind a proxy that changes Host", () => {
  const forwarded = (origin: string, headers: Readonly<Record<string, string>> = {}) =>
    upgradeRequest("/", {
      Host: "backend:8080",
      Origin: origin,
      "X-Forwarded-For": "203.0.113.1",
      "X-Forwarded-Host": "app.example",
      "X-Forwarded-Proto": "https",
      ...headers
    })
  const trusting = (trusted: string) => ({
    trustedProxies: (address: NetAddress.IpAddress) => NetAddress.formatIp(address) === trusted
  })

  const statuses = Effect.fn(function*(trusted: string, requests: ReadonlyArray<string>) {
    const { port } = yield* serve(Layer.mergeAll(
      Echo,
      HttpRouter.middleware(HttpMiddleware.xForwardedHeaders(trusting(trusted)), { global: true })
    ))
    return yield* Effect.forEach(requests, (request) => Effect.map(answerTo(port, request), ({ status }) => status))
  })

  it.live("pages of the host that a trusted one says may connect, and no others", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* statuses("127.0.0.1", [
          forwarded("https://app.example"),
          forwarded("https://app.example", { "X-Forwarded-Host": "other.example" }),
          forwarded("http://backend:8080"),
          // By TLS it was, says the proxy.
          forwarded("http://app.example")
        ]),
        [101, 403, 403, 403]
      )
    }))

  it.live("one that nobody trusts is not believed", () =>
    Effect.gen(function*() {
      const requests = [forwarded("https://app.example"), forwarded("http://backend:8080")]
      assert.deepStrictEqual(yield* statuses("192.0.2.1", requests), [403, 101])
    }))
})

describe("refusals, by status", () => {
  const cases: ReadonlyArray<readonly [string, number, string, Readonly<Record<string, string>>]> = [
    ["a plain GET", 426, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { upgrade: "websocket" }],
    ["another upgrade", 426, upgradeRequest("/", { Upgrade: "websocketx" }), { upgrade: "websocket" }],
    ["more headers than Node keeps", 431, upgradeRequest("/").replace("\r\n", `\r\n${"a:b\r\n".repeat(1100)}`), {}],
    ["version 8", 426, upgradeRequest("/", { "Sec-WebSocket-Version": "8" }), { "sec-websocket-version": "13" }],
    ["no version", 400, upgradeRequest("/", { "Sec-WebSocket-Version": undefined }), { "sec-websocket-version": "13" }],
    ["a bad key", 400, upgradeRequest("/", { "Sec-WebSocket-Key": "short" }), {}],
    ["no key", 400, upgradeRequest("/", { "Sec-WebSocket-Key": undefined }), {}],
    ["a body", 400, `${upgradeRequest("/", { "Content-Length": "5" })}hello`, {}],
    ["a chunked body", 400, `${upgradeRequest("/", { "Transfer-Encoding": "chunked" })}0\r\n\r\n`, {}],
    ["no host", 400, upgradeRequest("/", { Host: undefined }), {}],
    ["HTTP/1.0", 400, upgradeRequest("/", {}, "GET / HTTP/1.0"), {}],
    ["HTTP/2.0 as text", 505, upgradeRequest("/", {}, "GET / HTTP/2.0"), {}],
    ["another expectation", 417, upgradeRequest("/", { Expect: "a-miracle" }), {}],
    ["a foreign origin", 403, upgradeRequest("/", { Origin: "http://evil.example" }), {}],
    ["an endless list", 431, upgradeRequest("/", { "Sec-WebSocket-Protocol": "a,".repeat(500) }), {}],
    ["a POST", 405, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", { allow: "GET" }],
    ["a POST that asks for an upgrade", 405, upgradeRequest("/", {}, "POST / HTTP/1.1"), { allow: "GET" }]
  ]
  for (const [what, status, request, headers] of cases) {
    it.live(`${what}: ${status}`, () =>
      Effect.gen(function*() {
        const { port } = yield* serve(HttpRouter.add("*", "/", echo))
        const answer = yield* answerTo(port, request)
        assert.strictEqual(answer.status, status)
        for (const [name, value] of Object.entries(headers)) assert.strictEqual(answer.headers[name], value)
        yield* echoes(yield* connectUpgraded(port))
        // An ordinary request keeps its connection.
        if (request.includes("Upgrade: websocket\r\n")) yield* answer.peer.untilEnded
      }))
  }

  it.live("a refused client that never ends is cut", () =>
    Effect.gen(function*() {
      const { node, port } = yield* serve(Echo)
      const peer = yield* connectRaw(port, { allowHalfOpen: true })
      peer.write(upgradeRequest("/", { "Sec-WebSocket-Key": "bad" }), "and more")
      assert.strictEqual((yield* peer.head).status, 400)
      yield* peer.untilEnded
      assert.isFalse(peer.socket.writableEnded)
      yield* settles("no open socket", openSockets(node), (count) => count === 0)
    }))

  it.live("above maxConnections: 503 with Retry-After, until a place is free again", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { maxConnections: 2 })
      const first = yield* connectUpgraded(port)
      const second = yield* connectUpgraded(port)
      const refused = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(refused.status, 503)
      assert.strictEqual(refused.headers["retry-after"], "1")
      yield* echoes(first)
      first.write(clientFrame(Opcode.Close, closeBody(1000)))
      yield* first.untilEnded
      first.socket.end()
      yield* first.untilClosed
      yield* Effect.sleep(20)
      yield* echoes(yield* connectUpgraded(port))
      second.reset()
    }))

  it.live("places are free again however a connection ends", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), { closeTimeout: 100 })),
        { maxConnections: 1 }
      )
      const ways: ReadonlyArray<readonly [string, (peer: RawPeer) => void]> = [
        ["reset", (peer) => peer.reset()],
        ["destroyed", (peer) => peer.socket.destroy()],
        ["ended", (peer) => peer.socket.end()],
        ["broke a rule and stays", (peer) => peer.write(Uint8Array.of(0xff, 0xff))],
        ["closed and stays", (peer) => peer.write(clientFrame(Opcode.Close, closeBody(1000)))],
        ["reset within a frame", (peer) => {
          peer.write(clientFrame(Opcode.Text, "abcdef").subarray(0, 4))
          peer.reset()
        }]
      ]
      for (const [what, leave] of ways) {
        const peer = yield* connectUpgraded(port)
        peer.socket.allowHalfOpen = true
        leave(peer)
        let status = 0
        for (let i = 0; i < 100 && status !== 101; i++) {
          const next = yield* answerTo(port, upgradeRequest("/"))
          status = next.status
          next.peer.reset()
          yield* Effect.sleep(10)
        }
        assert.strictEqual(status, 101, what)
      }
      // Abandoned before they were accepted: these never took a place.
      for (let i = 0; i < 20; i++) {
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/").slice(0, i * 5))
        peer.reset()
        const refused = yield* connectRaw(port)
        refused.write(upgradeRequest("/", { "Sec-WebSocket-Key": "bad" }))
        refused.reset()
      }
      yield* Effect.sleep(50)
      yield* echoes(yield* connectUpgraded(port))
    }))
})

describe("bytes", () => {
  const messages = ["one", "two", "three"]
  const frames = messages.map((message) => clientFrame(Opcode.Text, message))

  it.live("sent right behind the request, in its segment, are received in order", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const peer = yield* connectRaw(port)
      peer.write(upgradeRequest("/"), ...frames)
      assert.strictEqual((yield* peer.head).status, 101)
      yield* peer.untilFrames(3)
      assert.deepStrictEqual(peer.texts(), messages)
    }))

  it.live("sent behind the request while the route still thinks are received in order", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.andThen(Effect.sleep(60), echo)))
      const peer = yield* connectRaw(port)
      const [one, two, three] = frames
      peer.write(upgradeRequest("/"), one!.subarray(0, 3))
      yield* Effect.sleep(10)
      peer.write(one!.subarray(3), two!.subarray(0, 7))
      yield* Effect.sleep(10)
      peer.write(two!.subarray(7))
      assert.strictEqual((yield* peer.head).status, 101)
      peer.write(three!)
      yield* peer.untilFrames(3)
      assert.deepStrictEqual(peer.texts(), messages)
    }))

  it.live("one at a time", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const peer = yield* connectRaw(port)
      for (const character of upgradeRequest("/")) {
        peer.write(character)
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      yield* peer.head
      for (const byte of frames[2]!) {
        peer.write(Uint8Array.of(byte))
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      yield* peer.untilFrames(1)
      assert.deepStrictEqual(peer.texts(), ["three"])
    }))
})

describe("clients that go away or do not come to the point", () => {
  const sleepy = Effect.fn(function*(state: { interrupted: number; accepted: number }) {
    return yield* serve(HttpRouter.add(
      "GET",
      "/",
      Effect.sleep(60_000).pipe(
        Effect.andThen(echo),
        Effect.onInterrupt(() => Effect.sync(() => state.interrupted++))
      )
    ))
  })

  for (
    const [what, leave] of [
      ["a reset", (peer: RawPeer) => peer.reset()],
      ["a FIN", (peer: RawPeer) => peer.socket.end()]
    ] as const
  ) {
    it.live(`${what} before accept interrupts the route and leaves nothing behind`, () =>
      Effect.gen(function*() {
        const state = { interrupted: 0, accepted: 0 }
        const { node, port } = yield* sleepy(state)
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/"))
        yield* Effect.sleep(30)
        leave(peer)
        yield* until("the interruption", () => state.interrupted === 1)
        yield* settles("no open socket", openSockets(node), (count) => count === 0)
      }))
  }

  it.live("a FIN and bytes behind the request before accept: the route finds both", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const { port } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        Effect.andThen(Effect.sleep(40), WebSocketServer.handle((ws) =>
          Effect.forever(Effect.tap(ws.receive, (message) => Effect.sync(() => seen.push(message)))).pipe(
            Effect.tapError((error) => Effect.sync(() => seen.push(error._tag)))
          )
        ))
      ))
      const peer = yield* connectRaw(port)
      peer.write(upgradeRequest("/"))
      yield* Effect.sleep(10)
      peer.write(clientFrame(Opcode.Text, "late"))
      peer.socket.end()
      yield* until("the end", () => seen.length === 2)
      assert.deepStrictEqual(seen, ["late", "IOError"])
    }))

  it.live("an upgrade behind an answered request on the same connection is accepted", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(Echo, HttpRouter.add("GET", "/a", HttpServerResponse.text("a"))))
      const peer = yield* connectRaw(port)
      peer.write("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.strictEqual((yield* peer.head).status, 200)
      yield* until("the body", () => peer.bytes.length === 1)
      peer.bytes = peer.bytes.subarray(1)
      peer.write(upgradeRequest("/"))
      assert.strictEqual((yield* peer.head).status, 101)
      yield* echoes(peer)
    }))

  it.live("floods of headers, nonsense and half heads leave the server up", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const floods = [
        upgradeRequest("/", Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`X-${i}`, "y"]))),
        upgradeRequest("/", { "X-Long": "y".repeat(200_000) }),
        upgradeRequest("/", { "Sec-WebSocket-Extensions": `a${";b".repeat(3000)}` }),
        upgradeRequest("/", { "Sec-WebSocket-Protocol": "\u00ff\u0001" }),
        "\u0000\u0001\u0002nonsense\r\n\r\n",
        "GET",
        "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
      ]
      const peers = yield* Effect.forEach(floods, (flood) =>
        Effect.gen(function*() {
          const peer = yield* connectRaw(port)
          peer.write(flood)
          return peer
        }))
      yield* Effect.sleep(50)
      for (const peer of peers) {
        if (peer.text !== "") assert.match(peer.text, /^HTTP\/1\.1 4\d\d /)
      }
      yield* echoes(yield* connectUpgraded(port))
    }))

  it.live("a head that does not come in time is cut, and an open WebSocket is not", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { headersTimeout: 200 })
      const open = yield* connectUpgraded(port)
      const slow = yield* connectRaw(port)
      slow.write(upgradeRequest("/").slice(0, 40))
      const began = Date.now()
      yield* slow.untilEnded
      assert.isBelow(Date.now() - began, 2_500)
      if (slow.text !== "") assert.match(slow.text, /^HTTP\/1\.1 408 /)
      yield* echoes(open)
    }))
})
