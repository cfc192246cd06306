/** A connection over an Effect `Socket` that the test is the other end of. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as SocketTransport from "../../src/socket/SocketTransport.ts"
import * as Opcode from "../../src/Opcode.ts"
import { portable } from "../../src/Primitives.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { closeBody, concat, frame, framesOf } from "../support/FakeTransport.ts"

type Write = (chunk: Uint8Array) => Effect.Effect<void, Socket.SocketError>

const failure = (cause: Error & { readonly code?: string }) =>
  new Socket.SocketError({ reason: new Socket.SocketReadError({ cause }) })

const endOfStream = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })

/** A socket whose writes do what `write` says; `peer` is what the other end may do. */
const makeSocket = Effect.fnUntraced(function*(write: Write = () => Effect.void) {
  const input = yield* Queue.unbounded<Uint8Array | string, Socket.SocketError>()
  const peer = {
    written: [] as Array<Uint8Array>,
    dropped: false,
    halfClosed: false,
    readerReleased: false,
    push: (bytes: Uint8Array | string) => Queue.offerUnsafe(input, bytes),
    fail: (error: Socket.SocketError) => Queue.failCauseUnsafe(input, Cause.fail(error)),
    frames: () => framesOf(concat(peer.written), "forbidden")
  }
  const put = (chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> => {
    if (Socket.isCloseEvent(chunk)) return Effect.sync(() => void (peer.dropped = true))
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk
    return Effect.andThen(write(bytes), Effect.sync(() => void peer.written.push(bytes)))
  }
  const socket = Socket.make({
    reader: Effect.acquireRelease(
      Effect.succeed({ pull: Queue.takeAll(input), upgrade: () => Effect.die("no TLS here") }),
      () => Effect.sync(() => void (peer.readerReleased = true))
    ),
    writer: Effect.acquireRelease(
      Effect.succeed({ write: put, writeAll: (chunks) => Effect.forEach(chunks, put, { discard: true }) }),
      () => Effect.sync(() => void (peer.halfClosed = true))
    )
  })
  return { socket, peer }
})

const open = Effect.fnUntraced(function*(
  socket: Socket.Socket,
  options: Partial<WebSocket.Options> = {}
) {
  const transport = yield* SocketTransport.make(socket, portable)
  return yield* WebSocket.make(transport, { role: "server", ...options })
})

describe("SocketTransport", () => {
  it.effect("messages go both ways, and a Close ends both", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* makeSocket()
      const ws = yield* open(socket)
      peer.push(frame(Opcode.Text, "hello", { masked: true }))
      assert.strictEqual(yield* ws.receive, "hello")
      yield* ws.send("world")
      yield* ws.flush
      assert.strictEqual(new TextDecoder().decode(peer.frames()[0]!.data), "world")
      peer.push(frame(Opcode.Close, closeBody(1000), { masked: true }))
      assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
      assert.isTrue(peer.halfClosed, "a server ends first")
      peer.fail(endOfStream)
      assert.isTrue((yield* ws.closed).clean)
    }))

  it.effect("a slow write is told from a stalled one", () =>
    Effect.gen(function*() {
      const sizes: Array<number> = []
      const { peer, socket } = yield* makeSocket((chunk) => {
        sizes.push(chunk.length)
        return Effect.sleep("10 seconds")
      })
      const ws = yield* open(socket, { keepAlive: false, stalledWriteTimeout: "15 seconds" })
      const payload = crypto.getRandomValues(new Uint8Array(65536)).slice(0, 65000)
      const large = concat(Array.from({ length: 16 }, () => payload))
      const sending = yield* Effect.forkChild(ws.send(large))
      yield* TestClock.adjust("300 seconds")
      yield* Fiber.join(sending)
      assert.isAbove(sizes.length, 10)
      assert.isTrue(sizes.every((size) => size <= 65536))
      assert.deepStrictEqual(peer.frames()[0]!.data, large)
      peer.fail(endOfStream)
    }))

  it.effect("a write that stalls breaks the connection", () =>
    Effect.gen(function*() {
      let writes = 0
      const { peer, socket } = yield* makeSocket(() => writes++ === 3 ? Effect.never : Effect.void)
      const ws = yield* open(socket, { keepAlive: false, stalledWriteTimeout: "15 seconds" })
      const sending = yield* Effect.forkChild(Effect.flip(ws.send(new Uint8Array(1 << 20))))
      yield* TestClock.adjust("16 seconds")
      const error = yield* Fiber.join(sending)
      assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["write", "TimedOut"])
      assert.isTrue(peer.dropped)
    }))

  // As Node's sockets do once they are destroyed.
  it.effect("a socket that takes nothing after its end does not hold up a reader that answers", () =>
    Effect.gen(function*() {
      let ended = false
      const { peer, socket } = yield* makeSocket(() => ended ? Effect.never : Effect.void)
      const ws = yield* open(socket, { role: "client", keepAlive: false, closeTimeout: "5 seconds" })
      const reading = yield* Effect.forkChild(Stream.runForEach(ws.messages, () => ws.send("ack")))
      peer.push(frame(Opcode.Text, "last"))
      peer.push(frame(Opcode.Close, closeBody(1000)))
      ended = true
      peer.fail(endOfStream)
      yield* TestClock.adjust("4 seconds")
      assert.isFalse(peer.dropped)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(reading)
      assert.deepInclude(yield* ws.closed, { code: 1000, initiator: "remote", clean: false })
      assert.isTrue(peer.dropped)
    }))

  it.effect("a busy consumer leaves what comes in the socket", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* makeSocket()
      const ws = yield* open(socket, { inboundHighWaterMark: 1000 })
      yield* Effect.yieldNow
      const message = frame(Opcode.Binary, new Uint8Array(600), { masked: true })
      for (let i = 0; i < 20; i++) {
        peer.push(message)
        yield* Effect.yieldNow
      }
      let received = 0
      while (received < 20) {
        assert.strictEqual((yield* ws.receive as Effect.Effect<Uint8Array>).length, 600)
        received++
      }
      peer.fail(endOfStream)
    }))

  it.effect("a reset is an IOError, and both halves are released", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* makeSocket()
      const ws = yield* open(socket)
      const reading = yield* Effect.forkChild(Effect.flip(ws.receive))
      yield* Effect.yieldNow
      peer.fail(failure(Object.assign(new Error("reset"), { code: "ECONNRESET" })))
      const error = yield* Fiber.join(reading)
      assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["read", "Reset"])
      assert.isTrue(peer.readerReleased && peer.halfClosed)
    }))

  it.effect("a write that fails is an IOError of that phase", () =>
    Effect.gen(function*() {
      const { socket } = yield* makeSocket(() => Effect.fail(failure(Object.assign(new Error("gone"), { code: "EPIPE" }))))
      const ws = yield* open(socket)
      yield* ws.send("x")
      const error = yield* Effect.flip(ws.flush)
      assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["write", "Reset"])
    }))

  it.effect("a socket that delivers text is no stream of bytes, and both halves are released", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* makeSocket()
      const ws = yield* open(socket, { role: "client" })
      peer.push("hello")
      const error = yield* Effect.flip(ws.receive)
      assert.deepInclude(error, { _tag: "IOError", phase: "read", reason: "Unknown" })
      assert.include(error.message, "NativeWebSocketClient")
      assert.isTrue(peer.dropped && peer.readerReleased)
    }))

  it.effect("an end without a Close is an IOError", () =>
    Effect.gen(function*() {
      const { peer, socket } = yield* makeSocket()
      const ws = yield* open(socket)
      peer.push(frame(Opcode.Text, "last", { masked: true }))
      peer.fail(endOfStream)
      assert.strictEqual(yield* ws.receive, "last")
      const error = yield* Effect.flip(ws.receive)
      assert.deepStrictEqual(error._tag === "IOError" && error.reason, "EndOfStream")
    }))
})
