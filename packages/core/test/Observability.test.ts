import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import { Connection } from "../src/connection/Connection.ts"
import { meterOf } from "../src/connection/Meter.ts"
import * as Message from "../src/Message.ts"
import * as Observability from "../src/Observability.ts"
import * as Opcode from "../src/Opcode.ts"
import type { Transform } from "../src/MessageExtension.ts"
import type { WebSocket } from "../src/WebSocket.ts"
import { concat } from "./support/FakeTransport.ts"
import { attributesOf } from "../src/connection/Telemetry.ts"
import { bytes, make, type Options, start, turn } from "./support/Harness.ts"
import { fresh, keepLogs, keepSpans, type Line } from "./support/Observed.ts"

const { server } = Observability.metrics

const count = (metric: Metric.Counter<number>) => Effect.map(Metric.value(metric), ({ count }) => count)
const level = (metric: Metric.Gauge<number>) => Effect.map(Metric.value(metric), ({ value }) => value)
const times = (metric: Metric.Frequency) =>
  Effect.map(Metric.value(metric), ({ occurrences }) => Object.fromEntries(occurrences))

/** Closes as a peer does that sends 1000 and takes the answer. */
const closedByPeer = Effect.fnUntraced(function*(open: Effect.Success<ReturnType<typeof make>>) {
  open.transport.push(open.close(1000))
  yield* turn
  open.transport.closes()
  yield* Scope.close(open.scope, Exit.void)
})

const observerOf = (ws: WebSocket) => {
  assert.instanceOf(ws, Connection)
  return ws.link.observer
}

// Halves what it is given: what goes in is twice what goes out, and the other way round.
const halving = (): Transform => {
  let pushed: Uint8Array | undefined
  return {
    name: "x-half",
    rsv: 4,
    encoder: { sliceSize: 1024, begin: () => 4, push: (bytes) => bytes.slice(0, bytes.length / 2) },
    decoder: {
      begin: () => {},
      push: (bytes) => {
        pushed = bytes
      },
      next: () => {
        const doubled = pushed === undefined ? undefined : new Uint8Array([...pushed, ...pushed, ...pushed, ...pushed])
        pushed = undefined
        return doubled
      }
    },
    close: () => {}
  }
}

describe("stats", () => {
  it.effect("count messages and bytes, what waits, and go on to be readable at the end", () =>
    Effect.gen(function*() {
      const open = yield* make({ outboundHighWaterMark: 1000 })
      const { ws } = open
      assert.deepInclude(yield* ws.stats, { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 })
      const frames = [open.text("hello"), open.binary(300), open.text("spl", false), open.more("it"), open.ping("x")]
      open.transport.push(...frames)
      const received = frames.reduce((sum, frame) => sum + frame.length, 0)
      const waiting = yield* ws.stats
      assert.deepInclude(waiting, { messagesReceived: 3, bytesReceived: received, messagesSent: 0, bytesSent: 3 })
      assert.isAtLeast(waiting.bytesUnread, 5 + 300 + 5)
      yield* ws.receive
      yield* ws.receive
      yield* ws.receive
      assert.strictEqual((yield* ws.stats).bytesUnread, 0)

      yield* ws.sendAll(["a", bytes(1, 2)])
      open.transport.holding = true
      yield* ws.flush.pipe(start)
      assert.deepInclude(yield* ws.stats, { messagesSent: 2, bytesSent: 3 + 3 + 4, bytesUnsent: 3 + 4 })
      open.transport.release()
      assert.deepInclude(yield* ws.stats, { bytesUnsent: 0, compression: undefined, roundTrip: undefined })

      yield* TestClock.adjust("7 seconds")
      const closing = yield* start(ws.close(1000))
      open.transport.push(open.close(1000))
      open.transport.closes()
      yield* Fiber.join(closing)
      yield* TestClock.adjust("1 minute")
      const last = yield* ws.stats
      assert.deepInclude(last, { messagesReceived: 3, messagesSent: 2, bytesSent: 3 + 3 + 4 + 4 })
      assert.strictEqual(Duration.toSeconds(last.age), 7)
    }))

  it.effect("count a streamed message once, and nothing that comes behind our Close", () =>
    Effect.gen(function*() {
      const open = yield* make()
      yield* start(open.ws.receiveStream)
      open.transport.push(open.text("one ", false), open.more("message"))
      assert.strictEqual((yield* open.ws.stats).messagesReceived, 1)
      yield* start(open.ws.close(1000))
      open.transport.push(open.text("too late"))
      const stats = yield* open.ws.stats
      assert.strictEqual(stats.messagesReceived, 1)
      assert.strictEqual(stats.messagesSent, 0)
    }))

  it.effect("count a prepared message once for each connection, shared there or not", () =>
    Effect.gen(function*() {
      const prepared = Message.prepare("to all")
      for (const role of ["server", "client"] as const) {
        const open = yield* make({ role })
        yield* open.ws.send(prepared)
        yield* open.ws.flush
        const { bytesSent, messagesSent } = yield* open.ws.stats
        assert.deepStrictEqual([messagesSent, bytesSent], [1, role === "server" ? 2 + 6 : 2 + 4 + 6])
      }
    }))

  it.effect("count a message that is sent in fragments once", () =>
    Effect.gen(function*() {
      const open = yield* make({ extension: halving })
      yield* open.ws.sendBinary(new Uint8Array(4096))
      assert.strictEqual((yield* open.ws.stats).messagesSent, 1)
    }))
})

describe("metrics", () => {
  it.effect("are the sum of the connections that are open and of those that were", () =>
    Effect.gen(function*() {
      const a = yield* make()
      const b = yield* make()
      assert.strictEqual(yield* level(server.activeConnections), 2)
      a.transport.push(a.text("hello"))
      b.transport.push(b.text("hello"), b.text("again"))
      yield* a.ws.send("ok")
      yield* a.ws.flush
      assert.strictEqual(yield* count(server.messagesReceived), 3)
      assert.strictEqual(yield* count(server.bytesReceived), 3 * (6 + 5))
      assert.strictEqual(yield* count(server.messagesSent), 1)
      assert.strictEqual(yield* count(server.bytesSent), 4)
      assert.isAtLeast(yield* level(server.bytesUnread), 15)
      assert.strictEqual(yield* level(server.bytesUnsent), 0)

      yield* a.ws.receive
      yield* TestClock.adjust("3 seconds")
      yield* closedByPeer(a)
      assert.strictEqual(yield* level(server.activeConnections), 1)
      assert.strictEqual(yield* count(server.connections), 2)
      assert.strictEqual(yield* count(server.messagesReceived), 3)
      assert.deepStrictEqual(yield* times(server.closeCodes), { 1000: 1 })
      const durations = yield* Metric.value(server.connectionDuration)
      assert.deepInclude(durations, { count: 1, sum: 3 })

      b.transport.resets()
      yield* Scope.close(b.scope, Exit.void)
      assert.strictEqual(yield* level(server.activeConnections), 0)
      assert.strictEqual(yield* level(server.bytesUnread), 0)
      assert.strictEqual(yield* count(server.messagesReceived), 3)
      assert.deepStrictEqual(yield* times(server.closeCodes), { 1000: 1, 1006: 1 })
      // The other role is another series.
      assert.strictEqual(yield* count(Observability.metrics.client.connections), 0)
    }).pipe(Effect.provide(fresh)))

  it.effect("stand in a snapshot, as exporters take it", () =>
    Effect.gen(function*() {
      const open = yield* make({ role: "client" })
      open.transport.push(open.text("hello"))
      const found = (yield* Metric.snapshot).find((one) =>
        one.id === "websocket.messages" && one.attributes?.["network.io.direction"] === "receive"
      )
      assert.deepInclude(found, {
        type: "Counter",
        attributes: { "websocket.role": "client", "network.io.direction": "receive" },
        state: { count: 1, incremental: true }
      })
    }).pipe(Effect.provide(fresh)))

  it.effect("count what arrived before the end and is decoded behind it", () =>
    Effect.gen(function*() {
      const open = yield* make({ maxMessageSize: 4, inboundHighWaterMark: 1 })
      open.transport.push(concat([open.binary(10), open.text("b")]))
      open.transport.resets()
      assert.strictEqual(yield* count(server.messagesReceived), 0)
      assert.strictEqual(yield* level(server.activeConnections), 0)
      yield* open.ws.receiveStream
      yield* open.ws.receive
      assert.strictEqual(yield* count(server.messagesReceived), 2)
      yield* Scope.close(open.scope, Exit.void)
      assert.strictEqual(yield* count(server.messagesReceived), 2)
    }).pipe(Effect.provide(fresh)))

  it.effect("agree whether there are few connections or so many that they are added up once a snapshot", () =>
    Effect.gen(function*() {
      const opens = yield* Effect.forEach(Array.from({ length: 1001 }), () => make({ keepAlive: false }))
      for (const open of opens) open.transport.push(open.text("x"))
      assert.strictEqual(yield* count(server.messagesReceived), 1001)
      yield* turn
      opens[0].transport.push(opens[0].text("x"))
      assert.strictEqual(yield* count(server.messagesReceived), 1002)
    }).pipe(Effect.provide(fresh)))

  it.effect("know the round trips of ping and of the keepalive, measured by the Pong of its Ping only", () =>
    Effect.gen(function*() {
      const open = yield* make({ keepAlive: { interval: "10 seconds", timeout: "10 seconds" } })
      const ping = yield* start(open.ws.ping(bytes(1)))
      yield* TestClock.adjust(250)
      open.transport.push(open.pong(bytes(1)))
      yield* turn
      assert.isDefined(ping.pollUnsafe())
      assert.deepInclude(yield* Metric.value(server.roundTrip), { count: 1, sum: 0.25 })

      open.sent()
      yield* TestClock.adjust("10 seconds")
      const kept = open.sent().find(({ opcode }) => opcode === Opcode.Ping)
      assert.isDefined(kept)
      open.transport.push(open.pong("not that one"))
      assert.strictEqual((yield* Metric.value(server.roundTrip)).count, 1)
      yield* TestClock.adjust(750)
      open.transport.push(open.pong(kept.data))
      const trips = yield* Metric.value(server.roundTrip)
      assert.strictEqual(trips.count, 2)
      assert.closeTo(trips.sum, 0.25 + 1, 0.001)
      // Again is another Ping's.
      open.transport.push(open.pong(kept.data))
      assert.strictEqual((yield* Metric.value(server.roundTrip)).count, 2)
      assert.deepStrictEqual((yield* open.ws.stats).roundTrip, Duration.seconds(1))
    }).pipe(Effect.provide(fresh)))

  it.effect("sort times into three steps of each power of ten", () =>
    Effect.gen(function*() {
      for (const role of ["client", "server"] as const) {
        const { connectionDuration, roundTrip } = Observability.metrics[role]
        const bounds = (state: Metric.HistogramState) => state.buckets.map(([bound]) => bound).filter(Number.isFinite)
        assert.deepStrictEqual(
          bounds(yield* Metric.value(roundTrip)),
          [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
        )
        assert.deepStrictEqual(
          bounds(yield* Metric.value(connectionDuration)),
          [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000]
        )
      }
    }).pipe(Effect.provide(fresh)))

  it.effect("know how much compression saves, each way", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* level(server.compressionSent), 0, "nothing is registered yet")
      const open = yield* make({ extension: halving })
      assert.strictEqual(yield* level(server.compressionSent), 1)
      yield* open.ws.sendBinary(new Uint8Array(1000))
      assert.strictEqual(yield* level(server.compressionSent), 2)
      // FIN, RSV1, binary; masked with zeros; 100 bytes.
      open.transport.push(new Uint8Array([0xc2, 0x80 | 100, 0, 0, 0, 0, ...new Uint8Array(100)]))
      assert.strictEqual((yield* open.ws.receive).length, 400)
      assert.strictEqual(yield* level(server.compressionReceived), 4)
      const expected = { received: { compressed: 100, uncompressed: 400 }, sent: { compressed: 500, uncompressed: 1000 } }
      assert.deepStrictEqual((yield* open.ws.stats).compression, expected)
      yield* closedByPeer(open)
      assert.strictEqual(yield* level(server.compressionReceived), 4)
    }).pipe(Effect.provide(fresh)))

  it.effect("bound how many close codes peers can make them count", () =>
    Effect.gen(function*() {
      for (let code = 4000; code < 4100; code++) {
        const open = yield* make()
        open.transport.push(open.close(code))
        open.transport.closes()
        yield* Scope.close(open.scope, Exit.void)
      }
      const codes = yield* times(server.closeCodes)
      assert.strictEqual(Object.keys(codes).length, 65)
      assert.strictEqual(codes["4000"], 1)
      assert.strictEqual(codes["other"], 36)
    }).pipe(Effect.provide(fresh)))

  it.effect("carry the attributes of where the connection was made", () =>
    Effect.gen(function*() {
      const at = (route: string) => Effect.provideService(Metric.CurrentMetricAttributes, { route })
      yield* make().pipe(at("/a"))
      yield* make().pipe(at("/a"))
      yield* make().pipe(at("/b"))
      assert.strictEqual(yield* level(server.activeConnections).pipe(at("/a")), 2)
      assert.strictEqual(yield* level(server.activeConnections).pipe(at("/b")), 1)
      assert.strictEqual(yield* level(server.activeConnections), 0)
    }).pipe(Effect.provide(fresh)))

  it.effect("are the same for the same attributes, in whatever order", () =>
    Effect.gen(function*() {
      const meterWith = (attributes: Readonly<Record<string, string>>) =>
        Effect.map(Effect.context<never>(), (context) => meterOf("server", context)).pipe(
          Effect.provideService(Metric.CurrentMetricAttributes, attributes)
        )
      const meters = yield* Effect.forEach([{ a: "1", b: "2", c: "3" }, { c: "3", b: "2", a: "1" }, { b: "2", a: "1", c: "3" }], meterWith)
      assert.strictEqual(new Set(meters).size, 1)
      assert.notStrictEqual(yield* meterWith({ a: "1", b: "2" }), meters[0])
    }).pipe(Effect.provide(fresh)))

  it.effect("count no connection that a tracer kept from being opened", () =>
    Effect.gen(function*() {
      const dying = Tracer.make({
        span: () => {
          throw new Error("of the tracer")
        }
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(make().pipe(Effect.withTracer(dying)))))
      assert.strictEqual(yield* count(server.connections), 0)
      assert.strictEqual(yield* level(server.activeConnections), 0)
    }).pipe(Effect.provide(fresh)))

  it.effect("are not touched where they are turned off", () =>
    Effect.gen(function*() {
      const open = yield* make({ observability: { metrics: false } })
      open.transport.push(open.text("hello"))
      assert.deepStrictEqual(yield* Metric.snapshot, [])
      assert.isUndefined(observerOf(open.ws))
      assert.strictEqual((yield* open.ws.stats).messagesReceived, 1)
    }).pipe(Effect.provide(fresh)))
})

describe("span", () => {
  const traced = (spans: Array<Tracer.NativeSpan>) => Effect.provide([fresh, keepSpans(spans)])

  it.effect("lasts as long as the connection, in a trace of its own, linked to the span around", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      const open = yield* make({ subprotocol: "chat.v1", attributes: () => ({ "url.path": "/chat" }) }).pipe(
        Effect.withSpan("request")
      )
      const [request, span] = spans
      assert.strictEqual(span.name, "websocket.server")
      assert.strictEqual(span.kind, "server")
      assert.deepStrictEqual(span.parent._tag, "None")
      assert.deepStrictEqual(span.links.map((link) => link.span), [request])
      assert.strictEqual(request.status._tag, "Ended")
      assert.strictEqual(span.status._tag, "Started")
      assert.deepStrictEqual(Object.fromEntries(span.attributes), {
        "websocket.role": "server",
        "websocket.connection.id": open.ws.id,
        "url.path": "/chat",
        "websocket.subprotocol": "chat.v1",
        "network.protocol.name": "websocket"
      })
      open.transport.push(open.text("hello"))
      yield* TestClock.adjust("2 seconds")
      yield* start(open.ws.close(1001))
      open.transport.push(open.close(1001))
      open.transport.closes()
      yield* Scope.close(open.scope, Exit.void)
      assert.strictEqual(span.status._tag, "Ended")
      if (span.status._tag !== "Ended") return
      assert.strictEqual(span.status.endTime - span.status.startTime, 2_000_000_000n)
      assert.isTrue(Exit.isSuccess(span.status.exit))
      assert.deepInclude(Object.fromEntries(span.attributes), {
        "websocket.close.code": 1001,
        "websocket.close.initiator": "local",
        "websocket.messages.received": 1,
        "websocket.messages.sent": 0,
        "websocket.bytes.received": 11 + 8,
        "websocket.bytes.sent": 4
      })
      assert.isFalse(span.attributes.has("error.type"))
      assert.strictEqual(spans.length, 2)
    }).pipe(traced(spans))
  })

  it.effect("fails with what broke the connection", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      const reset = yield* make()
      reset.transport.resets()
      const broke = yield* make()
      broke.transport.push(broke.text("bad", false), broke.text("worse"))
      broke.transport.closes()
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("error.type")), [
        "Reset",
        "ContinuationExpected"
      ])
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("websocket.close.code")), [1006, 1002])
      for (const { status } of spans) assert.isTrue(status._tag === "Ended" && Exit.isFailure(status.exit))
    }).pipe(traced(spans))
  })

  it.effect("fails with what broke the connection first", () => {
    const spans: Array<Tracer.NativeSpan> = []
    return Effect.gen(function*() {
      const { ws } = yield* make({ closeTimeout: "1 second" })
      yield* start(ws.close(1000))
      yield* TestClock.adjust("1 second")
      yield* ws.closeAs({ code: 1006, reason: "", initiator: "remote", clean: false })
      yield* turn
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("error.type")), ["TimedOut"])
    }).pipe(traced(spans))
  })

  it.effect("is not made where nobody wants it", () => {
    const spans: Array<Tracer.NativeSpan> = []
    const none = Effect.fnUntraced(function*(options: Options = {}) {
      const before = spans.length
      yield* make({ ...options, observability: { metrics: false, ...options.observability } })
      return spans.slice(before).filter(({ name }) => name.startsWith("websocket.")).length === 0
    })
    return Effect.gen(function*() {
      assert.isFalse(yield* none(), "wanted")
      assert.isTrue(yield* none({ observability: { span: false } }), "turned off")
      assert.isTrue(yield* Effect.withSpan(none(), "around", { sampled: false }), "not sampled")
      assert.isTrue(yield* Effect.withTracerEnabled(none(), false), "tracing is off")
      // Without a tracer nothing is held.
      const open = yield* make({ observability: { metrics: false } }).pipe(
        Effect.provideService(Tracer.Tracer, Tracer.nativeTracer)
      )
      assert.isUndefined(observerOf(open.ws))
    }).pipe(traced(spans))
  })
})

describe("logs", () => {
  it.effect("tell of the opening and of the end, annotated", () => {
    const lines: Array<Line> = []
    return Effect.gen(function*() {
      const open = yield* make({ role: "client", attributes: () => ({ "server.address": "feed.example" }) })
      const id = { "websocket.role": "client", "websocket.connection.id": open.ws.id, "server.address": "feed.example" }
      assert.deepStrictEqual(lines, [{ level: "Debug", message: "WebSocket opened", annotations: id, cause: "Cause([])" }])
      open.transport.resets()
      assert.deepInclude(lines[1], {
        level: "Debug",
        message: "WebSocket closed",
        annotations: {
          ...id,
          "websocket.close.code": 1006,
          "websocket.close.initiator": "remote",
          "error.type": "Reset"
        }
      })
      assert.include(lines[1].cause, "the peer reset the connection")
    }).pipe(Effect.provide([fresh, keepLogs(lines)]))
  })

  it.effect("have the level that is asked for, or are turned off: for all, or for one", () => {
    const lines: Array<Line> = []
    return Effect.gen(function*() {
      yield* make()
      yield* make({ observability: { logLevel: "Trace" } })
      yield* make({ observability: { logs: false } })
      assert.deepStrictEqual(lines.map(({ level }) => level), ["Info"])
      yield* make({ observability: { logs: false } }).pipe(Effect.provide(Observability.layer({ logs: true })))
      yield* make({ observability: { logs: true } }).pipe(Effect.provide(Observability.layer({ logs: false })))
      assert.deepStrictEqual(lines.map(({ level }) => level), ["Info", "Debug"])
    }).pipe(Effect.provide([fresh, keepLogs(lines), Observability.layer({ logLevel: "Info" })]))
  })

  it.effect("are judged by the level of each connection", () => {
    const lines: Array<Line> = []
    return Effect.gen(function*() {
      for (const logLevel of ["Info", "Error", "Debug", "Warn"] as const) yield* make({ observability: { logLevel } })
      assert.deepStrictEqual(lines.map(({ level }) => level), ["Error", "Warn"])
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Warn"), Effect.provide([fresh, keepLogs(lines)]))
  })

  it.effect("leave nothing behind where nobody would see them", () =>
    Effect.gen(function*() {
      const open = yield* make({ observability: { metrics: false } })
      assert.isUndefined(observerOf(open.ws))
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Info")))
})

describe("attributes", () => {
  it("of a URL are its address, scheme and path, and not its query", () => {
    const of = (url: string | URL) => attributesOf(url)
    const at = (address: string, port: number, scheme: string, path: string) => ({
      "server.address": address,
      "server.port": port,
      "url.scheme": scheme,
      "url.path": path
    })
    assert.deepStrictEqual(of("ws://feed.example"), at("feed.example", 80, "ws", "/"))
    assert.deepStrictEqual(of("http://feed.example/a?token=1"), at("feed.example", 80, "ws", "/a"))
    assert.deepStrictEqual(of("wss://feed.example/a/b"), at("feed.example", 443, "wss", "/a/b"))
    assert.deepStrictEqual(of(new URL("https://feed.example:8443/")), at("feed.example", 8443, "wss", "/"))
    assert.deepStrictEqual(of("/ticks?token=1"), { "url.path": "/ticks" })
    assert.deepStrictEqual(of("ws://["), {})
  })

  it.effect("that throw are the caller's to see, and leave no transport behind", () => {
    const spans: Array<Tracer.NativeSpan> = []
    const attributes = () => {
      throw new Error("of the user")
    }
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(make({ attributes }))
      assert.isTrue(Exit.hasDies(exit))
      assert.strictEqual(yield* count(server.connections), 0)
    }).pipe(Effect.provide([fresh, keepSpans(spans)]))
  })
})
