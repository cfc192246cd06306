/** What Effect's `Socket` promises, held by our sockets and by the stock ones alike. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode } from "@effect-ws/core"
import { NodeSocket } from "@effect-ws/node"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { answering, closeBody, listenRaw, type RawPeer, serverFrame, switching, until } from "./support/RawPeer.ts"

interface Options {
  readonly openTimeout?: number
  readonly protocols?: string
  readonly headers?: Record<string, string>
}

const overConstructor = (constructor: Layer.Layer<Socket.WebSocketConstructor>) => (url: string, options?: Options) =>
  Layer.provide(Socket.layerWebSocket(url, options), constructor)

const clients: Record<string, (url: string, options?: Options) => Layer.Layer<Socket.Socket>> = {
  "ours": (url, options) => NodeSocket.layerWebSocket(url, { closeTimeout: 50, ...options }),
  "the stock one": (url, options) => StockSocket.layerWebSocket(url, options),
  "Effect's own on our WebSocketConstructor": overConstructor(NodeSocket.layerWebSocketConstructor)
}

/**
 * A server made of bytes: completes the handshake, says what it is told to, answers a Close and ends the connection,
 * for which the stock client waits without a deadline.
 */
const rawServer = (then: (peer: RawPeer) => ReadonlyArray<Uint8Array | string> = () => []) =>
  answering((_, accept, peer) => {
    const said = then(peer)
    const closes = said.some((one) => typeof one !== "string" && one[0] === (0x80 | Opcode.Close))
    peer.socket.on("data", (chunk) => {
      if (chunk[0] !== (0x80 | Opcode.Close)) return
      if (!closes) peer.write(serverFrame(Opcode.Close, closeBody(1000)))
      peer.socket.end()
    })
    return [switching(accept), ...said]
  })

const closed = (error: Socket.SocketError) => {
  assert.strictEqual(error.reason._tag, "SocketCloseError")
  return error.reason._tag === "SocketCloseError" ? error.reason : undefined
}

for (const [name, layer] of Object.entries(clients)) {
  const socketTo = (port: number, options?: Options) =>
    Effect.map(Layer.build(layer(`ws://127.0.0.1:${port}/`, options)), (context) => Context.get(context, Socket.Socket))

  describe(`a socket: ${name}`, () => {
    for (const code of [1000, 1001, 4000]) {
      it.live(`a Close with ${code} is an error with its code and reason, behind what came before it`, () =>
        Effect.gen(function*() {
          const { port } = yield* rawServer(() => [
            serverFrame(Opcode.Text, "last"),
            serverFrame(Opcode.Close, new Uint8Array([...closeBody(code), 0x6f, 0x6b]))
          ])
          const { pull } = yield* (yield* socketTo(port)).reader
          assert.deepStrictEqual(yield* pull, ["last"])
          assert.deepInclude(closed(yield* Effect.flip(pull)), { code, closeReason: "ok" })
          assert.deepInclude(closed(yield* Effect.flip(pull)), { code })
        }))
    }

    it.live("a Close without a code is 1005", () =>
      Effect.gen(function*() {
        const { port } = yield* rawServer(() => [serverFrame(Opcode.Close, "")])
        const { pull } = yield* (yield* socketTo(port)).reader
        assert.deepInclude(closed(yield* Effect.flip(pull)), { code: 1005 })
      }))

    it.live("closing the reader's scope fails a pull that waits, at once", () =>
      Effect.gen(function*() {
        const { port } = yield* rawServer()
        const scope = yield* Scope.make()
        const { pull } = yield* Scope.provide((yield* socketTo(port)).reader, scope)
        const waiting = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
        yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.deepInclude(closed(yield* Fiber.join(waiting)), { code: 1006 })
      }))

    it.live("an interrupted pull loses nothing", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* rawServer()
        const { pull } = yield* (yield* socketTo(port)).reader
        const waiting = yield* Effect.forkChild(pull, { startImmediately: true })
        yield* Fiber.interrupt(waiting)
        peers[0].write(serverFrame(Opcode.Text, "kept"))
        assert.deepStrictEqual(yield* pull, ["kept"])
      }))

    it.live("a writer waits while disconnected, and Effect.retry reconnects", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* rawServer()
        const socket = yield* socketTo(port)
        const { write, writeAll } = yield* socket.writer
        const early = yield* Effect.forkChild(write("early"), { startImmediately: true })
        assert.isUndefined(early.pollUnsafe())
        const again = yield* Deferred.make<void>()
        let connections = 0
        yield* Effect.gen(function*() {
          const { pull } = yield* socket.reader
          if (++connections === 2) yield* Deferred.succeed(again, undefined)
          return yield* Effect.forever(pull)
        }).pipe(Effect.scoped, Effect.retry(Schedule.spaced(10)), Effect.forkChild)
        yield* Fiber.join(early)
        yield* until("the first write", () => peers[0]?.texts().length === 1)
        peers[0].reset()
        yield* Deferred.await(again)
        yield* writeAll(["late", "later"])
        yield* until("the second write", () => peers[1].texts().length === 2)
        assert.deepStrictEqual([peers[0].texts(), peers[1].texts()], [["early"], ["late", "later"]])
      }))

    it.live("a CloseEvent closes with its code and reason", () =>
      Effect.gen(function*() {
        const { peers, port } = yield* rawServer()
        const socket = yield* socketTo(port)
        const { write } = yield* socket.writer
        const { pull } = yield* socket.reader
        yield* write(new Socket.CloseEvent(4000, "done"))
        assert.deepInclude(closed(yield* Effect.flip(pull)), { code: 1000 })
        const close = peers[0].frames().find(({ opcode }) => opcode === Opcode.Close)
        assert.deepStrictEqual([...close?.data ?? []], [...closeBody(4000), ...new TextEncoder().encode("done")])
      }))

    it.live("a code that may not be sent is SocketWriteError", () =>
      Effect.gen(function*() {
        const { port } = yield* rawServer()
        const socket = yield* socketTo(port)
        const { write } = yield* socket.writer
        yield* socket.reader
        const error = yield* Effect.flip(write(new Socket.CloseEvent(1006)))
        assert.strictEqual(error.reason._tag, "SocketWriteError")
      }))

    it.live("a refused handshake is SocketOpenError, a silent server one of kind Timeout", () =>
      Effect.gen(function*() {
        const refusing = yield* answering(() => ["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"])
        const refused = yield* Effect.flip(Effect.scoped((yield* socketTo(refusing.port)).reader))
        assert.deepInclude(refused.reason, { _tag: "SocketOpenError", kind: "Unknown" })
        const silent = yield* listenRaw(() => {})
        const late = yield* Effect.flip(Effect.scoped((yield* socketTo(silent.port, { openTimeout: 50 })).reader))
        assert.deepInclude(late.reason, { _tag: "SocketOpenError", kind: "Timeout" })
      }))

    it.live("headers and subprotocols go out with the handshake", () =>
      Effect.gen(function*() {
        let asked = ""
        const { peers, port } = yield* answering((request, accept, peer) => {
          asked = request.toLowerCase()
          // What answers the Close below.
          peer.socket.on("data", (chunk) => chunk[0] === (0x80 | Opcode.Close) && peer.socket.end())
          return [switching(accept, "Sec-WebSocket-Protocol: p\r\n")]
        })
        const options = { headers: { authorization: "me" }, protocols: "p" }
        const { pull } = yield* (yield* socketTo(port, options)).reader
        peers[0].write(serverFrame(Opcode.Close, closeBody(1000)))
        yield* Effect.flip(pull)
        assert.include(asked, "authorization: me")
        assert.include(asked, "sec-websocket-protocol: p")
      }))

    it.live("cannot be upgraded to TLS", () =>
      Effect.gen(function*() {
        const { port } = yield* rawServer()
        const { upgrade } = yield* (yield* socketTo(port)).reader
        assert.strictEqual((yield* Effect.flip(upgrade())).reason._tag, "SocketUpgradeError")
      }))
  })
}

describe("what only ours do", () => {
  it.live("highWaterMark holds the peer back", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* rawServer()
      const url = `ws://127.0.0.1:${port}/`
      const context = yield* Layer.build(NodeSocket.layerWebSocket(url, { highWaterMark: 1024, closeTimeout: 50 }))
      const { pull } = yield* Context.get(context, Socket.Socket).reader
      for (let i = 0; i < 2000; i++) peers[0].write(serverFrame(Opcode.Binary, new Uint8Array(8192)))
      yield* Effect.sleep(100)
      // 16 MiB are more than the buffers of two sockets take.
      assert.isAbove(peers[0].socket.writableLength, 0)
      let got = 0
      while (got < 2000) got += (yield* pull).length
      yield* until("the rest", () => peers[0].socket.writableLength === 0)
    }))
})

