/**
 * A request for a WebSocket, as a handler sees it and as it is answered where it does not
 * become one: held against the stock server, whose requests are made by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketServer } from "@effect-ws/core"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as Headers from "effect/http/Headers"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { createServer, IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import type { Readable } from "node:stream"
import { AcceptedRequest } from "../../src/upgrade/AcceptedRequest.ts"
import type { UpgradeRequest } from "../../src/upgrade/UpgradeRequest.ts"
import { clientFrame, closeBody, connectRaw, connectUpgraded, until, upgradeRequest } from "../support/RawPeer.ts"
import { keepLogs, type Logged, serve } from "../support/Serve.ts"
import { listen, portOf, sets } from "../support/Stock.ts"

type Request = HttpServerRequest.HttpServerRequest
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

const answers = Effect.fn(function*(handler: Handler, request: string, layer: Layer.Layer<never> = Layer.empty) {
  const results = []
  for (const { NodeHttpServer } of [sets.ours, sets.stock]) {
    const served = HttpServer.serve(handler).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, listen)),
      Layer.provideMerge(layer)
    )
    const port = portOf(Context.get(yield* Layer.build(served), HttpServer.HttpServer))
    const peer = yield* connectRaw(port)
    peer.write(request)
    const { headers: { date: _, ...headers }, status } = yield* peer.head
    yield* until("the end", () => peer.ended || peer.closed)
    results.push({ status, headers, body: peer.text })
  }
  const [ours, stock] = results
  return { ours: ours!, stock: stock! }
})

const describeRequest = Effect.fnUntraced(function*(request: Request) {
  const message = NodeHttpServerRequest.toIncomingMessage(request)
  return {
    url: request.url,
    originalUrl: request.originalUrl,
    method: request.method,
    headers: request.headers,
    cookies: request.cookies,
    protocol: request.protocol ?? null,
    remoteAddress: Option.getOrNull(request.remoteAddress),
    peerAddress: Option.getOrNull(request.peerAddress),
    inspected: request.toJSON(),
    text: String(request),
    rawUrl: message.url,
    body: yield* request.text,
    json: yield* request.json,
    form: yield* request.urlParamsBody,
    bytes: (yield* request.arrayBuffer).byteLength,
    chunks: yield* Stream.runCount(request.stream)
  }
})

const asJson = (value: unknown) => HttpServerResponse.text(JSON.stringify(value, null, 1))

const targets = ["/", "/a/b?x=1&y=%20", "/a?token=secret", "http://other.example:81/p?q=1", "*", "//double/slash"]

describe("the request of an upgrade is what the stock server's is", () => {
  for (const target of targets) {
    it.live(target, () =>
      Effect.gen(function*() {
        const request = upgradeRequest(target, { Cookie: "a=1; b=2", "X-Twice": "1" })
        const { ours, stock } = yield* answers(
          Effect.map(Effect.flatMap(HttpServerRequest.HttpServerRequest, describeRequest), asJson),
          request
        )
        const portless = (text: string) => text.replaceAll(/127\.0\.0\.1:\d+/g, "host")
        assert.strictEqual(stock.status, 200)
        assert.strictEqual(portless(ours.body), portless(stock.body))
      }))
  }

  it.live("also when it is modified, and modified again", () =>
    Effect.gen(function*() {
      const changes: ReadonlyArray<Parameters<Request["modify"]>[0]> = [
        { url: "/changed" },
        { headers: Headers.fromInput({ host: "h", cookie: "c=3" }) },
        { remoteAddress: Option.some("1.2.3.4"), protocol: "https" },
        { peerAddress: Option.some("5.6.7.8") },
        {}
      ]
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        let changed = request
        const all: Array<Request> = []
        for (const change of changes) {
          changed = changed.modify(change)
          all.push(changed)
        }
        return Effect.map(Effect.forEach(all, describeRequest), asJson)
      })
      const { ours, stock } = yield* answers(handler, upgradeRequest("/before"))
      assert.include(ours.body, "5.6.7.8")
      assert.strictEqual(ours.body, stock.body)
    }))

  // Node reads no body of such a request, so only what someone puts there by hand is one.
  for (const [what, status] of [["too large", 413], ["no JSON", 400]] as const) {
    it.live(`also where its body is ${what}`, () =>
      Effect.gen(function*() {
        const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          NodeHttpServerRequest.toIncomingMessage(request).unshift("{ no JSON")
          return Effect.map(request.json, asJson)
        })
        const limit = Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(status === 413 ? 4 : 100))
        const { ours, stock } = yield* answers(handler, upgradeRequest("/"), limit)
        assert.strictEqual(stock.status, status)
        assert.strictEqual(ours.status, status)
      }))
  }
})

describe("once it is a connection", () => {
  /** Looks at its request before it is a connection and afterwards. */
  const looking = (before: (request: Request) => void, after: (request: Request) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      let seen: unknown
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        before(request)
        return WebSocketServer.handle(() =>
          Effect.orDie(Effect.map(after(request), (found) => {
            seen = found
          }))
        )
      })
      const { port } = yield* serve(HttpRouter.add("GET", "/a", handler))
      const peer = yield* connectUpgraded(port, "/a?b=c", { Cookie: "a=1", "X-Twice": "1" })
      yield* until("what it saw", () => seen !== undefined)
      peer.reset()
      return seen
    })

  it.live("the request says what it said before", () =>
    Effect.gen(function*() {
      let said = ""
      const saying = ({ cookies, headers, method, originalUrl, remoteAddress, url }: Request) =>
        JSON.stringify({ cookies, headers, method, originalUrl, remoteAddress, url })
      const seen = yield* looking((request) => said = saying(request), (request) => Effect.succeed(saying(request)))
      assert.strictEqual(seen, said)
      assert.include(said, "127.0.0.1")
      assert.include(said, "x-twice")
    }))

  it.live("also where nobody looked at it before", () =>
    Effect.gen(function*() {
      const seen = yield* looking(() => {}, (request) => {
        const message = NodeHttpServerRequest.toIncomingMessage(request)
        assert.instanceOf(message, AcceptedRequest)
        assert.strictEqual(NodeHttpServerRequest.toIncomingMessage(request), message)
        return Effect.succeed([
          message.url,
          message.method,
          message.httpVersion,
          message.headers["x-twice"],
          message.socket.remoteAddress,
          request.cookies["a"],
          request.method,
          request.url,
          Option.isSome(request.remoteAddress)
        ])
      })
      assert.deepStrictEqual(seen, ["/a?b=c", "GET", "1.1", "1", "127.0.0.1", "1", "GET", "/a?b=c", true])
    }))

  const key = Symbol("of someone's own")
  const marks: Readonly<Record<string, (message: object) => void>> = {
    "a property": (message) => Reflect.set(message, "user", "u"),
    "a symbol": (message) => Reflect.set(message, key, "u"),
    "a listener": (message) => (message as Readable).on("close", () => {})
  }
  for (const [what, mark] of Object.entries(marks)) {
    it.live(`Node's own message is kept where another listener of the server has left ${what} with it`, () =>
      Effect.gen(function*() {
        const { promise, resolve } = Promise.withResolvers<object>()
        let marked: object | undefined
        const handler = WebSocketServer.handle(() =>
          Effect.map(HttpServerRequest.HttpServerRequest, (request) => resolve(request.source)))
        const evaluate = () =>
          createServer().on("upgrade", (message) => {
            marked = message
            mark(message)
          })
        const { port } = yield* serve(HttpRouter.add("GET", "/", handler), { evaluate })
        yield* connectUpgraded(port)
        assert.strictEqual(yield* Effect.promise(() => promise), marked)
      }))

    it.live(`Node's own message is kept where a listener that calls ours has left ${what} with it`, () =>
      Effect.gen(function*() {
        const { promise, resolve } = Promise.withResolvers<object>()
        let marked: object | undefined
        const handler = WebSocketServer.handle(() =>
          Effect.map(HttpServerRequest.HttpServerRequest, (request) => resolve(request.source)))
        const listener = yield* sets.ours.NodeHttpServer.makeUpgradeHandler(handler, { scope: yield* Effect.scope })
        const server = createServer().on("upgrade", (message, socket, head) => {
          marked = message
          mark(message)
          listener(message, socket, head)
        })
        yield* Effect.acquireRelease(
          Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
          () => Effect.sync(() => server.close())
        )
        yield* connectUpgraded((server.address() as AddressInfo).port)
        assert.strictEqual(yield* Effect.promise(() => promise), marked)
      }))

    it.live(`Node's own message is kept where a handler has left ${what} with it`, () =>
      Effect.gen(function*() {
        let marked: unknown
        const seen = yield* looking((request) => {
          marked = request.source
          mark(request.source)
        }, (request) => Effect.succeed(request.source))
        assert.strictEqual(seen, marked)
      }))
  }

  it.live("Node's own message is kept where its response was asked for", () =>
    Effect.gen(function*() {
      let message: unknown
      const seen = yield* looking((request) => {
        message = NodeHttpServerRequest.toServerResponse(request).req
      }, (request) => Effect.succeed(request.source))
      assert.strictEqual(seen, message)
    }))

  it.live("Node's own message is kept where it is of a class of someone's own", () =>
    Effect.gen(function*() {
      class Own extends IncomingMessage {
        readonly extra = "kept"
      }
      const { promise, resolve } = Promise.withResolvers<object>()
      const handler = WebSocketServer.handle(() =>
        Effect.map(HttpServerRequest.HttpServerRequest, (request) => resolve(request.source)))
      const evaluate = () => createServer({ IncomingMessage: Own })
      const { port } = yield* serve(HttpRouter.add("GET", "/", handler), { evaluate })
      yield* connectUpgraded(port)
      assert.instanceOf(yield* Effect.promise(() => promise), Own)
    }))

  it.live("a response that is asked for after the accept has ended, and writes nothing", () =>
    Effect.gen(function*() {
      const seen = yield* looking(() => {}, (request) => {
        const response = NodeHttpServerRequest.toServerResponse(request)
        return Effect.succeed([response.writableEnded, response.socket, response.req as object === request.source])
      })
      assert.deepStrictEqual(seen, [true, null, true])
    }))

  it.live("log lines and spans need no message of Node's", () =>
    Effect.gen(function*() {
      const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
      const logs: Array<Logged> = []
      let seen: Request | undefined
      const options = { observability: { handlerLogs: true } }
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        seen = request
        const serving = Effect.andThen(Effect.log("serving", request.headers["x-twice"], request.cookies), Effect.never)
        return WebSocketServer.handle((ws) => Effect.raceFirst(serving, ws.closed), options)
      })
      const served = HttpServer.serve(handler, HttpMiddleware.logger).pipe(
        Layer.provideMerge(sets.ours.NodeHttpServer.layer(createServer, listen)),
        Layer.provideMerge(Layer.merge(keepLogs(logs), Layer.succeed(Tracer.Tracer, tracer)))
      )
      const peer = yield* connectUpgraded(portOf(Context.get(yield* Layer.build(served), HttpServer.HttpServer)), "/a?b=c")
      yield* until("the handler's own line", () => logs.some(({ text }) => text.includes("serving")))
      const { pending } = seen as UpgradeRequest
      assert.instanceOf(pending.head, AcceptedRequest)
      peer.write(clientFrame(Opcode.Close, closeBody(1000)))
      yield* until("the last line", () => logs.some(({ text }) => text.includes("Sent HTTP response")))
      assert.instanceOf(pending.head, AcceptedRequest)
    }))

  it.live("a modified request knows its headers and address without Node's message", () =>
    Effect.gen(function*() {
      const seen = yield* looking(() => {}, (request) => {
        const { headers, originalUrl } = request.modify({ url: "/changed" })
        const isCopy = (request as UpgradeRequest).pending.head instanceof AcceptedRequest
        return Effect.succeed([headers["x-twice"], new URL(originalUrl).pathname, isCopy])
      })
      assert.deepStrictEqual(seen, ["1", "/a", true])
    }))

  it.live("its body is empty and ends", () =>
    Effect.gen(function*() {
      const read = (request: Request) =>
        Effect.gen(function*() {
          const multipart = yield* Effect.flip(Stream.runDrain(request.multipartStream))
          return [yield* request.text, yield* Stream.runCount(request.stream), multipart._tag]
        })
      assert.deepStrictEqual(yield* looking(() => {}, read), ["", 0, "MultipartError"])
    }))
})

describe("an answer that is no upgrade is written as the stock server writes it", () => {
  const chunk = new TextEncoder().encode("chunk")
  const responses: Readonly<Record<string, () => HttpServerResponse.HttpServerResponse>> = {
    "no content": () => HttpServerResponse.empty(),
    "a status of its own": () => HttpServerResponse.empty({ status: 418, headers: { "x-a": "b" } }),
    text: () => HttpServerResponse.text("no", { status: 403 }),
    cookies: () => HttpServerResponse.setCookieUnsafe(HttpServerResponse.text("a", { status: 401 }), "a", "1"),
    bytes: () => HttpServerResponse.uint8Array(new Uint8Array([65, 66])),
    "a stream": () => HttpServerResponse.stream(Stream.make(chunk, chunk), { status: 400 }),
    "a form": () => {
      const form = new FormData()
      form.append("a", "b")
      return HttpServerResponse.setBody(HttpServerResponse.empty({ status: 400 }), HttpBody.formData(form))
    },
    "a header that cannot be sent": () => HttpServerResponse.text("a", { headers: { "x-a": "b\r\nc: d" } })
  }
  for (const [name, response] of Object.entries(responses)) {
    it.live(name, () =>
      Effect.gen(function*() {
        const { ours, stock } = yield* answers(Effect.sync(response), upgradeRequest("/"))
        const plain = (text: string) => text.replaceAll(/-{2,}[\w-]+/g, "boundary")
        assert.strictEqual(ours.status, stock.status)
        assert.strictEqual(plain(ours.body), plain(stock.body))
        const { connection: _, ...headers } = ours.headers
        const { connection: __, ...expected } = stock.headers
        const sorted = (fields: object) => plain(JSON.stringify(Object.entries(fields).sort()))
        assert.strictEqual(sorted(headers), sorted(expected))
      }))
  }

  for (const [what, handler] of [["fails", Effect.fail("a")], ["dies", Effect.die("b")]] as const) {
    it.live(`a handler that ${what}`, () =>
      Effect.gen(function*() {
        const { ours, stock } = yield* answers(handler, upgradeRequest("/"))
        assert.strictEqual(ours.status, 500)
        assert.deepStrictEqual([ours.status, ours.body], [stock.status, stock.body])
      }))
  }

  it.live("a handler that writes to Node's own response", () =>
    Effect.gen(function*() {
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
        const response = NodeHttpServerRequest.toServerResponse(request)
        response.statusCode = 299
        response.end("by hand")
        return HttpServerResponse.text("not this")
      })
      const { ours, stock } = yield* answers(handler, upgradeRequest("/"))
      assert.strictEqual(ours.status, 299)
      assert.deepStrictEqual([ours.status, ours.body], [stock.status, stock.body])
    }))

  it.live("what is around the handler is told of a body that dies, and released behind it", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const handler = Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => told.push("scope")))
        const dying = Stream.concat(Stream.make(chunk), Stream.die("bad"))
        return HttpServerResponse.stream(Stream.ensuring(dying, Effect.sync(() => told.push("stream"))))
      })
      for (const { NodeHttpServer } of [sets.ours, sets.stock]) {
        const served = HttpServer.serve(handler, (app) =>
          Effect.onExit(app, (exit) => Effect.sync(() => told.push(exit._tag)))).pipe(
            Layer.provideMerge(NodeHttpServer.layer(createServer, listen))
          )
        const port = portOf(Context.get(yield* Layer.build(served), HttpServer.HttpServer))
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/"))
        yield* peer.untilClosed
        yield* until("the end of all", () => told.length % 3 === 0 && told.length > 0)
      }
      assert.deepStrictEqual(told.slice(0, 3), told.slice(3))
      assert.deepStrictEqual(told.slice(0, 3), ["stream", "Failure", "scope"])
    }))

  it.live("is traced once", () =>
    Effect.gen(function*() {
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      yield* answers(
        Effect.succeed(HttpServerResponse.text("a")),
        upgradeRequest("/"),
        Layer.succeed(Tracer.Tracer, tracer)
      )
      assert.deepStrictEqual(spans, ["GET", "GET"], "one by each server")
    }))
})
