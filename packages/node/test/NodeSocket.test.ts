/** Our connections as Effect's `Socket`, on real sockets: against `ws`-based stock servers and peers made of bytes. */
import { assert, describe, it } from "@effect/vitest"
import { EffectSocket, Opcode, WebSocketServer } from "@effect-ws/core"
import { NodeSocket, NodeSocketServer, NodeWebSocketClient } from "@effect-ws/node"
import * as StockSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import type { Buffer } from "node:buffer"
import type * as Net from "node:net"
import {
  answering,
  clientFrame,
  closeBody,
  connectUpgraded,
  listenRaw,
  type RawPeer,
  serverFrame,
  settles,
  switching,
  until
} from "./support/RawPeer.ts"
import { measure } from "./support/Effort.ts"
import { serve } from "./support/Serve.ts"

const socketTo = (port: number, options?: EffectSocket.SocketOptions) =>
  Effect.flatMap(
    Layer.build(NodeWebSocketClient.layer),
    (context) => Effect.provide(EffectSocket.makeSocket(`ws://127.0.0.1:${port}/`, { closeTimeout: 50, ...options }), context)
  )

const causeOf = ({ reason }: Socket.SocketError) => "cause" in reason ? reason.cause : undefined

/** A server made of bytes that completes the handshake and then does what the test says. */
const rawServer = (then: (peer: RawPeer, request: string) => ReadonlyArray<Uint8Array | string> = () => []) =>
  answering((request, accept, peer) => [switching(accept), ...then(peer, request)])

const closeReason = (exit: Exit.Exit<unknown, unknown>) => {
  assert.isTrue(Exit.isFailure(exit))
  const error = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  assert.strictEqual(error?._tag, "Fail")
  return error?._tag === "Fail" ? (error.error as Socket.SocketError).reason : undefined
}

describe("reader", () => {
  it.live("pulls batches in order, texts as strings and binary as bytes", () =>
    Effect.gen(function*() {
      const { port } = yield* rawServer(() => [
        serverFrame(Opcode.Text, "a"),
        serverFrame(Opcode.Binary, new Uint8Array([1, 2])),
        serverFrame(Opcode.Text, "")
      ])
      const socket = yield* socketTo(port)
      const { pull } = yield* socket.reader
      const got: Array<string | Uint8Array> = []
      while (got.length < 3) got.push(...yield* pull)
      assert.deepStrictEqual(got.map((one) => typeof one === "string" ? one : [...one]), ["a", [1, 2], ""])
    }))

  it.live("a clean close is an error with code and reason, again and again", () =>
    Effect.gen(function*() {
      const { port } = yield* rawServer(() => [
        serverFrame(Opcode.Text, "a"),
        serverFrame(Opcode.Close, new Uint8Array([...closeBody(1000), 0x6f, 0x6b]))
      ])
      const { pull } = yield* (yield* socketTo(port)).reader
      assert.deepStrictEqual(yield* pull, ["a"])
      const closed = { _tag: "SocketCloseError", code: 1000, closeReason: "ok" } as const
      assert.deepInclude(closeReason(yield* Effect.exit(pull)), closed)
      assert.deepInclude(closeReason(yield* Effect.exit(pull)), closed)
    }))

  it.live("an end without Close is 1006", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer()
      const { pull } = yield* (yield* socketTo(port)).reader
      peers[0].reset()
      assert.deepInclude(closeReason(yield* Effect.exit(pull)), { _tag: "SocketCloseError", code: 1006 })
    }))

  it.live("a pull that waits fails at once when the scope of the reader closes", () =>
    Effect.gen(function*() {
      // A peer that never answers our Close.
      const { port } = yield* rawServer()
      const socket = yield* socketTo(port, { closeTimeout: 1000 })
      const scope = yield* Scope.make()
      const { pull } = yield* Scope.provide(socket.reader, scope)
      const waiting = yield* Effect.forkChild(Effect.exit(pull))
      yield* Effect.sleep(20)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      const exit = yield* Fiber.join(waiting)
      assert.isUndefined(closing.pollUnsafe(), "it waited for the closing handshake")
      assert.deepInclude(closeReason(exit), { _tag: "SocketCloseError", code: 1006 })
      yield* Fiber.join(closing)
      assert.deepInclude(closeReason(yield* Effect.exit(pull)), { _tag: "SocketCloseError", code: 1006 })
    }))

  it.live("an interrupted pull loses nothing", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer()
      const { pull } = yield* (yield* socketTo(port)).reader
      for (let i = 0; i < 20; i++) {
        const waiting = yield* Effect.forkChild(pull)
        yield* Effect.yieldNow
        peers[0].write(serverFrame(Opcode.Text, String(i)))
        if (i % 2 === 0) yield* Effect.yieldNow
        const exit = yield* Effect.andThen(Fiber.interrupt(waiting), Fiber.await(waiting))
        assert.deepStrictEqual(Exit.isSuccess(exit) ? exit.value : yield* pull, [String(i)])
      }
    }))

  it.live("a refused handshake and an absent server are SocketOpenError with what happened", () =>
    Effect.gen(function*() {
      const refusing = yield* answering(() => ["HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?"])
      const refused = yield* Effect.flip(Effect.scoped((yield* socketTo(refusing.port)).reader))
      assert.deepInclude(refused.reason, { _tag: "SocketOpenError", kind: "Unknown" })
      assert.deepInclude(causeOf(refused), { _tag: "HandshakeError", status: 401, body: "who?" })
      const silent = yield* listenRaw(() => {})
      const late = yield* Effect.flip(Effect.scoped((yield* socketTo(silent.port, { handshakeTimeout: 50 })).reader))
      assert.deepInclude(late.reason, { _tag: "SocketOpenError", kind: "Timeout" })
    }))

  it.live("cannot be upgraded to TLS", () =>
    Effect.gen(function*() {
      const { port } = yield* rawServer()
      const { upgrade } = yield* (yield* socketTo(port)).reader
      assert.strictEqual((yield* Effect.flip(upgrade())).reason._tag, "SocketUpgradeError")
    }))
})

describe("writer", () => {
  it.live("waits while disconnected, and after a reconnect writes to the new connection", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer()
      const socket = yield* socketTo(port)
      const { write, writeAll } = yield* socket.writer
      const early = yield* Effect.forkChild(write("early"))
      yield* Effect.sleep(20)
      assert.isUndefined(early.pollUnsafe())
      const connected = yield* Deferred.make<void>()
      let times = 0
      const reading = yield* Effect.gen(function*() {
        const { pull } = yield* socket.reader
        times++
        if (times === 2) yield* Deferred.succeed(connected, undefined)
        return yield* Effect.forever(pull)
      }).pipe(Effect.scoped, Effect.retry(Schedule.spaced(10)), Effect.forkChild)
      yield* Fiber.join(early)
      yield* until("the first write", () => peers[0]?.texts().length === 1)
      assert.deepStrictEqual(peers[0].texts(), ["early"])
      peers[0].reset()
      yield* Deferred.await(connected)
      yield* writeAll(["late", "later"])
      yield* until("the second write", () => peers[1].texts().length === 2)
      assert.deepStrictEqual(peers[1].texts(), ["late", "later"])
      assert.strictEqual(peers.length, 2)
      yield* Fiber.interrupt(reading)
    }))

  it.live("is held back by a peer that does not read", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer((peer) => {
        peer.socket.pause()
        return []
      })
      const socket = yield* socketTo(port)
      const { write } = yield* socket.writer
      const { pull } = yield* socket.reader
      yield* Effect.forkChild(Effect.ignore(pull))
      let sent = 0
      const piece = "x".repeat(64 * 1024)
      yield* Effect.forkChild(Effect.forever(Effect.tap(write(piece), () => Effect.sync(() => sent++))))
      let last = -1
      yield* settles(
        "the flood stops",
        Effect.sync(() => [last, last = sent] as const).pipe(Effect.tap(() => Effect.sleep(100))),
        ([before, now]) => now > 0 && before === now
      )
      assert.isBelow(sent * piece.length, 64 << 20)
      peers[0].socket.removeAllListeners("data")
      peers[0].socket.resume()
      yield* until("it goes on", () => sent > last)
    }))

  it.live("a CloseEvent closes with its code and reason, and the pull tells so", () =>
    Effect.gen(function*() {
      const closed = yield* Deferred.make<{ readonly code: number; readonly reason: string }>()
      const { port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Stream.runDrain(ws.messages).pipe(Effect.andThen(ws.closed), Effect.flatMap((info) => Deferred.succeed(closed, info)))
      )))
      const socket = yield* socketTo(port)
      const { write } = yield* socket.writer
      const { pull } = yield* socket.reader
      yield* write("before")
      yield* write(new Socket.CloseEvent(4000, "done"))
      assert.deepInclude(closeReason(yield* Effect.exit(pull)), { _tag: "SocketCloseError", code: 4000 })
      assert.deepInclude(yield* Deferred.await(closed), { code: 4000, reason: "done" })
    }))

  it.live("a CloseEvent that cannot be sent is a write error, and a write after the end too", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer()
      const socket = yield* socketTo(port)
      const { write } = yield* socket.writer
      const { pull } = yield* socket.reader
      const wrong = yield* Effect.flip(write(new Socket.CloseEvent(1006)))
      assert.strictEqual(wrong.reason._tag, "SocketWriteError")
      peers[0].reset()
      yield* Effect.exit(pull)
      const late = yield* Effect.flip(write("late"))
      assert.strictEqual(late.reason._tag, "SocketWriteError")
      assert.deepInclude(causeOf(late), { _tag: "IOError" })
    }))

  it.live("what the end cuts off is told where it is read", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer((peer) => {
        peer.socket.pause()
        return []
      })
      const socket = yield* socketTo(port)
      const { write } = yield* socket.writer
      const { pull } = yield* socket.reader
      const end = yield* Effect.forkChild(Effect.exit(pull))
      const writing = yield* Effect.forkChild(Effect.forEach(Array(200), () => write("x".repeat(256 * 1024))))
      yield* Effect.sleep(50)
      assert.isUndefined(writing.pollUnsafe())
      peers[0].reset()
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(writing)))
      assert.deepInclude(closeReason(yield* Fiber.join(end)), { _tag: "SocketCloseError", code: 1006 })
    }))
})

describe("the options of a client", () => {
  it.live("headers and subprotocols go out, and the URL may be an effect", () =>
    Effect.gen(function*() {
      let asked = ""
      const { port } = yield* answering((request, accept) => {
        asked = request.toLowerCase()
        return [switching(accept, "Sec-WebSocket-Protocol: p\r\n")]
      })
      const layer = NodeSocket.layerWebSocket(Effect.sync(() => `ws://127.0.0.1:${port}/x`), {
        headers: { authorization: "me" },
        subprotocols: "p",
        closeTimeout: 20
      })
      const socket = Context.get(yield* Layer.build(layer), Socket.Socket)
      yield* Effect.scoped(socket.reader)
      assert.include(asked, "authorization: me")
      assert.include(asked, "sec-websocket-protocol: p")
    }))
})

const serverLayers = {
  ours: NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0 }),
  stock: StockSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0 })
}

const portOf = (server: SocketServer.SocketServer["Service"]) => "port" in server.address ? server.address.port : 0

describe("WebSocketConstructor", () => {
  for (const [name, layer] of Object.entries(serverLayers)) {
    it.live(`Effect's own makeWebSocket runs on it, against the ${name} socket server`, () =>
      Effect.gen(function*() {
        const server = Context.get(yield* Layer.build(layer), SocketServer.SocketServer)
        yield* Effect.forkChild(server.run((socket) =>
          Effect.gen(function*() {
            const { write, writeAll } = yield* socket.writer
            const { pull } = yield* socket.reader
            yield* writeAll(yield* pull)
            yield* write(new Socket.CloseEvent(4003, "served"))
            return yield* Effect.forever(pull)
          }).pipe(Effect.scoped, Effect.ignore)
        ))
        const constructor = yield* Layer.build(NodeSocket.layerWebSocketConstructor)
        const socket = yield* Socket.makeWebSocket(`ws://127.0.0.1:${portOf(server)}/`).pipe(Effect.provide(constructor))
        const { write } = yield* socket.writer
        const { pull } = yield* socket.reader
        yield* write(new Uint8Array([7, 8, 9]))
        const [bytes] = yield* pull
        assert.deepStrictEqual(typeof bytes === "string" ? [] : [...bytes], [7, 8, 9])
        assert.deepInclude(closeReason(yield* Effect.exit(pull)), {
          _tag: "SocketCloseError",
          code: 4003,
          closeReason: "served"
        })
      }))
  }

  it.live("a reader that does not pull holds the peer back", () =>
    Effect.gen(function*() {
      let sent = 0
      const { port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Effect.forever(Effect.tap(ws.send("x".repeat(10_000)), () => Effect.sync(() => sent++))), { closeTimeout: 50 })))
      const constructor = yield* Layer.build(NodeSocket.layerWebSocketConstructor)
      const socket = yield* Socket.makeWebSocket(`ws://127.0.0.1:${port}/`).pipe(Effect.provide(constructor))
      yield* socket.reader
      let last = -1
      yield* settles(
        "the flood stops",
        Effect.sync(() => [last, last = sent] as const).pipe(Effect.tap(() => Effect.sleep(100))),
        ([before, now]) => now > 0 && before === now
      )
    }))

  it.live("a server that is not there is SocketOpenError", () =>
    Effect.gen(function*() {
      const constructor = yield* Layer.build(NodeSocket.layerWebSocketConstructor)
      const refusing = yield* answering(() => ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
      const socket = yield* Socket.makeWebSocket(`ws://127.0.0.1:${refusing.port}/`).pipe(Effect.provide(constructor))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(socket.reader))).reason._tag, "SocketOpenError")
    }))
})

describe("SocketServer", () => {
  for (const [name, layer] of Object.entries(serverLayers)) {
    it.live(`connections before run wait for it, with the services of handlers: ${name}`, () =>
      Effect.gen(function*() {
        const server = Context.get(yield* Layer.build(layer), SocketServer.SocketServer)
        const peer = yield* connectUpgraded(portOf(server), "/some/path")
        peer.write(clientFrame(Opcode.Text, "early"))
        yield* Effect.sleep(20)
        let url: string | undefined
        const running = yield* Effect.forkChild(server.run((socket) =>
          Effect.gen(function*() {
            url = (yield* StockSocketServer.IncomingMessage).url
            const ws = yield* Socket.WebSocket
            assert.strictEqual(ws.readyState, 1)
            ws.send("from the service")
            const { writeAll } = yield* socket.writer
            const { pull } = yield* socket.reader
            return yield* Effect.forever(Effect.flatMap(pull, writeAll))
          }).pipe(Effect.scoped, Effect.ignore) as Effect.Effect<void>
        ))
        yield* until("the echo", () => peer.texts().length === 2)
        assert.deepStrictEqual(peer.texts(), ["from the service", "early"])
        assert.strictEqual(url, "/some/path")
        // The end of `run` ends its handlers, whose scopes close their connections.
        yield* Effect.forkChild(Fiber.interrupt(running))
        yield* until("the Close", () => peer.frames().some(({ opcode }) => opcode === Opcode.Close))
        peer.write(clientFrame(Opcode.Close, closeBody(1000)))
        yield* peer.untilEnded
      }))

    it.live(`a handler that fails leaves the others alone: ${name}`, () =>
      Effect.gen(function*() {
        const server = Context.get(yield* Layer.build(layer), SocketServer.SocketServer)
        yield* Effect.forkChild(server.run((socket) =>
          Effect.gen(function*() {
            const { writeAll } = yield* socket.writer
            const { pull } = yield* socket.reader
            const messages = yield* pull
            if (messages[0] === "die") return yield* Effect.die("handler")
            return yield* writeAll(messages)
          }).pipe(Effect.scoped)
        ))
        const other = yield* connectUpgraded(portOf(server))
        const dying = yield* connectUpgraded(portOf(server))
        dying.write(clientFrame(Opcode.Text, "die"))
        yield* until("the Close", () => dying.frames().some(({ opcode }) => opcode === Opcode.Close))
        other.write(clientFrame(Opcode.Text, "hello"))
        yield* until("the echo", () => other.texts().length === 1)
      }))
  }

  it.live("a port in use is SocketServerOpenError", () =>
    Effect.gen(function*() {
      const { port } = yield* rawServer()
      const error = yield* Effect.flip(Layer.build(NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port })))
      assert.strictEqual(error.reason._tag, "SocketServerOpenError")
    }))

  it.live("a shutdown tells a thousand connections and ends within a second", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = Context.get(yield* Scope.provide(Layer.build(serverLayers.ours), scope), SocketServer.SocketServer)
      yield* Effect.forkIn(
        server.run((socket) => Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.ignore(Effect.forever(pull))))),
        scope
      )
      // Clients that cost little: they answer a Close and end.
      let told = 0
      const port = portOf(server)
      const onData = (socket: Net.Socket) => (chunk: Buffer) => {
        if (chunk[0] !== 0x88) return
        if (chunk.readUInt16BE(2) === 1001) told++
        socket.write(clientFrame(Opcode.Close, chunk.subarray(2, 4)))
      }
      yield* Effect.forEach(Array(1000), () =>
        Effect.map(connectUpgraded(port), ({ socket }) => {
          socket.removeAllListeners("data")
          socket.on("data", onData(socket))
        }), { concurrency: 50 })
      const isQuick = measure()
      yield* Scope.close(scope, Exit.void)
      isQuick()
      assert.strictEqual(told, 1000)
    }), 20_000)
})
