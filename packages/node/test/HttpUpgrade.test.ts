/** `HttpServerRequest.upgrade`, `upgradeWith` and `upgradeChannel` on our connections. */
import { assert, describe, it } from "@effect/vitest"
import { CloseCode, Opcode, Origin, WebSocketError, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer } from "@effect-ws/node"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import { createServer } from "node:http"
import {
  clientFrame,
  closeBody,
  connectRaw,
  connectUpgraded,
  type RawPeer,
  until,
  upgradeRequest
} from "./support/RawPeer.ts"
import { keepLogs, type Logged, portOf, serve, type ServeOptions } from "./support/Serve.ts"

type Upgrade = (request: HttpServerRequest.HttpServerRequest) => ReturnType<
  HttpServerRequest.HttpServerRequest["upgradeWith"]
>

/** An echo as programs write it today, against `Socket` alone. */
const echo = (upgrade: Upgrade = (request) => request.upgrade, onEnd: (error: Socket.SocketError) => void = () => {}) =>
  Effect.gen(function*() {
    const socket = yield* upgrade(yield* HttpServerRequest.HttpServerRequest)
    const writer = yield* socket.writer
    const { pull } = yield* socket.reader
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
  }).pipe(
    Effect.catchReason("SocketError", "SocketCloseError", (_, error) => Effect.sync(() => onEnd(error))),
    Effect.scoped,
    Effect.as(HttpServerResponse.empty())
  )

const route = (upgrade?: Upgrade, options?: ServeOptions) => serve(HttpRouter.add("GET", "/", echo(upgrade)), options)

const echoes = Effect.fn(function*(peer: RawPeer, text = "hello") {
  peer.write(clientFrame(Opcode.Text, text))
  yield* peer.untilFrames(1)
  assert.deepStrictEqual(peer.texts(), [text])
})

const causeOf = (error: Socket.SocketError | undefined) =>
  error !== undefined && "cause" in error.reason ? error.reason.cause : undefined

const answerTo = Effect.fn(function*(port: number, request: string) {
  const peer = yield* connectRaw(port)
  peer.write(request)
  return { ...yield* peer.head, peer }
})

describe("upgrade", () => {
  it.live("gives a Socket that reads, writes and tells the Close", () =>
    Effect.gen(function*() {
      const ends: Array<Socket.SocketError> = []
      const { port } = yield* serve(HttpRouter.add("GET", "/", echo(undefined, (error) => ends.push(error))))
      const peer = yield* connectUpgraded(port)
      yield* echoes(peer)
      peer.write(clientFrame(Opcode.Close, new Uint8Array([...closeBody(4001), ...new TextEncoder().encode("enough")])))
      yield* peer.untilEnded
      yield* until("the end", () => ends.length > 0)
      assert.deepInclude(ends[0].reason, { _tag: "SocketCloseError", code: 4001, closeReason: "enough" })
    }))

  it.live("a Close without a code is 1005, a cut 1006 with its cause", () =>
    Effect.gen(function*() {
      const ends: Array<Socket.SocketError> = []
      const { port } = yield* serve(HttpRouter.add("GET", "/", echo(undefined, (error) => ends.push(error))))
      const polite = yield* connectUpgraded(port)
      polite.write(clientFrame(Opcode.Close, ""))
      yield* until("the first end", () => ends.length > 0)
      const rude = yield* connectUpgraded(port)
      rude.reset()
      yield* until("the second end", () => ends.length > 1)
      assert.deepInclude(ends[0].reason, { _tag: "SocketCloseError", code: 1005 })
      assert.deepInclude(ends[1].reason, { _tag: "SocketCloseError", code: CloseCode.AbnormalClosure })
      assert.deepInclude(ends[1].cause, { _tag: "IOError", reason: "Reset" })
    }))

  it.live("a violation is a read error with the rule in it", () =>
    Effect.gen(function*() {
      let seen: Socket.SocketError | undefined
      const { port } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        Effect.catchTag(echo(), "SocketError", (error) => {
          seen = error
          return Effect.succeed(HttpServerResponse.empty())
        })
      ))
      const peer = yield* connectUpgraded(port)
      peer.write(Uint8Array.of(0x83, 0x80, 0, 0, 0, 0))
      yield* peer.untilEnded
      yield* until("the error", () => seen !== undefined)
      assert.strictEqual(seen?.reason._tag, "SocketReadError")
      assert.deepInclude(causeOf(seen), { _tag: "ProtocolError", code: 1002 })
    }))

  it.live("survives modify", () =>
    Effect.gen(function*() {
      const { port } = yield* route((request) =>
        request.modify({ url: "/a", headers: request.headers }).modify({ url: "/b" }).upgrade
      )
      yield* echoes(yield* connectUpgraded(port))
    }))

  it.live("the modified request keeps its changes", () =>
    Effect.gen(function*() {
      let url = ""
      const { port } = yield* route((request) => {
        const modified = request.modify({ url: "/changed" })
        url = modified.url
        return modified.upgrade
      })
      yield* echoes(yield* connectUpgraded(port))
      assert.strictEqual(url, "/changed")
    }))

  it.live("speaks the first subprotocol that was offered", () =>
    Effect.gen(function*() {
      const { port } = yield* route()
      const answer = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "b, a" }))
      assert.strictEqual(answer.headers["sec-websocket-protocol"], "b")
    }))

  it.live("middleware outside sees 101, and the log no error", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const seen: Array<number> = []
      const layer = HttpServer.serve(echo(), (httpEffect) =>
        HttpMiddleware.logger(Effect.tap(httpEffect, ({ status }) => Effect.sync(() => seen.push(status))))).pipe(
          Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
          Layer.provideMerge(keepLogs(logs))
        )
      const port = portOf(Context.get(yield* Layer.build(layer), HttpServer.HttpServer))
      const peer = yield* connectUpgraded(port)
      peer.write(clientFrame(Opcode.Close, closeBody(1000)))
      yield* until("a log line", () => logs.some(({ text }) => text.includes("Sent HTTP response")))
      assert.deepStrictEqual(seen, [101])
      assert.isFalse(logs.some(({ level }) => level === "Error" || level === "Warn"), JSON.stringify(logs))
    }))

  it.live("a request that asks for no upgrade cannot be upgraded, as ever", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        Effect.catchTag(echo(), "HttpServerError", (error) =>
          Effect.succeed(HttpServerResponse.text(error.reason._tag, { status: 418 })))
      ))
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
      assert.strictEqual(response.status, 418)
    }))

  it.live("a handler that never upgrades answers as usual", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/", HttpServerResponse.text("no", { status: 403 })))
      assert.strictEqual((yield* answerTo(port, upgradeRequest("/"))).status, 403)
    }))
})

describe("a refused handshake", () => {
  it.live("answers with the status that fits, also where the handler dies of it", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(
        HttpRouter.add("GET", "/", echo()),
        HttpRouter.add("GET", "/dies", Effect.orDie(echo()))
      ))
      for (const path of ["/", "/dies"]) {
        const version = yield* answerTo(port, upgradeRequest(path, { "Sec-WebSocket-Version": "12" }))
        assert.strictEqual(version.status, 426)
        assert.strictEqual(version.headers["sec-websocket-version"], "13")
        assert.strictEqual((yield* answerTo(port, upgradeRequest(path, { Origin: "http://evil.example" }))).status, 403)
        yield* version.peer.untilClosed
      }
    }))

  it.live("the server's options decide", () =>
    Effect.gen(function*() {
      const { port } = yield* route(undefined, { upgrade: { origin: Origin.unsafeAllowAny, headers: { "x-from": "server" } } })
      const answer = yield* answerTo(port, upgradeRequest("/", { Origin: "http://other.example" }))
      assert.strictEqual(answer.status, 101)
      assert.strictEqual(answer.headers["x-from"], "server")
    }))

  it.live("fails the reader with SocketOpenError", () =>
    Effect.gen(function*() {
      let seen: Socket.SocketError | undefined
      const { port } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        Effect.catchTag(echo(), "SocketError", (error) => {
          seen = error
          return Effect.succeed(HttpServerResponse.empty({ status: 418 }))
        })
      ))
      const answer = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Version": "12" }))
      assert.strictEqual(answer.status, 418)
      assert.deepInclude(seen?.reason, { _tag: "SocketOpenError", kind: "Unknown" })
      assert.deepInclude(causeOf(seen), { _tag: "HandshakeError", status: 426 })
    }))
})

describe("a refusal with repeated headers", () => {
  const headers: ReadonlyArray<readonly [string, string]> = [
    ["set-cookie", "sid=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT"],
    ["set-cookie", "sid=2; Path=/other"],
    ["www-authenticate", "Negotiate"],
    ["www-authenticate", "Basic realm=\"x\""]
  ]
  const refusal = new WebSocketError.HandshakeError({ reason: "Application", section: "-", detail: "who?", status: 401, headers, body: "" })
  const repeated = (lines: ReadonlyArray<string>) => lines.filter((line) => /^(set-cookie|www-authenticate):/i.test(line))
  const expected = headers.map(([name, value]) => `${name}: ${value}`)

  it.live("keeps each line on the wire, by `authorize` and by a route", () =>
    Effect.gen(function*() {
      const authorized = yield* route(undefined, { upgrade: { authorize: () => Effect.fail(refusal) } })
      const refusing = yield* serve(HttpRouter.add("GET", "/", Effect.succeed(WebSocketServer.toResponse(refusal))))
      for (const { port } of [authorized, refusing]) {
        const answer = yield* answerTo(port, upgradeRequest("/"))
        assert.strictEqual(answer.status, 401)
        assert.sameMembers(repeated(answer.lines), expected)
      }
    }))

  it.live("and behind middleware that adds headers and cookies of its own", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Layer.mergeAll(
        HttpRouter.add("GET", "/", Effect.succeed(WebSocketServer.toResponse(refusal))),
        HttpRouter.middleware((handled) =>
          Effect.map(handled, (response) =>
            HttpServerResponse.setHeader(HttpServerResponse.setCookieUnsafe(response, "lb", "3"), "x-more", "1")), { global: true })
      ))
      const answer = yield* answerTo(port, upgradeRequest("/"))
      assert.sameMembers(repeated(answer.lines), [...expected, "set-cookie: lb=3"])
      assert.strictEqual(answer.headers["x-more"], "1")
    }))

  it.live("one that cannot be sent is answered with 500", () =>
    Effect.gen(function*() {
      const broken = new WebSocketError.HandshakeError({ ...refusal, headers: [["x-a", "b\r\nx-c: d"], ["x-a", "e"]] })
      const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.succeed(WebSocketServer.toResponse(broken))))
      const answer = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(answer.status, 500)
      assert.notProperty(answer.headers, "x-c")
    }))
})

describe("upgradeWith", () => {
  it.live("sends its headers with the 101, survives modify and chooses a subprotocol", () =>
    Effect.gen(function*() {
      const { port } = yield* route((request) =>
        request.modify({ url: "/x" }).upgradeWith({ headers: { "Set-Cookie": "a=1", "sec-websocket-protocol": "a" } })
      )
      const answer = yield* answerTo(port, upgradeRequest("/", { "Sec-WebSocket-Protocol": "b, a" }))
      assert.strictEqual(answer.status, 101)
      assert.strictEqual(answer.headers["set-cookie"], "a=1")
      assert.strictEqual(answer.headers["sec-websocket-protocol"], "a")
      yield* echoes(answer.peer)
    }))

  it.live("repeated headers stay lines of their own", () =>
    Effect.gen(function*() {
      const { port } = yield* route(
        (request) => request.upgradeWith({ headers: { "Set-Cookie": ["a=1", "b=2; Path=/"] } }),
        { upgrade: { headers: [["Set-Cookie", "c=3"], ["Set-Cookie", "d=4"]] } }
      )
      const answer = yield* answerTo(port, upgradeRequest("/"))
      assert.strictEqual(answer.status, 101)
      const cookies = answer.lines.filter((line) => line.startsWith("Set-Cookie"))
      assert.deepStrictEqual(cookies, ["Set-Cookie: c=3", "Set-Cookie: d=4", "Set-Cookie: a=1", "Set-Cookie: b=2; Path=/"])
    }))

  for (const headers of [{ "sec-websocket-accept": "x" }, { "x-a": "b\r\nx-c: d" }, { "x a": "b" }]) {
    it.live(`refuses ${JSON.stringify(headers)}`, () =>
      Effect.gen(function*() {
        let tag = ""
        const { port } = yield* serve(HttpRouter.add(
          "GET",
          "/",
          Effect.catchTag(echo((request) => request.upgradeWith({ headers })), "HttpServerError", (error) => {
            tag = error.reason._tag
            return Effect.succeed(HttpServerResponse.empty({ status: 500 }))
          })
        ))
        assert.strictEqual((yield* answerTo(port, upgradeRequest("/"))).status, 500)
        assert.strictEqual(tag, "InternalError")
      }))
  }
})

describe("upgradeChannel", () => {
  it.live("reads and writes, and a CloseEvent closes with its code and reason", () =>
    Effect.gen(function*() {
      let ended = ""
      const { port } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        Effect.gen(function*() {
          yield* Channel.fromArray([
            ["first", new Uint8Array([1, 2])] as const,
            ["last", new Socket.CloseEvent(4002, "bye"), "never"] as const
          ]).pipe(
            Channel.pipeTo(HttpServerRequest.upgradeChannel()),
            Channel.runDrain,
            Effect.catchReason("SocketError", "SocketCloseError", (reason) => {
              ended = reason.message
              return Effect.void
            })
          )
          return HttpServerResponse.empty()
        }).pipe(Effect.scoped)
      ))
      const peer = yield* connectUpgraded(port)
      const frames = yield* peer.untilFrames(4)
      assert.deepStrictEqual(frames.map(({ opcode }) => opcode), [
        Opcode.Text,
        Opcode.Binary,
        Opcode.Text,
        Opcode.Close
      ])
      assert.deepStrictEqual([...frames[3].data], [...closeBody(4002), ...new TextEncoder().encode("bye")])
      peer.write(clientFrame(Opcode.Close, closeBody(4002)))
      yield* until("the end", () => ended === "4002")
    }))
})
