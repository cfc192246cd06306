/** Peers that stall, trickle and half-close, on real sockets, while the deadlines run on a clock that the test turns. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  answering,
  clientFrame,
  closeBody,
  connectUpgraded,
  loopTurns,
  type RawPeer,
  serverFrame,
  settles,
  switching,
  until
} from "../support/RawPeer.ts"
import { openSockets, serve } from "../support/Serve.ts"

const MiB = 1 << 20

/** Waits for what real sockets do, in real time. */
const soon = (what: string, holds: () => boolean) => TestClock.withLive(until(what, holds))

const calm = Effect.andThen(TestClock.withLive(Effect.sleep(10)), loopTurns)

const describeEnd = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "ended"
  const error = Cause.squash(exit.cause) as { readonly _tag?: string; readonly phase?: string; readonly reason?: string }
  return error._tag === "IOError" ? `IOError ${error.phase} ${error.reason}` : error._tag ?? String(error)
}

/** A server whose only handler is `f`; how each ended, in order. */
const serveHandler = Effect.fnUntraced(function*(
  f: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>,
  options: WebSocketServer.AcceptOptions = {}
) {
  const ends: Array<string> = []
  const served = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
    Effect.ignore(Effect.onExit(f(ws), (exit) => Effect.sync(() => void ends.push(describeEnd(exit))))), options)))
  const gone = TestClock.withLive(settles("the server's sockets", openSockets(served.node), (count) => count === 0))
  return { ...served, ends, gone }
})

const connect = (port: number, options?: { readonly allowHalfOpen?: boolean }) =>
  TestClock.withLive(connectUpgraded(port, "/", {}, options))

/** Turns the clock until the peer is cut; the seconds that took, by steps of `step`. */
const secondsUntilCut = (peer: RawPeer, most: number, step = 1) =>
  Effect.gen(function*() {
    let seconds = 0
    while (!peer.ended && !peer.closed && seconds < most) {
      yield* TestClock.adjust(`${step} seconds`)
      seconds += step
      yield* calm
    }
    return seconds
  })

describe("a client that", () => {
  it.effect("sends a byte a second is heard to the end of its frame, although it cannot answer a ping", () =>
    Effect.gen(function*() {
      const texts: Array<string> = []
      const { port } = yield* serveHandler((ws) => Stream.runForEach(ws.messages, (text) => Effect.sync(() => void texts.push(String(text)))), {
        keepAlive: { interval: "4 seconds", timeout: "4 seconds" }
      })
      const peer = yield* connect(port)
      const frame = clientFrame(Opcode.Text, "eighteen letters..")
      for (const byte of frame) {
        peer.write(Uint8Array.of(byte))
        yield* calm
        yield* TestClock.adjust("1 second")
      }
      yield* soon("the text", () => texts.length === 1)
      assert.deepStrictEqual(texts, ["eighteen letters.."])
      // The deadline of the first ping came just now, when it could be answered at last.
      assert.isFalse(peer.ended)
      const pings = peer.frames().filter(({ opcode }) => opcode === Opcode.Ping)
      assert.isAbove(pings.length, 0)
      peer.write(clientFrame(Opcode.Pong, pings.at(-1)!.data))
      yield* calm
      yield* TestClock.adjust("4 seconds")
      yield* calm
      assert.isFalse(peer.ended)
    }))

  it.effect("stops within a frame is given up", () =>
    Effect.gen(function*() {
      const { ends, gone, port } = yield* serveHandler((ws) => Stream.runDrain(ws.messages), {
        keepAlive: { interval: "4 seconds", timeout: "4 seconds" }
      })
      const peer = yield* connect(port)
      peer.write(clientFrame(Opcode.Text, "cut short").subarray(0, 8))
      yield* calm
      const seconds = yield* secondsUntilCut(peer, 30)
      assert.isAtLeast(seconds, 8)
      assert.isAtMost(seconds, 12)
      assert.deepStrictEqual(ends, ["IOError keepalive TimedOut"])
      yield* gone
    }))

  it.effect("never reads what was sent to it is given up after stalledWriteTimeout, half-closed or not", () =>
    Effect.gen(function*() {
      const { ends, gone, port } = yield* serveHandler((ws) => Effect.forever(ws.send(new Uint8Array(MiB))), {
        stalledWriteTimeout: "5 seconds",
        keepAlive: false
      })
      for (const halfClosed of [false, true]) {
        const peer = yield* connect(port, { allowHalfOpen: true })
        peer.socket.pause()
        if (halfClosed) peer.socket.end()
        yield* Effect.andThen(TestClock.withLive(Effect.sleep(50)), loopTurns)
        yield* TestClock.adjust("4900 millis")
        yield* calm
        const before = ends.length
        // Here what the system has not sent is not sent any more.
        yield* TestClock.adjust("100 millis")
        if (!halfClosed) assert.strictEqual(before, 0)
        yield* TestClock.withLive(settles("the end", Effect.sync(() => ends.length), (count) => count > 0))
        assert.match(ends.splice(0)[0]!, halfClosed ? /^IOError (read EndOfStream|write TimedOut)$/ : /^IOError write TimedOut$/)
      }
      yield* gone
    }))

  it.effect("answers no Close, but goes on talking, is sent the end after closeLimit", () =>
    Effect.gen(function*() {
      const { ends, gone, port } = yield* serveHandler((ws) => ws.close(1000), { closeTimeout: "5 seconds", closeLimit: "12 seconds" })
      const peer = yield* connect(port, { allowHalfOpen: true })
      yield* soon("the Close", () => peer.frames().length === 1)
      let seconds = 0
      while (!peer.ended && !peer.closed && seconds < 20) {
        peer.write(clientFrame(Opcode.Text, "and another thing"))
        yield* calm
        yield* TestClock.adjust("1 second")
        seconds++
        yield* calm
      }
      assert.strictEqual(seconds, 12)
      assert.deepStrictEqual(ends, ["ended"])
      yield* gone
    }))

  it.effect("answers the Close and keeps the connection is cut after closeTimeout", () =>
    Effect.gen(function*() {
      const { gone, node, port } = yield* serveHandler((ws) => ws.close(1000), { closeTimeout: "5 seconds" })
      const peer = yield* connect(port, { allowHalfOpen: true })
      yield* soon("the Close", () => peer.frames().length === 1)
      peer.write(clientFrame(Opcode.Close, closeBody(1000)))
      // The server ends its half first (RFC 6455 §7.1.1).
      yield* soon("the server's end", () => peer.ended)
      yield* TestClock.adjust("4900 millis")
      yield* calm
      assert.strictEqual(yield* openSockets(node), 1)
      yield* TestClock.adjust("100 millis")
      yield* gone
    }))

  it.effect("half-closes within a message is told from one that vanished, at once", () =>
    Effect.gen(function*() {
      const { ends, gone, port } = yield* serveHandler((ws) => Stream.runDrain(ws.messages))
      for (const bytes of [
        [],
        [clientFrame(Opcode.Text, "cut short").subarray(0, 8)],
        [clientFrame(Opcode.Text, "cut ", false)],
        [clientFrame(Opcode.Text, "cut ", false), clientFrame(Opcode.Continuation, "short").subarray(0, 7)]
      ]) {
        const peer = yield* connect(port, { allowHalfOpen: true })
        if (bytes.length > 0) peer.write(...bytes)
        peer.socket.end()
        yield* soon("the end", () => ends.length === 1)
        assert.deepStrictEqual(ends.splice(0), ["IOError read EndOfStream"])
        yield* soon("the server's end", () => peer.ended || peer.closed)
      }
      yield* gone
    }))

  it.effect("half-closes behind its Close still reads the rest, and then the answer", () =>
    Effect.gen(function*() {
      const { gone, port } = yield* serveHandler((ws) => Stream.run(ws.messages, ws.sink))
      const peer = yield* connect(port, { allowHalfOpen: true })
      const large = new Uint8Array(MiB).fill(7)
      peer.write(clientFrame(Opcode.Binary, large), clientFrame(Opcode.Close, closeBody(4321)))
      peer.socket.end()
      yield* soon("the end", () => peer.ended)
      const [echo, close] = peer.frames()
      assert.deepStrictEqual(echo!.data, large)
      assert.deepStrictEqual([close!.opcode, ...close!.data], [Opcode.Close, ...closeBody(4321)])
      yield* gone
    }))
})

describe("a server that", () => {
  const open = (url: string, options: WebSocketClient.ConnectOptions) =>
    Effect.forkChild(Effect.exit(Effect.scoped(Effect.flatMap(WebSocketClient.connect(url, options), (ws) => Stream.runDrain(ws.messages)))))

  it.effect("sends its 101 a byte a second is given up after handshakeTimeout", () =>
    Effect.gen(function*() {
      const server = yield* answering(() => [])
      const fiber = yield* open(`ws://127.0.0.1:${server.port}`, { handshakeTimeout: "10 seconds" })
      yield* soon("the request", () => server.peers[0]?.text === "" && server.peers.length === 1)
      const peer = server.peers[0]!
      const head = switching("whatever")
      let seconds = 0
      while (!peer.ended && !peer.closed && seconds < head.length) {
        peer.write(head[seconds]!)
        yield* calm
        yield* TestClock.adjust("1 second")
        seconds++
        yield* calm
      }
      assert.strictEqual(seconds, 10)
      assert.strictEqual(describeEnd(yield* Fiber.join(fiber)), "IOError handshake TimedOut")
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))

  it.effect("stops within a frame, or never says a word, is given up", () =>
    Effect.gen(function*() {
      for (const first of [serverFrame(Opcode.Text, "cut short").subarray(0, 4), new Uint8Array(0)]) {
        const server = yield* answering((_, accept) => [switching(accept), first])
        const fiber = yield* open(`ws://127.0.0.1:${server.port}`, { keepAlive: { interval: "4 seconds", timeout: "4 seconds" } })
        yield* soon("the request", () => server.peers.length === 1 && server.peers[0]!.text === "")
        yield* Effect.andThen(TestClock.withLive(Effect.sleep(50)), loopTurns)
        const seconds = yield* secondsUntilCut(server.peers[0]!, 30)
        assert.isAtLeast(seconds, 8)
        assert.isAtMost(seconds, 12)
        assert.strictEqual(describeEnd(yield* Fiber.join(fiber)), "IOError keepalive TimedOut")
      }
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))

  it.effect("answers the Close and keeps the connection is cut after closeTimeout", () =>
    Effect.gen(function*() {
      const server = yield* answering((_, accept, peer) => {
        peer.socket.once("data", () => peer.write(serverFrame(Opcode.Close, closeBody(1000))))
        return [switching(accept)]
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(
        Effect.flatMap(WebSocketClient.connect(`ws://127.0.0.1:${server.port}`, { closeTimeout: "5 seconds" }), (ws) => ws.close(1000))
      ))
      yield* soon("the Close", () => server.peers[0]?.frames().some(({ opcode }) => opcode === Opcode.Close) === true)
      yield* Effect.andThen(TestClock.withLive(Effect.sleep(50)), loopTurns)
      const seconds = yield* secondsUntilCut(server.peers[0]!, 30)
      assert.strictEqual(seconds, 5)
      assert.isTrue((yield* Fiber.join(fiber)).clean)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))

  it.effect("half-closes has ended the connection", () =>
    Effect.gen(function*() {
      const server = yield* answering((_, accept, peer) => {
        setImmediate(() => peer.socket.end(serverFrame(Opcode.Text, "the last")))
        return [switching(accept)]
      })
      const fiber = yield* open(`ws://127.0.0.1:${server.port}`, {})
      const exit = yield* TestClock.withLive(Fiber.join(fiber))
      assert.strictEqual(describeEnd(exit), "IOError read EndOfStream")
      yield* soon("the client's end", () => server.peers[0]!.ended)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))
})
