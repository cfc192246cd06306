/** A handler does not outlive its connection: on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocket, WebSocketClient, type WebSocketError, WebSocketServer } from "@effect-ws/core"
import { NodeSocketServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { clientFrame, closeBody, connectRaw, connectUpgraded, RawPeer, until, upgradeRequest } from "./support/RawPeer.ts"
import { keepLogs, type Logged, openSockets, serve } from "./support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/support/tls/${name}`)

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
          // Each comes a little after its handler.
          yield* until("their log lines", () => logs.filter(({ text }) => text.includes("Sent HTTP response")).length === 10)
          assert.deepStrictEqual(logs.filter(({ level }) => level === "Error" || level === "Warn"), [])
        }))
    }
  }
})

describe("a handler that never reads", () => {
  it.live("ends when a Ping cannot be written, because its client left behind more than the connection takes in", () =>
    Effect.gen(function*() {
      const ends: Array<unknown> = []
      const handler = WebSocketServer.handle((ws) =>
        Effect.onExit(counted(Effect.never), () => Effect.map(Effect.flip(ws.send("late")), (error) => ends.push(error))), {
        keepAlive: { interval: 200, timeout: 200 }
      })
      const { port } = yield* serve(HttpRouter.add("GET", "/", handler))
      const peer = yield* connectUpgraded(port)
      const frame = clientFrame(Opcode.Binary, new Uint8Array(64 << 10))
      const taken = yield* Effect.forkChild(Effect.callback<void>((resume) => {
        for (let i = 1; i < 40; i++) peer.socket.write(frame)
        peer.socket.write(frame, () => resume(Effect.void))
      }))
      yield* Fiber.join(taken)
      peer.socket.destroy()
      yield* until("no handler", () => running === 0)
      // A stream may tell of the reset before the write does.
      const { _tag, phase } = ends[0] as WebSocketError.IOError
      assert.strictEqual(_tag, "IOError")
      assert.include(["read", "write"], phase)
    }))
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
  type Handler = (socket: Socket.Socket) => Effect.Effect<unknown, Socket.SocketError, Scope.Scope>
  type Options = Partial<NodeSocketServer.WebSocketServerOptions>

  const readsOnce: Handler = (socket) => Effect.flatMap(socket.reader, ({ pull }) => Effect.andThen(pull, Effect.never))

  const handlers: Record<string, Handler> = {
    "never reads": () => Effect.never,
    "only sends": (socket) => Effect.andThen(Effect.flatMap(socket.writer, (writer) => writer.write("hello")), Effect.never),
    "reads to the end, and not on": (socket) =>
      Effect.flatMap(socket.reader, ({ pull }) => Effect.andThen(Effect.ignore(Effect.forever(pull)), Effect.never)),
    "reads, and fails of the end": (socket) => Effect.flatMap(socket.reader, ({ pull }) => Effect.forever(pull)),
    "read once, and is busy with a job": readsOnce
  }

  /** A raw peer over TLS; its socket below resets. */
  const connectSecure = (port: number) =>
    Effect.gen(function*() {
      const below = yield* connectRaw(port)
      below.socket.removeAllListeners("data")
      const tls = Tls.connect({ socket: below.socket, ca: file("ca.pem"), servername: "localhost" })
      const peer = new RawPeer(tls)
      yield* Effect.callback<void>((resume) => void tls.once("secureConnect", () => resume(Effect.void)))
      peer.write(upgradeRequest("/"))
      assert.strictEqual((yield* peer.head).status, 101)
      return Object.assign(peer, { reset: () => void below.socket.resetAndDestroy() })
    })

  const listening = <S extends Net.Server>(server: S) =>
    Effect.acquireRelease(
      Effect.callback<S>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))),
      () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    )

  const links = {
    "its own port": {
      options: Effect.succeed({ host: "127.0.0.1", port: 0 }),
      connect: (port: number) => connectUpgraded(port)
    },
    "another's TLS server": {
      options: Effect.map(
        listening(Https.createServer({ cert: file("server.pem"), key: file("server.key") })),
        (server) => ({ server })
      ),
      connect: connectSecure
    }
  } as const

  const leaves: Record<string, (peer: RawPeer) => void> = {
    ...ways,
    RST: (peer) => peer.reset(),
    "its silence": (peer) => peer.socket.pause()
  }

  /** Runs a socket server with a handler, and a peer that is connected to it. */
  const world = Effect.fnUntraced(function*(handler: Handler, options: Options, link: keyof typeof links = "its own port") {
    const logs: Array<Logged> = []
    const where: Options = yield* links[link].options
    const scope = yield* Scope.fork(yield* Effect.scope)
    const server = yield* NodeSocketServer.makeWebSocket({ closeTimeout: 500, ...where, ...options }).pipe(
      Scope.provide(scope)
    )
    const serving = yield* server.run((socket) => counted(Effect.scoped(handler(socket)))).pipe(
      Effect.provide(keepLogs(logs)),
      Effect.forkChild
    )
    const { port } = server.address as NetAddress.InetAddress
    const peer = yield* links[link].connect(port)
    yield* until("its handler", () => running === 1)
    if (handler === readsOnce) peer.write(clientFrame(Opcode.Text, "hello"))
    return { logs, peer, port, scope, serving }
  })

  const noComplaint = (logs: ReadonlyArray<Logged>) =>
    assert.deepStrictEqual(logs.filter(({ level }) => level === "Error" || level === "Warn"), [])

  for (const link of Object.keys(links) as ReadonlyArray<keyof typeof links>) {
    for (const [name, handler] of Object.entries(handlers)) {
      for (const [way, leave] of Object.entries(leaves)) {
        it.live(`that ${name} ends when its client leaves by ${way}, on ${link}`, () =>
          Effect.gen(function*() {
            const { logs, peer, serving } = yield* world(handler, {
              onDisconnect: { grace: 50 },
              ...way === "its silence" ? { keepAlive: { interval: 100, timeout: 100 } } : {}
            }, link)
            leave(peer)
            yield* until("no handler", () => running === 0)
            noComplaint(logs)
            yield* Fiber.interrupt(serving)
          }))
      }
    }
  }

  for (const [name, handler] of Object.entries(handlers)) {
    it.live(`that ${name} is interrupted where its server no longer runs, and its client gets a Close`, () =>
      Effect.gen(function*() {
        const { logs, peer, serving } = yield* world(handler, {})
        yield* Fiber.interrupt(serving)
        assert.strictEqual(running, 0)
        yield* until("the Close", () => peer.frames().some(({ opcode }) => opcode === Opcode.Close))
        noComplaint(logs)
      }))

    it.live(`that ${name} ends with its server, whose clients get a Close`, () =>
      Effect.gen(function*() {
        const { logs, peer, scope, serving } = yield* world(handler, { onDisconnect: { grace: 50 } })
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* until("the Close", () => peer.frames().some(({ opcode }) => opcode === Opcode.Close))
        assert.deepStrictEqual(peer.frames().find(({ opcode }) => opcode === Opcode.Close)?.data.subarray(0, 2), closeBody(1001))
        leaves["Close"]!(peer)
        yield* until("no handler", () => running === 0)
        yield* Fiber.join(closing)
        noComplaint(logs)
        yield* Fiber.interrupt(serving)
      }))
  }

  it.live("is interrupted at once, whatever it has not read, where it asked for that", () =>
    Effect.gen(function*() {
      const { peer, serving } = yield* world(readsOnce, { onDisconnect: "interrupt" })
      peer.write(clientFrame(Opcode.Text, "unread"), clientFrame(Opcode.Close, closeBody(1000)))
      const before = performance.now()
      yield* until("no handler", () => running === 0)
      assert.isBelow(performance.now() - before, 3000, "no grace of five seconds")
      yield* Fiber.interrupt(serving)
    }))

  it.live("that asked to be left alone outlives its connection, and not its server", () =>
    Effect.gen(function*() {
      const { peer, serving } = yield* world(handlers["never reads"]!, { onDisconnect: "ignore" })
      leaves["RST"]!(peer)
      yield* until("the reset", () => peer.closed)
      yield* Effect.sleep(300)
      assert.strictEqual(running, 1)
      yield* Fiber.interrupt(serving)
      assert.strictEqual(running, 0)
    }))

  it.live("is not run for a client that left before there was one", () =>
    Effect.gen(function*() {
      const server = yield* NodeSocketServer.makeWebSocket({ host: "127.0.0.1", port: 0, closeTimeout: 500 })
      const { port } = server.address as NetAddress.InetAddress
      const [gone, stays] = [yield* connectUpgraded(port), yield* connectUpgraded(port)]
      leaves["Close"]!(gone)
      yield* until("the answer", () => gone.frames().some(({ opcode }) => opcode === Opcode.Close))
      let runs = 0
      const serving = yield* Effect.forkChild(server.run(() => Effect.andThen(Effect.sync(() => runs++), counted(Effect.never))))
      yield* until("a handler", () => running === 1)
      yield* Effect.sleep(50)
      assert.strictEqual(runs, 1)
      leaves["Close"]!(stays)
      yield* until("no handler", () => running === 0)
      yield* Fiber.interrupt(serving)
    }))

  it.live("that fails by itself is logged, and its client gets a Close", () =>
    Effect.gen(function*() {
      const { logs, peer, serving } = yield* world(
        (socket) => Effect.flatMap(socket.reader, ({ pull }) => Effect.andThen(pull, Effect.die("oops"))),
        {}
      )
      peer.write(clientFrame(Opcode.Text, "hello"))
      yield* until("its log line", () => logs.some(({ text }) => text.includes("oops")))
      yield* until("the Close", () => peer.frames().some(({ opcode }) => opcode === Opcode.Close))
      yield* Fiber.interrupt(serving)
    }))
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
