import { assert, describe, it } from "@effect/vitest"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as Frame from "../src/Frame.ts"
import * as FrameSocket from "../src/FrameSocket.ts"
import * as Opcode from "../src/Opcode.ts"

const failure = (reason: Socket.SocketErrorReason) => new Socket.SocketError({ reason })
const closed = (code: number) => failure(new Socket.SocketCloseError({ code }))

// A socket that reads from a queue of batches; each failure is one of the queue.
const makeSocket = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<NonEmptyReadonlyArray<Uint8Array | string>, Socket.SocketError>()
  let open = 0
  const socket = Socket.make({
    reader: Effect.acquireRelease(
      Effect.sync(() => {
        open++
        return { pull: Queue.take(queue), upgrade: Socket.SocketUpgradeError.unsupported }
      }),
      () => Effect.sync(() => open--)
    ),
    writer: Effect.never
  })
  return {
    socket,
    send: (...chunks: NonEmptyReadonlyArray<Uint8Array | string>) => Queue.offer(queue, chunks),
    fail: (error: Socket.SocketError) => Queue.fail(queue, error),
    open: () => open
  }
})

const text = (data: string): Frame.Frame => Frame.make(Opcode.Text, data)
const bytesOf = (...frames: ReadonlyArray<Frame.Frame>): Uint8Array =>
  Uint8Array.from(frames.flatMap((frame) => [...Result.getOrThrow(Frame.encode(frame))]))

const [a, b, c] = [text("a"), text("bb"), text("ccc")] as const

describe("FrameSocket", () => {
  it.effect("gives the frames of any chunks and ends with the socket", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      const bytes = bytesOf(a, b, c)
      yield* peer.send(bytes.subarray(0, 1))
      yield* peer.send(bytes.subarray(1, 5), bytes.subarray(5, 6))
      yield* peer.send(bytes.subarray(6))
      yield* peer.fail(closed(1000))
      assert.deepStrictEqual(yield* Stream.runCollect(FrameSocket.frames(peer.socket)), [a, b, c])
      assert.strictEqual(peer.open(), 0, "the socket is released")
    }))

  it.effect("an end inside a frame is EndOfStream", () =>
    Effect.gen(function*() {
      const bytes = bytesOf(a, b)
      for (const cut of [1, 4, 6]) {
        const peer = yield* makeSocket
        yield* peer.send(bytes.subarray(0, cut))
        yield* peer.fail(closed(1000))
        const error = yield* Effect.flip(Stream.runDrain(FrameSocket.frames(peer.socket)))
        assert.deepInclude(error, { _tag: "IOError", phase: "read", reason: "EndOfStream" }, `cut at ${cut}`)
      }
    }))

  it.effect("frames come before the violation behind them", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      const seen: Array<Frame.Frame> = []
      yield* peer.send(Uint8Array.of(...bytesOf(a, b), 0x83, 0x00, ...bytesOf(c)), bytesOf(c))
      const error = yield* FrameSocket.frames(peer.socket).pipe(
        Stream.runForEach((frame) => Effect.sync(() => seen.push(frame))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, [a, b])
      assert.deepInclude(error, { _tag: "ProtocolError", rule: "ReservedOpcode", code: 1002 })
    }))

  it.effect("passes its options on", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      yield* peer.send(bytesOf(a))
      const error = yield* Effect.flip(Stream.runDrain(FrameSocket.frames(peer.socket, { mask: "required" })))
      assert.deepInclude(error, { _tag: "ProtocolError", rule: "MaskMissing" })
    }))

  it.effect("every way of breaking is an IOError that says how", () =>
    Effect.gen(function*() {
      const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" })
      const cases = [
        [closed(1006), "read", "Reset"],
        [closed(1011), "read", "Unknown"],
        [failure(new Socket.SocketReadError({ cause: reset })), "read", "Reset"],
        [failure(new Socket.SocketReadError({ cause: "odd" })), "read", "Unknown"],
        [failure(new Socket.SocketOpenError({ kind: "Timeout", cause: "late" })), "connect", "TimedOut"],
        [failure(new Socket.SocketOpenError({ kind: "Unknown", cause: "no" })), "connect", "Unknown"],
        [failure(new Socket.SocketWriteError({ cause: "no" })), "write", "Unknown"],
        [failure(new Socket.SocketUpgradeError({})), "connect", "Tls"]
      ] as const
      for (const [error, phase, reason] of cases) {
        const peer = yield* makeSocket
        yield* peer.fail(error)
        const mapped = yield* Effect.flip(Stream.runDrain(FrameSocket.frames(peer.socket)))
        assert.deepInclude(mapped, { _tag: "IOError", phase, reason })
      }
      const refused = Socket.make({
        reader: Effect.fail(failure(new Socket.SocketOpenError({ kind: "Timeout", cause: "late" }))),
        writer: Effect.never
      })
      const error = yield* Effect.flip(Stream.runDrain(FrameSocket.frames(refused)))
      assert.deepInclude(error, { _tag: "IOError", phase: "connect", reason: "TimedOut" })
    }))

  it.effect("reads one frame and keeps the bytes behind it", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      const bytes = bytesOf(a, b, c)
      const reader = yield* FrameSocket.reader(peer.socket)
      yield* peer.send(bytes.subarray(0, -1))
      assert.deepStrictEqual(yield* FrameSocket.recvFrame(reader), a)
      assert.deepStrictEqual(yield* FrameSocket.recvFrame(reader), b)
      yield* peer.send(bytes.subarray(-1))
      assert.deepStrictEqual(yield* reader.next, c)
      yield* peer.fail(closed(1000))
      for (let i = 0; i < 2; i++) {
        const exit = yield* Effect.exit(reader.next)
        const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
        assert.isTrue(reasons.some((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error)))
      }
    }))

  it.effect("an interrupted read loses nothing", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      const reader = yield* FrameSocket.reader(peer.socket)
      const bytes = bytesOf(a, b)
      yield* peer.send(bytes.subarray(0, 2))
      for (let i = 0; i < 3; i++) {
        const waiting = yield* Effect.forkChild(reader.next)
        yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
      }
      yield* peer.send(bytes.subarray(2))
      assert.deepStrictEqual(yield* reader.next, a)
      assert.deepStrictEqual(yield* reader.next, b)
    }))

  it.effect("a failed reader keeps failing", () =>
    Effect.gen(function*() {
      const peer = yield* makeSocket
      const reader = yield* FrameSocket.reader(peer.socket)
      yield* peer.send(Uint8Array.of(0x83))
      const first = yield* Effect.flip(reader.next)
      yield* peer.send(bytesOf(a))
      assert.strictEqual(yield* Effect.flip(reader.next), first)
    }))
})
