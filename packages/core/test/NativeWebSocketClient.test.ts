import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MemoryBudget from "../src/MemoryBudget.ts"
import * as NativeWebSocketClient from "../src/NativeWebSocketClient.ts"
import * as Observability from "../src/Observability.ts"
import * as WebSocketClient from "../src/WebSocketClient.ts"
import { FakeNative } from "./support/FakeNative.ts"
import { done, isPending, start, turn } from "./support/Harness.ts"
import { global } from "./support/PlatformGlobal.ts"

/** A registry of its own. */
const fresh = Layer.sync(Metric.MetricRegistry, () => new Map())

const dialling = Effect.fnUntraced(function*(
  options: WebSocketClient.ConnectOptions = {},
  layer: Layer.Layer<WebSocketClient.Connector> = NativeWebSocketClient.layer,
  url: string | URL = "ws://a.example/x"
) {
  yield* global("WebSocket", FakeNative)
  const scope = yield* Scope.make()
  const fiber = yield* start(
    WebSocketClient.connect(url, options).pipe(Scope.provide(scope), Effect.provide(layer), Effect.result)
  )
  return { fiber, native: FakeNative.made.at(-1)!, scope }
})

const opened = Effect.fnUntraced(function*(options: WebSocketClient.ConnectOptions = {}) {
  const { fiber, native, scope } = yield* dialling(options)
  native.happens("open")
  yield* turn
  const result = yield* done(fiber)
  if (result._tag === "Failure") return yield* result.failure
  return { native, scope, ws: result.success }
})

const refused = Effect.fnUntraced(function*(
  options: WebSocketClient.ConnectOptions,
  layer?: Layer.Layer<WebSocketClient.Connector>,
  url?: string | URL
) {
  const made = FakeNative.made.length
  const { fiber } = yield* dialling(options, layer, url)
  assert.lengthOf(FakeNative.made, made, "nothing is dialled")
  const result = yield* done(fiber)
  if (result._tag === "Success") return assert.fail("it connected")
  return result.failure
})

describe("NativeWebSocketClient", () => {
  describe("opening", () => {
    it.effect("the URL as ws or wss, and the subprotocols; what was negotiated is the connection's", () =>
      Effect.gen(function*() {
        const { fiber, native } = yield* dialling({ subprotocols: ["b", "a"] }, undefined, new URL("https://a.example/x?y"))
        assert.deepStrictEqual(native.arguments, ["wss://a.example/x?y", ["b", "a"]])
        native.protocol = "a"
        native.extensions = "permessage-deflate; client_max_window_bits=15"
        native.happens("open")
        yield* turn
        const result = yield* done(fiber)
        assert.isTrue(result._tag === "Success")
        if (result._tag === "Success") {
          assert.deepInclude(result.success, { subprotocol: "a", extension: "permessage-deflate", responseHeaders: [] })
        }
        assert.strictEqual(native.binaryType, "arraybuffer")
      }))

    it.effect("relative URLs are the page's", () =>
      Effect.gen(function*() {
        yield* global("location", { href: "https://page.example/app/index.html" })
        const { native } = yield* dialling({}, undefined, "feed")
        assert.strictEqual(native.arguments[0], "wss://page.example/app/feed")
      }))

    it.effect("URLs that are none fail typed", () =>
      Effect.gen(function*() {
        const urls = [["/x", "UrlInvalid"], ["ftp://a/", "UrlScheme"], ["ws://a/#", "UrlFragment"], ["ws://u@a/", "UrlCredentials"]] as const
        for (const [url, reason] of urls) {
          assert.deepInclude(yield* refused({}, undefined, url), { _tag: "HandshakeError", reason })
        }
      }))

    it.effect("options that the platform does not have fail typed, and nothing is dialled", () =>
      Effect.gen(function*() {
        const missing: ReadonlyArray<WebSocketClient.ConnectOptions> = [
          { headers: { authorization: "x" } },
          { headers: [["a", "b"]] },
          { compression: false },
          { compression: {} },
          { extensions: [{ name: "x" } as never] },
          { keepAlive: { interval: "1 second" } },
          { observability: { metrics: true } },
          { slowConsumer: "dropOldest" }
        ]
        for (const options of missing) {
          const error = yield* refused(options)
          assert.deepInclude(error, { _tag: "HandshakeError", reason: "OptionUnsupported" })
          assert.include(error.message, `has no ${Object.keys(options)[0]};`)
        }
        // What says nothing is not missed.
        const { native } = yield* opened({ headers: {}, compression: true, keepAlive: { interval: undefined }, observability: {}, slowConsumer: "suspend" })
        assert.deepStrictEqual(native.arguments, ["ws://a.example/x", []])
      }))

    it.effect("headers go to a constructor that takes them, a heartbeat has the times of keepAlive, and a slow peer its policy", () =>
      Effect.gen(function*() {
        const layer = NativeWebSocketClient.layerOptions({
          headers: true,
          heartbeat: { message: "ping", isAnswer: (message) => message === "pong" }
        })
        const { fiber, native } = yield* dialling(
          { headers: [["a", "1"], ["b", "2"], ["a", "3"]], subprotocols: "s", keepAlive: { interval: "1 second" }, slowConsumer: "dropNewest" },
          layer
        )
        assert.deepStrictEqual(native.arguments[1], { protocols: ["s"], headers: { a: "1, 3", b: "2" } })
        native.protocol = "s"
        native.happens("open")
        yield* turn
        const result = yield* done(fiber)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(native.sent, ["ping"])
        native.bufferedAmount = 1_000_000
        const { dropped } = Result.getOrThrow(result)
        yield* Result.getOrThrow(result).send("too much")
        assert.deepStrictEqual([native.sent, yield* dropped], [["ping"], 1])
      }))

    it.effect("is observed, and counts in a budget, where the program provides them", () =>
      Effect.gen(function*() {
        const { client } = Observability.metrics
        const counted = Effect.gen(function*() {
          const { count } = yield* Metric.value(client.connections)
          const { occurrences } = yield* Metric.value(client.handshakeFailures)
          return [count, Object.fromEntries(occurrences)]
        })
        const failing = Effect.flip(opened({ subprotocols: "a" }))
        const alone = Effect.gen(function*() {
          const usual = (yield* MemoryBudget.CurrentBudget).bytes
          const { native } = yield* opened()
          native.happens("message", { data: new ArrayBuffer(100_000) })
          yield* failing
          assert.strictEqual((yield* MemoryBudget.CurrentBudget).bytes, usual)
          return yield* counted
        })
        assert.deepStrictEqual(yield* Effect.provide(alone, fresh), [0, {}])
        const both = Effect.gen(function*() {
          const budget = yield* MemoryBudget.CurrentBudget
          const { native, ws } = yield* opened({ observability: { span: false } })
          native.happens("message", { data: new ArrayBuffer(100_000) })
          assert.isAtLeast(budget.bytes, 96 * 1024)
          yield* ws.receive
          assert.strictEqual(budget.bytes, 0)
          yield* failing
          return yield* counted
        })
        const provided = Layer.mergeAll(fresh, Observability.layer({}), MemoryBudget.layer({ bytes: 1_000_000 }))
        assert.deepStrictEqual(yield* Effect.provide(both, provided), [1, { SubprotocolMissing: 1 }])
      }))

    it.effect("none of the subprotocols accepted fails, unless that may be", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(opened({ subprotocols: "a" }))
        assert.deepInclude(error, { _tag: "HandshakeError", reason: "SubprotocolMissing" })
        assert.deepStrictEqual(FakeNative.made.at(-1)!.sent, ["close 4011"], "what was dialled is dropped")
        const { ws } = yield* opened({ subprotocols: "a", requireSubprotocol: false })
        assert.isUndefined(ws.subprotocol)
      }))

    it.effect("what does not open fails with what the platform tells", () =>
      Effect.gen(function*() {
        const { fiber, native } = yield* dialling()
        const cause = new Error("why")
        native.happens("error", { error: cause })
        native.happens("close", { code: 1006 })
        yield* turn
        const result = yield* done(fiber)
        if (result._tag === "Success") return assert.fail("it opened")
        assert.deepInclude(result.failure, { _tag: "IOError", phase: "connect", reason: "Unknown", cause })
        assert.strictEqual(native.listening, 0)
      }))

    it.effect("what the constructor throws is typed", () =>
      Effect.gen(function*() {
        yield* global("WebSocket", function() {
          throw new SyntaxError("the subprotocol 'a' is duplicated")
        })
        const error = yield* Effect.flip(
          Effect.scoped(WebSocketClient.connect("ws://a.example", { subprotocols: ["a", "a"] })).pipe(
            Effect.provide(NativeWebSocketClient.layer)
          )
        )
        assert.deepInclude(error, { _tag: "HandshakeError", reason: "SubprotocolsInvalid" })
      }))

    it.effect("an interruption, and the deadline, close what was dialled", () =>
      Effect.gen(function*() {
        const first = yield* dialling()
        yield* Fiber.interrupt(first.fiber)
        assert.deepStrictEqual(first.native.sent, ["close"])
        const second = yield* dialling({ handshakeTimeout: "3 seconds" })
        yield* TestClock.adjust("4 seconds")
        assert.isFalse(isPending(second.fiber))
        assert.deepInclude((yield* Fiber.join(second.fiber)), { _tag: "Failure" })
        assert.deepStrictEqual(second.native.sent, ["close"])
      }))
  })

  describe("once it is open", () => {
    it.effect("messages that come before the connection is there are not lost", () =>
      Effect.gen(function*() {
        const { fiber, native } = yield* dialling()
        native.happens("open")
        native.happens("message", { data: "a" })
        native.happens("message", { data: Uint8Array.of(1, 2).buffer })
        native.happens("close", { code: 4000, reason: "bye" })
        yield* turn
        const result = yield* done(fiber)
        if (result._tag === "Failure") return assert.fail("it did not open")
        assert.deepStrictEqual(yield* Stream.runCollect(result.success.messages), ["a", Uint8Array.of(1, 2)])
        assert.deepInclude(yield* result.success.closed, { code: 4000, reason: "bye", clean: true })
        assert.strictEqual(native.listening, 0)
      }))

    it.effect("both kinds of messages are sent, and the Close behind them", () =>
      Effect.gen(function*() {
        const { native, ws } = yield* opened()
        yield* ws.sendAll(["a", Uint8Array.of(1, 2)])
        const closing = yield* start(ws.close(1011, "why"))
        assert.deepStrictEqual(native.sent, ["a", "binary 2", "close 4011 why"])
        native.happens("close", { code: 4011, reason: "" })
        yield* turn
        assert.deepInclude(yield* done(closing), { code: 4011, reason: "why", clean: true })
      }))

    it.effect("a Close without a code is 1005; 1006 is the loss of the connection", () =>
      Effect.gen(function*() {
        const first = yield* opened()
        first.native.happens("close", { code: 1005 })
        assert.deepInclude(yield* first.ws.closed, { code: 1005, clean: true })
        const second = yield* opened()
        second.native.happens("error", { message: "reset" })
        second.native.happens("close", { code: 1006 })
        assert.deepInclude(yield* second.ws.closed, { code: 1006, clean: false })
        assert.deepInclude(yield* Effect.flip(second.ws.receive), { _tag: "IOError", reason: "EndOfStream", cause: "reset" })
      }))

    it.effect("a lone surrogate is replaced before the platform sees it", () =>
      Effect.gen(function*() {
        const { native, ws } = yield* opened()
        yield* ws.send("a\uD800b🦊")
        assert.deepStrictEqual(native.sent, ["a\uFFFDb🦊"])
      }))

    it.effect("a WebSocketStream that is dropped behind its Close is closed with the code of that", () =>
      Effect.gen(function*() {
        const closes: Array<unknown> = []
        yield* global("WebSocketStream", function() {
          return {
            opened: Promise.resolve({
              readable: { getReader: () => ({ read: async () => ({ done: false, value: "much too long" }) }) },
              writable: { getWriter: () => ({ write: async () => {} }) },
              protocol: "",
              extensions: ""
            }),
            closed: new Promise(() => {}),
            close: (info: unknown) => closes.push(info)
          }
        })
        const { fiber, scope } = yield* dialling({ maxMessageSize: 3 }, NativeWebSocketClient.layerStream())
        while (isPending(fiber)) yield* Effect.promise(() => Promise.resolve())
        const result = yield* done(fiber)
        if (result._tag === "Failure") return assert.fail("it did not open")
        while (closes.length === 0) yield* Effect.promise(() => Promise.resolve())
        assert.deepInclude(yield* Effect.flip(result.success.receive), { _tag: "ProtocolError", code: 1009 })
        assert.deepInclude(closes[0], { closeCode: 4009 })
        yield* Scope.close(scope, Exit.void)
      }))

    it.effect("nothing is sent once the platform knows of the end", () =>
      Effect.gen(function*() {
        const { native, ws } = yield* opened()
        native.readyState = 2
        const sending = yield* start(Effect.flip(ws.send("a")))
        native.happens("close", { code: 1000 })
        yield* turn
        assert.strictEqual((yield* done(sending))._tag, "ConnectionClosed")
        assert.deepStrictEqual(native.sent, [])
      }))

    it.effect("what is no message breaks the connection", () =>
      Effect.gen(function*() {
        const { native, ws } = yield* opened()
        native.happens("message", { data: {} })
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", reason: "Unknown" })
        assert.deepStrictEqual(native.sent, ["close 4011"])
      }))
  })
})
