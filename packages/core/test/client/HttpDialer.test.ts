import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { portable } from "../../src/Primitives.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import type { HandshakeError } from "../../src/WebSocketError.ts"

type Respond = (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const connect = (
  respond: Respond,
  change: (client: HttpClient.HttpClient) => HttpClient.HttpClient = (client) => client,
  url = "wss://a.example/b",
  options: WebSocketClient.ConnectOptions = {}
) => {
  const client = change(HttpClient.make(respond))
  const layer = WebSocketClient.layerHttpClient.pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
  return Effect.scoped(Effect.provide(WebSocketClient.connect(url, options), layer))
}

const answering = (body: BodyInit | null, init: ResponseInit): Respond => (request) =>
  Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body, init)))

const refused = (effect: Effect.Effect<unknown, unknown>) => Effect.map(Effect.flip(effect), (error) => error as HandshakeError)

describe("dialling through an HttpClient", () => {
  it.effect("asks for an upgrade at an http URL, each header once", () =>
    Effect.gen(function*() {
      let asked: HttpClientRequest.HttpClientRequest | undefined
      const headers = [["X-A", "1"], ["x-a", "2"]] as const
      yield* Effect.flip(connect((request) => {
        asked = request
        return answering("no", { status: 403 })(request)
      }, undefined, undefined, { headers }))
      assert.strictEqual(asked?.url, "https://a.example/b")
      assert.strictEqual(asked?.headers["x-a"], "1, 2")
      assert.strictEqual(asked?.headers["upgrade"], "websocket")
    }))

  it.effect("a base URL may be one of ws or wss", () =>
    Effect.gen(function*() {
      const urls: Array<string> = []
      const base = (client: HttpClient.HttpClient) =>
        HttpClient.mapRequest(client, (request) => ({ ...request, url: `WS://base.example${request.url}` }))
      yield* Effect.flip(connect((request) => {
        urls.push(request.url)
        return answering(null, { status: 404 })(request)
      }, base, "/ticks"))
      assert.deepStrictEqual(urls, ["http://base.example/ticks"])
    }))

  it.effect("a refusal has its body, 8 KiB at most", () =>
    Effect.gen(function*() {
      const init = { status: 403, headers: { "x-why": "because" } }
      assert.deepInclude(yield* refused(connect(answering("no", init))), { status: 403, body: "no" })
      assert.lengthOf((yield* refused(connect(answering("x".repeat(100_000), init)))).body, 8192)
      const filtered = connect(answering("no", init), HttpClient.filterStatusOk)
      assert.deepInclude(yield* refused(filtered), { reason: "StatusNot101", status: 403, body: "no" })
    }))

  it.effect("a body without an end is waited for two seconds, and one that breaks is none", () =>
    Effect.gen(function*() {
      const endless = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("start")) })
      const fiber = yield* Effect.forkChild(refused(connect(answering(endless, { status: 503 }))))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(fiber)).body, "start")
      const broken = new ReadableStream({ start: (controller) => controller.error(new Error("oops")) })
      assert.strictEqual((yield* refused(connect(answering(broken, { status: 503 })))).body, "")
    }))

  it.effect("what the client fails with is typed", () =>
    Effect.gen(function*() {
      const failing = (cause: unknown): Respond => (request) =>
        Effect.fail(new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }))
      const unreachable = Object.assign(new Error("no"), { code: "ECONNREFUSED" })
      assert.deepInclude(yield* Effect.flip(connect(failing(unreachable))), { _tag: "IOError", reason: "Refused" })
      const invalid: Respond = (request) =>
        Effect.fail(
          new HttpClientError.HttpClientError({ reason: new HttpClientError.InvalidUrlError({ request, cause: new Error("x") }) })
        )
      assert.deepInclude(yield* refused(connect(invalid)), { _tag: "HandshakeError", reason: "UrlInvalid" })
    }))

  it.live("a client over fetch, which cannot upgrade, is named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(WebSocketClient.connect("ws://127.0.0.1:1/")))
      assert.deepInclude(error, { _tag: "IOError", phase: "connect", reason: "Unknown" })
      assert.include(error.message, "is fetch, which cannot upgrade")
    }).pipe(Effect.provide(WebSocketClient.layerHttpClient.pipe(Layer.provide(FetchHttpClient.layer)))))

  it.effect("the Socket behind a 101 is the transport, unless the platform has a faster one", () =>
    Effect.gen(function*() {
      const closed = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })
      const socket = Socket.make({
        reader: Effect.succeed({ pull: Effect.fail(closed), upgrade: Socket.SocketUpgradeError.unsupported }),
        writer: Effect.succeed({ write: () => Effect.void, writeAll: () => Effect.void })
      })
      const switched: Respond = (request) => {
        const web = HttpClientResponse.fromWeb(request, new Response(null, { headers: { upgrade: "websocket" } }))
        return Effect.succeed(
          new Proxy(web, {
            get: (target, key) =>
              key === "status" ? 101 : key === "upgrade" ? Effect.succeed(socket) : Reflect.get(target, key, target)
          })
        )
      }
      // It lacks the accept value, and the rules say so.
      assert.strictEqual((yield* refused(connect(switched))).reason, "ConnectionInvalid")
    }))

  it.effect("reads a refusal in a dialler of your own", () =>
    Effect.gen(function*() {
      const chunks = [Uint8Array.of(0x61), Uint8Array.of(0x62, 0xff)]
      assert.strictEqual(yield* WebSocketClient.readRefusal(Stream.fromIterable(chunks), portable), "ab\ufffd")
    }))
})
