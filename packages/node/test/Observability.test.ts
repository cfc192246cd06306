/** What real connections tell of themselves: spans, log lines, metrics. */
import { assert, describe, it } from "@effect/vitest"
import { Observability, type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import { PrometheusMetrics } from "effect/observability"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { settles, until } from "./support/RawPeer.ts"
import { serve } from "./support/Serve.ts"

const { client, server } = Observability.metrics

interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

interface Seen {
  readonly spans: Array<Tracer.NativeSpan>
  readonly lines: Array<Line>
}

/** A world of its own: registry, tracer, logger. */
const watch = (seen: Seen) =>
  Layer.mergeAll(
    Layer.sync(Metric.MetricRegistry, () => new Map()),
    Layer.succeed(
      Tracer.Tracer,
      Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          seen.spans.push(span)
          return span
        }
      })
    ),
    Logger.layer([
      Logger.make(({ fiber, logLevel, message }) => {
        const annotations = { ...fiber.getRef(References.CurrentLogAnnotations) }
        seen.lines.push({ level: logLevel, message: String(message), annotations })
      })
    ]),
    Layer.succeed(References.MinimumLogLevel, "Debug")
  )

const observed = <A, E, R>(test: (seen: Seen) => Effect.Effect<A, E, R>) => {
  const seen: Seen = { spans: [], lines: [] }
  return test(seen).pipe(Effect.provide(NodeWebSocketClient.layer.pipe(Layer.provideMerge(watch(seen)))))
}

const echo = (ws: WebSocket.WebSocket) =>
  Effect.andThen(Effect.log("serving"), Stream.run(ws.messages, ws.sink))

const route = (options?: WebSocketServer.AcceptOptions) =>
  HttpRouter.add("GET", "/echo", WebSocketServer.handle(echo, options))

const named = (spans: ReadonlyArray<Tracer.NativeSpan>, name: string, kind?: Tracer.SpanKind) => {
  const found = spans.filter((span) => span.name === name && (kind === undefined || span.kind === kind))
  assert.strictEqual(found.length, 1, `${name} among ${spans.map((span) => span.name).join(", ")}`)
  return found[0]
}

const talk = Effect.fnUntraced(function*(url: string, options?: WebSocketClient.ConnectOptions) {
  const ws = yield* WebSocketClient.connect(url, options)
  yield* ws.send("x".repeat(2000))
  yield* ws.receive
  yield* ws.ping()
  return ws.id
}, Effect.scoped)

describe("observability of real connections", () => {
  it.live("a span each side, linked to the request's and to the caller's", () =>
    observed(({ spans }) =>
      Effect.gen(function*() {
        const { port } = yield* serve(route({ selectSubprotocol: ["echo.v1"] }))
        const id = yield* talk(`ws://127.0.0.1:${port}/echo?token=secret`, { subprotocols: "echo.v1" }).pipe(
          Effect.withSpan("caller")
        )
        yield* until("both spans are over", () =>
          spans.filter(({ name, status }) => name.startsWith("websocket.") && status._tag === "Ended").length === 2)
        const ours = named(spans, "websocket.server")
        assert.strictEqual(ours.kind, "server")
        assert.deepStrictEqual(ours.links.map(({ span }) => span), [named(spans, "GET", "server")])
        const { "websocket.connection.id": serverId, ...attributes } = Object.fromEntries(ours.attributes)
        assert.isNumber(serverId)
        assert.notStrictEqual(serverId, id)
        assert.deepInclude(attributes, {
          "websocket.role": "server",
          "network.protocol.name": "websocket",
          "client.address": "127.0.0.1",
          "url.path": "/echo",
          "url.scheme": "ws",
          "websocket.subprotocol": "echo.v1",
          "websocket.close.code": 1000,
          "websocket.close.initiator": "remote",
          "websocket.messages.received": 1,
          "websocket.messages.sent": 1
        })

        const theirs = named(spans, "websocket.client")
        assert.strictEqual(theirs.kind, "client")
        assert.deepStrictEqual(theirs.links.map(({ span }) => span), [named(spans, "caller")])
        assert.deepInclude(Object.fromEntries(theirs.attributes), {
          "websocket.connection.id": id,
          "server.address": "127.0.0.1",
          "server.port": port,
          "url.path": "/echo",
          "websocket.close.initiator": "local"
        })
        for (const span of [ours, theirs]) assert.notInclude(JSON.stringify([...span.attributes]), "secret")
      })
    ))

  it.live("metrics after traffic, with compression, as Prometheus shows them", () =>
    observed(() =>
      Effect.gen(function*() {
        const { port } = yield* serve(route({ compression: { threshold: 0 } }))
        yield* talk(`ws://127.0.0.1:${port}/echo`)
        yield* settles("all is closed", Metric.value(server.activeConnections), ({ value }) => value === 0)
        for (const metrics of [server, client]) {
          assert.strictEqual((yield* Metric.value(metrics.connections)).count, 1)
          assert.strictEqual((yield* Metric.value(metrics.messagesReceived)).count, 1)
          assert.strictEqual((yield* Metric.value(metrics.messagesSent)).count, 1)
          assert.strictEqual((yield* Metric.value(metrics.closeCodes)).occurrences.get("1000"), 1)
          assert.strictEqual((yield* Metric.value(metrics.connectionDuration)).count, 1)
          assert.isAbove((yield* Metric.value(metrics.compressionReceived)).value, 10)
        }
        const { count, sum } = yield* Metric.value(client.roundTrip)
        assert.strictEqual(count, 1)
        assert.isTrue(sum > 0 && sum < 5)
        // What one side sent the other received.
        assert.strictEqual(
          (yield* Metric.value(client.bytesSent)).count,
          (yield* Metric.value(server.bytesReceived)).count
        )
        const page = yield* PrometheusMetrics.format()
        assert.include(page, "# TYPE websocket_messages counter")
        assert.include(page, `websocket_messages{websocket_role="server",network_io_direction="receive"} 1`)
        assert.include(page, `websocket_close_codes{websocket_role="server",key="1000"} 1`)
        assert.include(page, `websocket_ping_duration_count{websocket_role="client"} 1`)
      })
    ))

  it.live("handshakes that are refused, or fail, by reason", () =>
    observed(({ lines }) =>
      Effect.gen(function*() {
        const { node, port } = yield* serve(route({ origin: (origin) => origin === undefined }), { maxConnections: 0 })
        const connect = (path: string, headers?: Record<string, string>) =>
          Effect.scoped(Effect.flip(WebSocketClient.connect(`ws://127.0.0.1:${port}${path}`, { headers })))
        assert.strictEqual((yield* connect("/echo", { origin: "https://evil.example" })).reason, "StatusNot101")
        yield* connect("/echo")
        yield* connect("/nowhere")
        assert.deepStrictEqual(Object.fromEntries((yield* Metric.value(server.handshakeFailures)).occurrences), {
          OriginRefused: 1,
          TooManyConnections: 1
        })
        assert.deepStrictEqual(Object.fromEntries((yield* Metric.value(client.handshakeFailures)).occurrences), {
          StatusNot101: 3
        })
        assert.strictEqual((yield* Metric.value(server.connections)).count, 0)
        const refused = lines.filter(({ message }) => message === "WebSocket refused")
        assert.deepStrictEqual(refused.map(({ annotations }) => annotations["error.type"]), [
          "OriginRefused",
          "TooManyConnections"
        ])
        assert.deepInclude(refused[0].annotations, { "client.address": "127.0.0.1", "url.path": "/echo" })
        assert.isTrue(node.listening)
      })
    ))

  it.live("what a handler logs tells of which connection, if it is asked to", () =>
    observed(({ lines }) =>
      Effect.gen(function*() {
        const { port } = yield* serve(route({ observability: { handlerLogs: true } }))
        yield* talk(`ws://127.0.0.1:${port}/echo?token=secret`)
        yield* until("all is logged", () => lines.filter(({ message }) => message === "WebSocket closed").length === 2)
        const own = lines.find(({ message }) => message === "serving")
        const opened = lines.find(({ annotations, message }) =>
          message === "WebSocket opened" && annotations["websocket.role"] === "server"
        )
        assert.isDefined(own)
        assert.deepInclude(own.annotations, {
          "websocket.role": "server",
          "websocket.connection.id": opened?.annotations["websocket.connection.id"],
          "client.address": "127.0.0.1",
          "url.path": "/echo"
        })
        assert.notInclude(JSON.stringify(lines), "secret")
      })
    ))

  it.live("each is turned off: for a server by a layer, for a connection by an option", () =>
    observed(({ lines, spans }) =>
      Effect.gen(function*() {
        const none = { logs: false, metrics: false, span: false }
        const { port } = yield* serve(route()).pipe(Effect.provide(Observability.layer(none)))
        yield* talk(`ws://127.0.0.1:${port}/echo`, { observability: none })
        const other = yield* serve(route({ observability: none }))
        yield* talk(`ws://127.0.0.1:${other.port}/echo`, { observability: none })
        assert.deepStrictEqual(spans.filter(({ name }) => name.startsWith("websocket.")), [])
        const told = lines.filter(({ annotations }) => "websocket.role" in annotations)
        assert.deepStrictEqual(told, [])
        const found = (yield* Metric.snapshot).filter(({ id }) => id.startsWith("websocket."))
        assert.deepStrictEqual(found, [])
      })
    ))

  it.live("a server's numbers are those of its connections while they are open", () =>
    observed(() =>
      Effect.gen(function*() {
        const seen = yield* Deferred.make<WebSocket.Stats>()
        const { port } = yield* serve(HttpRouter.add(
          "GET",
          "/once",
          WebSocketServer.handle((ws) =>
            Effect.andThen(ws.receive, Effect.flatMap(ws.stats, (stats) => Deferred.succeed(seen, stats)))
          )
        ))
        yield* Effect.gen(function*() {
          const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/once`)
          assert.strictEqual((yield* Metric.value(client.activeConnections)).value, 1)
          yield* ws.send("hello")
          assert.deepInclude(yield* Deferred.await(seen), { messagesReceived: 1, bytesReceived: 6 + 5 })
          yield* ws.closed
        }).pipe(Effect.scoped)
        assert.strictEqual((yield* Metric.value(client.activeConnections)).value, 0)
      })
    ))
})
