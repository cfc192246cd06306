/** Connections over any `Socket`, as channels, and as the WebSocket of browsers: two ends in memory. */
import { assert, describe, it } from "@effect/vitest"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EffectSocket from "../src/EffectSocket.ts"
import * as TestServer from "../src/testing/TestServer.ts"
import type { WebSocket } from "../src/WebSocket.ts"
import * as WebSocketClient from "../src/WebSocketClient.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"

type Chunks = NonEmptyReadonlyArray<Uint8Array | string>
type Wire = Queue.Queue<Chunks, Socket.SocketError>

const closed = (code: number) => new Socket.SocketError({ reason: new Socket.SocketCloseError({ code }) })

const socketOf = (incoming: Wire, outgoing: Wire): Socket.Socket => {
  const writeAll = (chunks: Chunks) => Effect.asVoid(Queue.offer(outgoing, chunks))
  return Socket.make({
    reader: Effect.acquireRelease(
      Effect.succeed({ pull: Queue.take(incoming), upgrade: Socket.SocketUpgradeError.unsupported }),
      () => Queue.fail(incoming, closed(1006))
    ),
    writer: Effect.acquireRelease(
      Effect.succeed<Socket.Writer>({
        write: (chunk) =>
          Socket.isCloseEvent(chunk) ? Effect.asVoid(Queue.fail(outgoing, closed(1000))) : writeAll([chunk]),
        writeAll
      }),
      () => Queue.fail(outgoing, closed(1000))
    )
  })
}

/** Both ends of one connection. */
const pair = Effect.gen(function*() {
  const up: Wire = yield* Queue.unbounded<Chunks, Socket.SocketError>()
  const down: Wire = yield* Queue.unbounded<Chunks, Socket.SocketError>()
  const client = yield* EffectSocket.fromSocket(socketOf(down, up), { role: "client", closeTimeout: 100 })
  const server = yield* EffectSocket.fromSocket(socketOf(up, down), { role: "server", closeTimeout: 100 })
  return { client, server, cut: Effect.andThen(Queue.fail(up, closed(1006)), Queue.fail(down, closed(1006))) }
})

const echo = (ws: WebSocket) => Stream.run(ws.messages, ws.sink)

describe("fromSocket", () => {
  it.live("is a connection: messages, ping, Close with code and reason", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair
      yield* Effect.forkChild(echo(server))
      yield* client.sendAll(["text", new Uint8Array([1, 2, 3])])
      assert.strictEqual(yield* client.receive, "text")
      assert.deepStrictEqual([...yield* client.receive as Effect.Effect<Uint8Array>], [1, 2, 3])
      yield* client.ping()
      yield* client.close(4000, "done")
      const info = yield* server.closed
      assert.deepInclude(info, { code: 4000, reason: "done", clean: true, initiator: "remote" })
    }))

  it.live("a socket that does not open is IOError", () =>
    Effect.gen(function*() {
      const reason = new Socket.SocketOpenError({ kind: "Timeout", cause: "late" })
      const socket = Socket.make({
        reader: Effect.fail(new Socket.SocketError({ reason })),
        writer: Effect.never
      })
      const error = yield* Effect.flip(EffectSocket.fromSocket(socket, { role: "client" }))
      assert.deepInclude(error, { _tag: "IOError", phase: "connect", reason: "TimedOut" })
    }))

  it.live("the end of the socket without Close is IOError", () =>
    Effect.gen(function*() {
      const { client, cut } = yield* pair
      yield* cut
      const error = yield* Effect.flip(Stream.runDrain(client.messages))
      assert.strictEqual(error._tag, "IOError")
    }))
})

describe("toChannel", () => {
  it.live("sends what flows in, and ends where the closing handshake ends it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair
      const serving = yield* Effect.forkChild(Effect.gen(function*() {
        yield* server.send(`got ${String(yield* server.receive)}`)
        yield* server.send(`got ${String(yield* server.receive)}`)
        yield* server.close(1000)
      }))
      const answers = yield* Stream.make("a", "b").pipe(
        Stream.pipeThroughChannel(EffectSocket.toChannel(client)),
        Stream.runCollect
      )
      assert.deepStrictEqual(answers, ["got a", "got b"])
      yield* Fiber.join(serving)
    }))

  it.live("fails with the failure of its input, while it waits", () =>
    Effect.gen(function*() {
      const { client } = yield* pair
      const input = yield* Deferred.make<string, "input">()
      const running = yield* Stream.fromEffect(Deferred.await(input)).pipe(
        Stream.pipeThroughChannel(EffectSocket.toChannel(client)),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Effect.yieldNow
      yield* Deferred.fail(input, "input")
      assert.strictEqual(yield* Effect.flip(Fiber.join(running)), "input")
      // The connection is the caller's.
      yield* client.ping()
    }))

  it.live("a send that fails hides neither what is unread nor how the connection ended", () =>
    Effect.gen(function*() {
      const { client, cut, server } = yield* pair
      const got: Array<unknown> = []
      yield* server.send("first")
      const error = yield* Stream.forever(Stream.fromEffect(Effect.as(Effect.sleep(1), "more"))).pipe(
        Stream.pipeThroughChannel(EffectSocket.toChannel(client)),
        Stream.runForEach((message) =>
          Effect.gen(function*() {
            got.push(message)
            if (message !== "first") return
            yield* server.send("second")
            yield* server.flush
            yield* cut
            yield* Effect.sleep(20)
          })
        ),
        Effect.flip
      )
      assert.deepStrictEqual(got, ["first", "second"])
      assert.strictEqual(error._tag, "IOError")
    }))

  it.live("a peer that takes nothing more ends it with the connection's error", () =>
    Effect.gen(function*() {
      const silent: Wire = yield* Queue.unbounded<Chunks, Socket.SocketError>()
      const { reader } = socketOf(silent, silent)
      const writer = Effect.succeed<Socket.Writer>({ write: () => Effect.never, writeAll: () => Effect.never })
      const options = { role: "client", stalledWriteTimeout: 50, closeTimeout: 50 } as const
      const client = yield* EffectSocket.fromSocket(Socket.make({ reader, writer }), options)
      const error = yield* Stream.forever(Stream.succeed("x".repeat(100_000))).pipe(
        Stream.pipeThroughChannel(EffectSocket.toChannel(client)),
        Stream.runDrain,
        Effect.flip
      )
      assert.deepInclude(error, { _tag: "IOError", phase: "write", reason: "TimedOut" })
    }))
})

describe("toSocket", () => {
  it.live("Effect's own toChannel runs on it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair
      yield* Effect.forkChild(echo(server))
      const socket = yield* EffectSocket.toSocket(Effect.succeed(client))
      const input = Stream.make("a", "b", "c")
      const got = yield* input.pipe(
        Stream.pipeThroughChannel(Socket.toChannelString(socket)),
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(got, ["a", "b", "c"])
    }))

  it.live("acquires a connection for each reader and releases it with its scope", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const acquire = Effect.acquireRelease(
        Effect.map(pair, ({ client }) => {
          log.push("acquired")
          return client
        }),
        () => Effect.sync(() => log.push("released"))
      )
      const socket = yield* EffectSocket.toSocket(acquire)
      for (let i = 0; i < 2; i++) {
        const scope = yield* Scope.make()
        const { pull } = yield* Scope.provide(socket.reader, scope)
        const waiting = yield* Effect.forkChild(Effect.flip(pull))
        yield* Effect.yieldNow
        yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.deepInclude((yield* Fiber.join(waiting)).reason, { _tag: "SocketCloseError", code: 1006 })
        const { write } = yield* Effect.scoped(socket.writer)
        const writing = yield* Effect.forkChild(write("nobody there"))
        yield* Effect.yieldNow
        assert.isUndefined(writing.pollUnsafe())
        yield* Fiber.interrupt(writing)
      }
      assert.deepStrictEqual(log.filter((one) => one === "acquired").length, 2)
    }))
})

describe("toWebSocketLike", () => {
  const listen = (like: Socket.WebSocketLike) => {
    const events: Array<unknown> = []
    like.addEventListener("message", ({ data }) => {
      events.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data)
    })
    like.addEventListener("error", () => events.push("error"))
    like.addEventListener("close", ({ code, reason }) => events.push({ code, reason }))
    return events
  }

  it.live("sends, receives and closes", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair
      yield* Effect.forkChild(echo(server))
      const like = yield* EffectSocket.toWebSocketLike(client)
      assert.strictEqual(like.readyState, 1)
      const events = listen(like)
      const bytes = new Uint8Array([1, 2])
      like.send("text")
      like.send(bytes)
      bytes.fill(0)
      while (events.length < 2) yield* Effect.yieldNow
      assert.deepStrictEqual(events, ["text", [1, 2]])
      assert.throws(() => like.close(1005))
      like.close(4000, "bye")
      assert.strictEqual(like.readyState, 2)
      while (events.length < 3) yield* Effect.yieldNow
      assert.deepStrictEqual(events[2], { code: 4000, reason: "" })
      assert.strictEqual(like.readyState, 3)
    }))

  it.live("what broke the connection comes before its close", () =>
    Effect.gen(function*() {
      const { client, cut, server } = yield* pair
      const events = listen(yield* EffectSocket.toWebSocketLike(client))
      yield* server.send("last")
      while (events.length < 1) yield* Effect.yieldNow
      yield* cut
      while (events.length < 3) yield* Effect.yieldNow
      assert.deepStrictEqual(events, ["last", "error", { code: 1006, reason: "" }])
    }))

  it.live("a listener that was removed, or asked for once, hears no more", () =>
    Effect.gen(function*() {
      const { client, server } = yield* pair
      const like = yield* EffectSocket.toWebSocketLike(client)
      let once = 0
      let removed = 0
      const listener = () => removed++
      like.addEventListener("message", () => once++, { once: true })
      like.addEventListener("message", listener)
      like.removeEventListener("message", listener)
      const events = listen(like)
      yield* server.sendAll(["a", "b"])
      while (events.length < 2) yield* Effect.yieldNow
      assert.deepStrictEqual([once, removed], [1, 0])
    }))
})

describe("makeSocket, layerSocket and layerWebSocketConstructor", () => {
  class Secret extends Context.Service<Secret, string>()("Secret") {}
  class NoToken extends Schema.TaggedError<NoToken>()("NoToken", {}) {}

  /** A server that says which path, token and subprotocol a client came with. */
  const Server = HttpRouter.serve(
    HttpRouter.add("GET", "*", Effect.gen(function*() {
      const { headers, url } = yield* HttpServerRequest.HttpServerRequest
      const said = (ws: WebSocket) => `${url} ${headers["authorization"]} ${ws.subprotocol}`
      return yield* WebSocketServer.handle((ws) => Effect.andThen(ws.send(said(ws)), ws.close(1000)), {
        selectSubprotocol: (offered) => offered[0]
      })
    })),
    { disableLogger: true, disableListenLog: true }
  ).pipe(Layer.provideMerge(TestServer.layer()))

  const options = () => {
    let count = 0
    const next = <A>(f: (count: number) => A) => Effect.sync(() => f(count))
    return {
      url: Effect.sync(() => `ws://a.example/${++count}`),
      headers: Effect.flatMap(Secret, (secret) => next((n) => ({ authorization: `${secret}${n}` }))),
      subprotocols: next((n) => [`p${n}`])
    }
  }

  const first = (socket: Socket.Socket) =>
    Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.map(pull, (chunks) => chunks[0])))

  it.effect("ask for URL, headers and subprotocols anew at each connection", () =>
    Effect.gen(function*() {
      const { url, ...rest } = options()
      const socket = yield* EffectSocket.makeSocket(url, rest)
      for (const expected of ["/1 s1 p1", "/2 s2 p2"]) assert.strictEqual(yield* first(socket), expected)
      const { subprotocols, ...others } = options()
      const layer = EffectSocket.layerSocket("ws://a.example/", { headers: others.headers, protocols: subprotocols })
      assert.strictEqual(yield* Effect.provide(Effect.flatMap(Socket.Socket, first), layer), "/ s0 p0")
    }).pipe(Effect.provide(Server), Effect.provideService(Secret, "s")))

  it.effect("what such an Effect fails with is why the socket did not open", () =>
    Effect.gen(function*() {
      const socket = yield* EffectSocket.makeSocket("ws://a.example/", { headers: Effect.fail(new NoToken()) })
      const { reason } = yield* Effect.flip(first(socket))
      assert.deepInclude(reason, { _tag: "SocketOpenError", kind: "Unknown", cause: new NoToken() })
    }).pipe(Effect.provide(Server)))

  it.effect("so does the constructor, unless a caller gives them", () =>
    Effect.gen(function*() {
      const { headers, subprotocols } = options()
      const layer = EffectSocket.layerWebSocketConstructor({ headers, subprotocols })
      const make = Context.get(yield* Layer.build(layer), Socket.WebSocketConstructor)
      const said = (like: Socket.WebSocketLike) =>
        Effect.callback<unknown>((resume) => {
          like.addEventListener("message", ({ data }) => resume(Effect.succeed(data)))
        })
      assert.strictEqual(yield* said(make("ws://a.example/a")), "/a s0 p0")
      const own = { headers: { authorization: "mine" }, protocols: "q" }
      assert.strictEqual(yield* said(make("ws://a.example/b", own)), "/b mine q")
    }).pipe(Effect.provide(Server), Effect.provideService(Secret, "s")))
})

describe("makeReconnectingSocket", () => {
  it.effect("interrupting a reader that waits for a server that is away returns at once", () =>
    Effect.gen(function*() {
      const connector = WebSocketClient.Connector.of({ open: () => Effect.never })
      const socket = yield* EffectSocket.makeReconnectingSocket("ws://a.example/").pipe(
        Effect.provideService(WebSocketClient.Connector, connector)
      )
      const reading = yield* Effect.forkChild(Effect.scoped(socket.reader))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(reading)
    }))
})
