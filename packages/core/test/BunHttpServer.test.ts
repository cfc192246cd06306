import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as BunHttpServer from "../src/BunHttpServer.ts"
import { BunTransport } from "../src/platform/BunTransport.ts"
import * as WebSocket from "../src/WebSocket.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import { start, turn } from "./support/Harness.ts"
import { global } from "./support/PlatformGlobal.ts"

/** A `ServerWebSocket`, played. */
class FakeSocket {
  binaryType = "nodebuffer"
  readyState = 1
  buffered = 0
  /** What `send` returns; by default it sends everything. */
  result: number | undefined
  readonly sent: Array<string> = []
  data: unknown

  send(data: string | Uint8Array): number {
    if (this.result === 0 || this.readyState !== 1) return 0
    this.sent.push(typeof data === "string" ? data : `binary ${data.length}`)
    return this.result ?? data.length
  }

  close(code?: number, reason?: string): void {
    this.sent.push(`close ${code ?? ""} ${reason ?? ""}`.trimEnd())
    this.readyState = 2
  }

  terminate(): void {
    this.sent.push("terminate")
    this.readyState = 3
  }

  getBufferedAmount(): number {
    return this.buffered
  }
}

interface Handlers {
  open(socket: FakeSocket): void
  message(socket: FakeSocket, data: unknown): void
  drain(socket: FakeSocket): void
  close(socket: FakeSocket, code: number, reason: string): void
}

interface Given {
  readonly port?: number
  readonly websocket: Handlers & { readonly idleTimeout: number; readonly closeOnBackpressureLimit: boolean }
  readonly fetch: (request: Request, server: unknown) => Promise<Response | undefined>
}

const fakeBun = () => {
  let given: Given
  const sockets: Array<FakeSocket> = []
  const upgraded: Array<unknown> = []
  const stopped: Array<boolean> = []
  let upgrades = true
  const server = {
    port: 3000,
    hostname: "127.0.0.1",
    requestIP: () => ({ address: "10.0.0.1" }),
    upgrade: (_: Request, { data, headers }: { readonly data: unknown; readonly headers: unknown }) => {
      upgraded.push(headers)
      if (!upgrades) return false
      const socket = new FakeSocket()
      socket.data = data
      sockets.push(socket)
      // As Bun does, before it returns.
      given.websocket.open(socket)
      return true
    },
    stop: async (isActive: boolean) => void stopped.push(isActive)
  }
  return {
    bun: { serve: (options: Given) => (given = options, server) },
    given: () => given,
    sockets,
    upgraded,
    stopped,
    refuses: () => {
      upgrades = false
    },
    ask: (path: string, headers: Record<string, string> = {}) =>
      Effect.promise(() => given.fetch(new Request(`http://127.0.0.1:3000${path}`, { headers }), server))
  }
}

const Echo = HttpRouter.add(
  "GET",
  "/echo",
  WebSocketServer.handle((ws) => WebSocket.relay(ws, ws), { selectSubprotocol: ["a"], headers: { "x-a": "1" } })
)

const serving = Effect.fnUntraced(function*(options: BunHttpServer.Options = {}) {
  const fake = fakeBun()
  yield* global("Bun", fake.bun)
  const scope = yield* Scope.make()
  const app = HttpRouter.serve(Echo, { disableLogger: true, disableListenLog: true })
  yield* Scope.provide(Layer.build(Layer.provide(app, BunHttpServer.layer(options))), scope)
  return { ...fake, scope, handlers: fake.given().websocket }
})

const websocket = { upgrade: "websocket", "sec-websocket-protocol": "a" }

describe("BunHttpServer", () => {
  it.effect("upgrades by Bun with what was chosen, and echoes, both kinds", () =>
    Effect.gen(function*() {
      const { ask, given, handlers, sockets, upgraded } = yield* serving({ port: 0, idleTimeout: 7 })
      assert.deepInclude(given(), { port: 0 })
      assert.deepInclude(given().websocket, { idleTimeout: 7, closeOnBackpressureLimit: false })
      assert.isUndefined(yield* ask("/echo", websocket))
      assert.deepStrictEqual(upgraded, [[["x-a", "1"], ["sec-websocket-protocol", "a"]]])
      const [socket] = sockets
      assert.strictEqual(socket!.binaryType, "uint8array")
      handlers.message(socket!, "hello")
      handlers.message(socket!, Uint8Array.of(1, 2, 3))
      yield* turn
      assert.deepStrictEqual(socket!.sent, ["hello", "binary 3"])
      handlers.close(socket!, 1000, "bye")
      yield* turn
    }))

  it.effect("a request that Bun does not upgrade is answered, and leaves its place", () =>
    Effect.gen(function*() {
      const { ask, refuses } = yield* serving({ maxConnections: 1 })
      refuses()
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* ask("/echo", websocket))!.status, 400)
    }))

  it.effect("its end closes its connections with 1001, then stops", () =>
    Effect.gen(function*() {
      const { ask, handlers, scope, sockets, stopped } = yield* serving()
      yield* ask("/echo", websocket)
      yield* turn
      const closing = yield* start(Scope.close(scope, Exit.void))
      assert.deepStrictEqual([sockets[0]!.sent, stopped], [["close 1001"], []])
      handlers.close(sockets[0]!, 1001, "")
      yield* turn
      yield* Effect.promise(() => Promise.resolve())
      yield* turn
      assert.isDefined(closing.pollUnsafe())
      assert.deepStrictEqual(stopped, [true])
    }))

  describe("what Bun's socket does", () => {
    const connected = Effect.fnUntraced(function*(options: Partial<WebSocket.MessageOptions> = {}) {
      const transport = new BunTransport()
      const socket = new FakeSocket()
      transport.onOpen(socket)
      const scope = yield* Scope.make()
      const ws = yield* WebSocket.makeMessages(transport, { role: "server", ...options }).pipe(Scope.provide(scope))
      return { socket, transport, ws }
    })

    it.effect("a message that it drops breaks the connection, and fails its sender: nothing is lost silently", () =>
      Effect.gen(function*() {
        const { socket, ws } = yield* connected()
        socket.result = 0
        assert.deepInclude(yield* Effect.flip(ws.send("a")), { _tag: "IOError", phase: "write", reason: "Aborted" })
        assert.deepStrictEqual(socket.sent, ["terminate"])
      }))

    it.effect("an empty message, of which no byte is sent, is sent", () =>
      Effect.gen(function*() {
        const { socket, ws } = yield* connected()
        yield* ws.send("")
        assert.deepStrictEqual(socket.sent, [""])
      }))

    it.effect("above the mark senders wait for its drain", () =>
      Effect.gen(function*() {
        const { socket, transport, ws } = yield* connected({ outboundHighWaterMark: 10 })
        socket.result = -1
        yield* ws.send("0123456789")
        socket.buffered = 10
        const sending = yield* start(ws.send("next"))
        assert.isUndefined(sending.pollUnsafe())
        socket.buffered = 0
        transport.onDrain()
        yield* turn
        assert.isDefined(sending.pollUnsafe())
        assert.deepStrictEqual(socket.sent, ["0123456789", "next"])
      }))

    it.effect("what came before the connection was made is not lost", () =>
      Effect.gen(function*() {
        const transport = new BunTransport()
        const socket = new FakeSocket()
        transport.onOpen(socket)
        transport.onMessage("a")
        transport.onClose(4000, "bye")
        const ws = yield* WebSocket.makeMessages(yield* transport.opened(true), { role: "server" })
        assert.strictEqual(yield* ws.receive, "a")
        assert.deepInclude(yield* ws.closed, { code: 4000, reason: "bye", clean: true })
      }))

    it.effect("1006 is the loss of the connection, and what is no message breaks it", () =>
      Effect.gen(function*() {
        const lost = yield* connected()
        lost.transport.onClose(1006, "")
        assert.deepInclude(yield* Effect.flip(lost.ws.receive), { _tag: "IOError", reason: "EndOfStream" })
        const odd = yield* connected()
        odd.transport.onMessage({})
        assert.deepInclude(yield* Effect.flip(odd.ws.receive), { _tag: "IOError", reason: "Unknown" })
        assert.deepStrictEqual(odd.socket.sent, ["terminate"])
      }))

    it.effect("one that is not wanted any more when it opens is closed", () =>
      Effect.gen(function*() {
        const transport = new BunTransport()
        const opening = yield* start(Effect.flip(transport.opened(false)))
        assert.deepInclude(yield* Effect.flip(transport.opened(false)), { _tag: "IOError", phase: "handshake" })
        assert.isDefined(opening.pollUnsafe())
        transport.destroy()
        const socket = new FakeSocket()
        transport.onOpen(socket)
        assert.deepStrictEqual(socket.sent, ["close"])
      }))
  })
})
