/** A handler does not outlive its connection: on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeSocketServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import type * as Net from "node:net"
import { clientFrame, closeBody, connectUpgraded, type RawPeer, until } from "./support/RawPeer.ts"
import { keepLogs, type Logged, openSockets, serve } from "./support/Serve.ts"

let running = 0

const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(Effect.sync(() => running++), () => effect, () => Effect.sync(() => running--))

const ways: Record<string, (peer: RawPeer) => void> = {
  Close: (peer) => peer.write(clientFrame(Opcode.Close, closeBody(1000))),
  FIN: (peer) => peer.socket.end(),
  RST: (peer) => (peer.socket as Net.Socket).resetAndDestroy()
}

const feed = (ws: WebSocket.WebSocket) => Stream.run(Stream.concat(Stream.make("hello"), Stream.never), ws.sink)

type Route = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

const kinds: Record<string, Route> = {
  handle: WebSocketServer.handle((ws) => counted(feed(ws))),
  accept: Effect.gen(function*() {
    const ws = yield* WebSocketServer.accept()
    yield* counted(feed(ws))
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped),
  upgrade: Effect.gen(function*() {
    const socket = yield* (yield* HttpServerRequest.HttpServerRequest).upgrade
    yield* socket.reader
    const writer = yield* socket.writer
    return yield* counted(Effect.andThen(writer.write("hello"), Effect.never))
  }).pipe(Effect.scoped)
}

describe("a handler that only sends", () => {
  for (const [kind, handler] of Object.entries(kinds)) {
    for (const [way, leave] of Object.entries(ways)) {
      it.live(`by ${kind} ends when its client leaves by ${way}, and nothing is logged as a failure`, () =>
        Effect.gen(function*() {
          const logs: Array<Logged> = []
          const { node, port } = yield* serve(HttpRouter.add("GET", "/", handler), { logger: true }).pipe(
            Effect.provide(keepLogs(logs))
          )
          for (let i = 0; i < 10; i++) {
            const peer = yield* connectUpgraded(port)
            yield* peer.untilFrames(1)
            leave(peer)
          }
          yield* until("no handler", () => running === 0)
          // A half that is closed by the server waits for the client's.
          if (way === "RST") assert.strictEqual(yield* openSockets(node), 0)
          assert.deepStrictEqual(logs.filter(({ level }) => level === "Error" || level === "Warn"), [])
          assert.lengthOf(logs.filter(({ text }) => text.includes("Sent HTTP response")), 10)
        }))
    }
  }
})

describe("a program by accept", () => {
  it.live("that lets the connection's errors through is no failure", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const Echo = HttpRouter.add("GET", "/", Effect.gen(function*() {
        const ws = yield* WebSocketServer.accept()
        yield* Stream.run(ws.messages, ws.sink)
        return HttpServerResponse.empty()
      }).pipe(Effect.scoped, counted))
      const { port } = yield* serve(Echo, { logger: true }).pipe(Effect.provide(keepLogs(logs)))
      const peer = yield* connectUpgraded(port)
      peer.write(clientFrame(Opcode.Text, "hello"))
      yield* peer.untilFrames(1)
      ways.RST!(peer)
      yield* until("no handler", () => running === 0)
      yield* until("its log line", () => logs.some(({ text }) => text.includes("Sent HTTP response")))
      assert.deepStrictEqual(logs.filter(({ level }) => level === "Error" || level === "Warn"), [])
      assert.isTrue(logs.some(({ level, text }) => level === "Debug" && text.includes("WebSocket connection ended")))
    }))

  it.live("that fails by itself is one", () =>
    Effect.gen(function*() {
      const logs: Array<Logged> = []
      const Broken = HttpRouter.add("GET", "/", Effect.gen(function*() {
        yield* WebSocketServer.accept()
        return yield* Effect.die("oops")
      }).pipe(Effect.scoped))
      const { port } = yield* serve(Broken, { logger: true }).pipe(Effect.provide(keepLogs(logs)))
      const peer = yield* connectUpgraded(port)
      yield* peer.untilFrames(1)
      ways.Close!(peer)
      yield* until("its log line", () => logs.some(({ text }) => text.includes("oops")))
      yield* peer.untilEnded
    }))
})

describe("a handler of a socket server", () => {
  const handlers: Record<string, (socket: Socket.Socket) => Effect.Effect<unknown, Socket.SocketError, Scope.Scope>> = {
    "never reads": () => Effect.never,
    "only sends": (socket) => Effect.andThen(Effect.flatMap(socket.writer, (writer) => writer.write("hello")), Effect.never),
    "reads to the end, and not on": (socket) =>
      Effect.flatMap(socket.reader, ({ pull }) => Effect.andThen(Effect.ignore(Effect.forever(pull)), Effect.never)),
    "reads, and fails of the end": (socket) => Effect.flatMap(socket.reader, ({ pull }) => Effect.forever(pull))
  }
  for (const [name, handler] of Object.entries(handlers)) {
    for (const [way, leave] of Object.entries(ways)) {
      it.live(`that ${name} ends when its client leaves by ${way}`, () =>
        Effect.gen(function*() {
          const logs: Array<Logged> = []
          const server = yield* NodeSocketServer.makeWebSocket({ host: "127.0.0.1", port: 0, onDisconnect: { grace: 50 } })
          const serving = yield* server.run((socket) => counted(Effect.scoped(handler(socket)))).pipe(
            Effect.provide(keepLogs(logs)),
            Effect.forkChild
          )
          const { port } = server.address as NetAddress.InetAddress
          const peer = yield* connectUpgraded(port)
          yield* until("its handler", () => running === 1)
          leave(peer)
          yield* until("no handler", () => running === 0)
          assert.deepStrictEqual(logs.filter(({ level }) => level === "Error" || level === "Warn"), [])
          yield* Fiber.interrupt(serving)
        }))
    }
  }
})

describe("whileConnected", () => {
  it.live("on a client ends with the connection, and says how that ended", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => ws.close(4001, "enough"))))
      const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/`)
      const error = yield* Effect.flip(WebSocket.whileConnected(counted(Effect.never), ws))
      assert.deepInclude(error._tag === "ConnectionClosed" ? error.info : {}, { code: 4001, reason: "enough" })
      assert.strictEqual(running, 0)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))
})
