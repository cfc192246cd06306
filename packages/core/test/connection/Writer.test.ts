import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ByteLink } from "../../src/connection/ByteLink.ts"
import type { Connection } from "../../src/connection/Connection.ts"
import * as Message from "../../src/Message.ts"
import type * as WebSocket from "../../src/WebSocket.ts"
import type { InvalidArgument, Unsupported } from "../../src/WebSocketError.ts"
import { concat } from "../support/FakeTransport.ts"
import { bytes, done, isPending, make, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

const KiB = 1024
const filled = (size: number, value: number) => new Uint8Array(size).fill(value)
const large = 20 * KiB

describe("Writer", () => {
  it.effect("many sends are one write", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make()
      for (let i = 0; i < 100; i++) yield* ws.send(`message ${i}`)
      yield* ws.sendText("text")
      yield* ws.sendBinary(bytes(1, 2, 3))
      yield* ws.sendAll(new Set(["a", "b"]))
      yield* turn
      assert.strictEqual(transport.writes.length, 1)
      const sent = said()
      assert.strictEqual(sent.length, 104)
      assert.deepStrictEqual(sent.slice(99), ["text message 99", "text text", "binary 3", "text a", "text b"])
    }))

  it.effect("senders of what was taken leave nothing behind", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ role: "server" })
      transport.holding = true
      const sending = yield* start(ws.send(filled(large, 1)))
      assert.isTrue(isPending(sending), "the transport still reads from its buffer")
      transport.release()
      yield* turn
      yield* done(sending)
      assert.isUndefined(((ws as Connection).link as ByteLink)["taking"])
    }))

  it.effect("one that stops waiting for its turn does not end the turn of a streamed message", () =>
    Effect.gen(function*() {
      const { said, ws } = yield* make()
      yield* start(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never)))
      const waiting = yield* start(ws.sendTextStream(Stream.make("b")))
      yield* Fiber.interrupt(waiting)
      const sending = yield* start(ws.send("c"))
      assert.isTrue(isPending(sending))
      assert.deepStrictEqual(said(), ["text+ a"])
    }))

  it.effect("a streamed message that is interrupted while it waits for room is not sent later", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make({ outboundHighWaterMark: 10 })
      transport.holding = true
      yield* ws.send("0123456789")
      yield* turn
      const streaming = yield* start(ws.sendTextStream(Stream.make("never")))
      assert.isTrue(isPending(streaming))
      yield* Fiber.interrupt(streaming)
      transport.release()
      yield* turn
      yield* ws.send("next")
      yield* turn
      assert.deepStrictEqual(said(), ["text 0123456789", "text next"])
    }))

  it.effect("what is pushed overtakes no sender that waits, and goes out in slices by its sender only", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ role: "server" })
      const { writer } = ws as Connection
      transport.holding = true
      assert.strictEqual(writer.push(["in flight"], 0), 1)
      yield* turn
      const sending = yield* start(ws.send(filled(large, 1)))
      assert.isTrue(isPending(sending))
      assert.strictEqual(writer.push(["next"], 0), 0)

      const sliced = yield* make({ extension: () => RunLength.open({ sliceSize: 100 }) })
      assert.strictEqual((sliced.ws as Connection).writer.push(["small", "x".repeat(101)], 0), 1)
    }))

  it.effect("an offer of a prepared message waits for its turn where an extension has worked enough", () =>
    Effect.gen(function*() {
      const extension = () => {
        const transform = RunLength.open({ sliceSize: 100 })
        return { ...transform, encoder: { ...transform.encoder, shareKey: "all" } }
      }
      const { ws } = yield* make({ extension })
      const prepared = Message.prepare("x".repeat(60))
      assert.isTrue(ws.offerUnsafe("a".repeat(60)))
      assert.isTrue(ws.offerUnsafe("b".repeat(60)))
      assert.isFalse(ws.offerUnsafe(prepared))
      yield* turn
      assert.isTrue(ws.offerUnsafe(prepared))
    }))

  it.effect("replies to a batch go out in one write, without a turn of the loop", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      yield* start(Stream.runForEach(ws.messages, ws.send))
      for (let i = 0; i < 3; i++) {
        transport.push(text("a"))
        assert.strictEqual(transport.writes.length, i + 1, "written before `onData` returns")
      }
    }))

  for (const [name, run] of [
    ["messages one at a time", (ws: WebSocket.WebSocket) => Stream.runForEach(ws.messages, ws.send)],
    ["receive", (ws: WebSocket.WebSocket) => Effect.forever(Effect.flatMap(ws.receive, ws.send), { disableYield: true })]
  ] as const) {
    it.effect(`replies to ${name} that arrived together go out in one write`, () =>
      Effect.gen(function*() {
        const { text, transport, said, ws } = yield* make()
        yield* start(run(ws))
        transport.push(concat(["a", "b", "c"].map((letter) => text(letter))))
        assert.strictEqual(transport.writes.length, 1)
        assert.deepStrictEqual(said(), ["text a", "text b", "text c"])
      }))
  }

  for (const role of ["client", "server"] as const) {
    it.effect(`a ${role} suspends above the mark and goes on in order`, () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* make({ role, outboundHighWaterMark: 4 * KiB })
        transport.holding = true
        const accepted: Array<number> = []
        const fibers = []
        for (let i = 0; i < 20; i++) {
          const sending = ws.send(`${i} ${"x".repeat(KiB)}`)
          fibers.push(yield* start(Effect.andThen(sending, Effect.sync(() => accepted.push(i)))))
        }
        assert.isAtMost(accepted.length, 5)
        assert.isAtLeast(accepted.length, 4)
        const before = accepted.length
        transport.take()
        yield* turn
        assert.isAbove(accepted.length, before)
        transport.release()
        yield* turn
        assert.deepStrictEqual(accepted, Array.from({ length: 20 }, (_, i) => i))
        for (const fiber of fibers) yield* done(fiber)
        assert.strictEqual(said().length, 20)
      }))
  }

  it.effect("an interrupted send in the queue sends nothing, and those behind it go on", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
      transport.holding = true
      yield* ws.send("first")
      yield* turn
      const second = yield* start(ws.send("second"))
      const third = yield* start(ws.send("third"))
      assert.isTrue(isPending(second) && isPending(third))
      yield* Fiber.interrupt(second)
      assert.isTrue(isPending(third))
      transport.release()
      yield* turn
      yield* done(third)
      assert.deepStrictEqual(said(), ["text first", "text third"])
    }))

  it.effect("an uncopied payload's send completes only when it was taken", () =>
    Effect.gen(function*() {
      const { sent, transport, ws } = yield* make()
      transport.holding = true
      const payload = filled(large, 1)
      const sending = yield* start(ws.send(payload))
      assert.isTrue(isPending(sending))
      assert.isTrue(transport.isHeld, "written at once")
      transport.take()
      yield* turn
      yield* done(sending)
      payload.fill(2)
      assert.isTrue(sent()[0].data.every((byte) => byte === 1))
      // Where the transport takes it at once, so does the send.
      transport.holding = false
      yield* done(yield* start(ws.send(payload)))
    }))

  it.effect("a send can be interrupted at once, in flight as well as in the queue; what is in flight goes on", () =>
    Effect.gen(function*() {
      for (const how of ["send", "sendAll", "sendBinaryStream"] as const) {
        const { sent, transport, ws } = yield* make()
        const run = (payload: Uint8Array) =>
          how === "send" ? ws.send(payload)
            : how === "sendAll" ? ws.sendAll([payload, "never sent"])
            : ws.sendBinaryStream(Stream.make(payload))
        transport.holding = true
        const sending = yield* start(run(filled(large, 1)))
        const queued = yield* start(run(filled(large, 2)))
        yield* done(yield* start(Fiber.interrupt(sending)))
        yield* done(yield* start(Fiber.interrupt(queued)))
        transport.release()
        yield* turn
        const frames = sent()
        assert.deepStrictEqual(frames[0].data, filled(large, 1))
        assert.deepStrictEqual(frames.slice(1).map((frame) => frame.opcode), how === "sendBinaryStream" ? [8] : [])
      }
    }))

  it.effect("so can one that waited for its turn and is in flight now", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      transport.holding = true
      yield* start(ws.send(filled(large, 1)))
      const queued = yield* start(ws.send(filled(large, 2)))
      const fragments = yield* start(ws.sendBinaryStream(Stream.make(filled(large, 3))))
      for (const fiber of [queued, fragments]) {
        transport.take()
        yield* turn
        assert.isTrue(transport.isHeld)
        yield* done(yield* start(Fiber.interrupt(fiber)))
        assert.isFalse(isPending(fiber))
      }
      transport.release()
      yield* turn
    }))

  it.effect("one that is interrupted in the turn in which it is resumed takes nobody's place", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
      transport.holding = true
      yield* ws.send("first")
      const second = yield* start(ws.send("second"))
      const third = yield* start(ws.send("third"))
      const fourth = yield* start(ws.send("fourth"))
      // The transport takes the first: the second is accepted and resumed, and not run yet.
      transport.take()
      second.interruptUnsafe()
      yield* turn
      transport.release()
      yield* turn
      yield* done(third)
      yield* done(fourth)
      assert.deepStrictEqual(said(), ["text first", "text second", "text third", "text fourth"])
    }))

  it.effect("a client masks large payloads into a copy, and need not wait", () =>
    Effect.gen(function*() {
      const { sent, transport, ws } = yield* make({ role: "client" })
      transport.holding = true
      const payload = filled(large, 1)
      yield* ws.send(payload)
      payload.fill(2)
      yield* turn
      transport.release()
      assert.deepStrictEqual(sent()[0].data, filled(large, 1))
    }))

  it.effect("flush waits for everything that was sent", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make()
      yield* ws.flush
      yield* ws.send("a")
      yield* ws.flush
      assert.strictEqual(transport.writes.length, 1)
      transport.holding = true
      yield* ws.send("b")
      const flushing = yield* start(ws.flush)
      assert.isTrue(isPending(flushing))
      const interrupted = yield* start(ws.flush)
      yield* Fiber.interrupt(interrupted)
      transport.take()
      yield* turn
      yield* done(flushing)
    }))

  it.effect("sink and sendAll keep order and backpressure", () =>
    Effect.gen(function*() {
      const { said, sent, transport, ws } = yield* make({ outboundHighWaterMark: 100 })
      const all = Array.from({ length: 50 }, (_, i) => `message ${i}`)
      transport.holding = true
      const sending = yield* start(ws.sendAll(all))
      assert.isTrue(isPending(sending))
      transport.release()
      yield* turn
      yield* done(sending)
      assert.deepStrictEqual(said(), all.map((text) => `text ${text}`))

      yield* Stream.run(Stream.fromIterable([...all, filled(large, 1), "end"]), ws.sink)
      yield* ws.flush
      assert.strictEqual(sent().length, 52)
      yield* ws.send("still open")
    }))

  it.effect("fails with ConnectionClosed once our Close was sent, with IOError where it broke", () =>
    Effect.gen(function*() {
      const operations = (
        ws: WebSocket.WebSocket
      ): Array<Effect.Effect<unknown, WebSocket.SendError | InvalidArgument | Unsupported>> => [
        ws.send("x"),
        ws.send(filled(large, 1)),
        ws.sendAll(["x", "y"]),
        ws.sendTextStream(Stream.make("x")),
        Stream.run(Stream.make("x"), ws.sink),
        ws.ping(),
        ws.sendPing()
      ]
      const closed = yield* make()
      yield* start(closed.ws.close(1000))
      for (const operation of operations(closed.ws)) {
        assert.deepInclude(yield* Effect.flip(operation), { _tag: "ConnectionClosed" })
      }
      assert.deepStrictEqual(closed.said(), ["close 1000"])
      const broken = yield* make()
      broken.transport.resets()
      for (const operation of operations(broken.ws)) {
        assert.deepInclude(yield* Effect.flip(operation), { _tag: "IOError", reason: "Reset" })
      }
    }))

  it.effect("a break fails those who wait: in the queue, in flight, for a Pong, for a flush", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ outboundHighWaterMark: 1 })
      const ping = yield* start(ws.ping())
      transport.holding = true
      const fibers: ReadonlyArray<Fiber.Fiber<unknown, WebSocket.SendError | InvalidArgument | Unsupported>> = [
        ping,
        yield* start(ws.send(filled(large, 1))),
        yield* start(ws.send("queued")),
        yield* start(ws.sendTextStream(Stream.make("queued"))),
        yield* start(ws.flush)
      ]
      for (const fiber of fibers) assert.isTrue(isPending(fiber))
      transport.resets()
      yield* turn
      for (const fiber of fibers) {
        assert.deepInclude(yield* Effect.flip(done(fiber)), { _tag: "IOError", reason: "Reset" })
      }
    }))

  describe("streams", () => {
    it.effect("sends fragments and an empty last one; other messages wait, control frames do not", () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* make()
        const queue = yield* Queue.unbounded<string, never>()
        const streaming = yield* start(ws.sendTextStream(Stream.take(Stream.fromQueue(queue), 2)))
        yield* Queue.offer(queue, "one")
        const other = yield* start(ws.send("other"))
        const another = yield* start(ws.sendBinaryStream(Stream.make(bytes(1))))
        yield* done(yield* start(ws.sendPing(bytes(1))))
        assert.isTrue(isPending(streaming) && isPending(other) && isPending(another))
        assert.deepStrictEqual(said(), ["text+ one", "ping 1"])
        yield* Queue.offer(queue, "two")
        yield* turn
        for (const fiber of [streaming, other, another]) yield* done(fiber)
        assert.deepStrictEqual(said(), ["more+ two", "more", "text other", "binary+ 1", "more"])
        assert.strictEqual(transport.isHeld, false)
      }))

    it.effect("an empty stream is an empty message, and empty fragments are not sent", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* make()
        yield* ws.sendTextStream(Stream.empty)
        yield* ws.sendBinaryStream(Stream.empty)
        yield* ws.sendTextStream(Stream.make("", "a", ""))
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text", "binary 0", "text+ a", "more"])
      }))

    it.effect("keeps surrogate pairs together, and replaces lone ones", () =>
      Effect.gen(function*() {
        const { sent, ws } = yield* make()
        yield* ws.sendTextStream(Stream.make("a\ud83d", "\ude00b", "\ud83d", "\ud83d", "\ude00", "\ude00", "\ud83d"))
        yield* ws.flush
        const text = sent().map((frame) => new TextDecoder("utf-8", { fatal: true }).decode(frame.data)).join("")
        assert.strictEqual(text, "a😀b\uFFFD😀\uFFFD\uFFFD")
      }))

    it.effect("is bounded in memory: the source is pulled no faster than the socket takes", () =>
      Effect.gen(function*() {
        for (const size of [KiB, large]) {
          const { sent, transport, ws } = yield* make({ outboundHighWaterMark: 8 * KiB })
          let pulled = 0
          const source = Stream.map(Stream.rechunk(Stream.range(1, 100), 1), () => {
            pulled += size
            return filled(size, 1)
          })
          transport.holding = true
          const streaming = yield* start(ws.sendBinaryStream(source))
          assert.isTrue(isPending(streaming))
          assert.isAtMost(pulled, Math.max(2 * size, 10 * KiB))
          transport.release()
          yield* turn
          yield* turn
          yield* Fiber.join(streaming)
          yield* ws.flush
          assert.strictEqual(sent().reduce((sum, frame) => sum + frame.data.length, 0), 100 * size)
        }
      }))

    it.effect("one that fails before its first fragment sends nothing, and the connection stays open", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* make()
        assert.strictEqual(yield* Effect.flip(ws.sendTextStream(Stream.fail("early"))), "early")
        const interrupted = yield* start(ws.sendTextStream(Stream.never))
        const waiting = yield* start(ws.send("goes on"))
        yield* Fiber.interrupt(interrupted)
        yield* turn
        yield* done(waiting)
        assert.deepStrictEqual(said(), ["text goes on"])
      }))

    it.effect("one that fails or is interrupted midway closes with 1011", () =>
      Effect.gen(function*() {
        for (const how of ["failure", "defect", "interruption"] as const) {
          const { said, ws } = yield* make()
          const rest: Stream.Stream<string, string> = how === "failure"
            ? Stream.fail("midway")
            : how === "defect"
            ? Stream.die("midway")
            : Stream.never
          const streaming = yield* start(ws.sendTextStream(Stream.concat(Stream.make("first"), rest)))
          const waiting = yield* start(Effect.exit(ws.send("waits")))
          if (how === "interruption") yield* Fiber.interrupt(streaming)
          yield* turn
          const exit = yield* Fiber.await(streaming)
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(said(), ["text+ first", "close 1011 a streamed message failed"], how)
          if (how === "interruption") assert.isTrue(Exit.isFailure(yield* done(waiting)))
          assert.strictEqual((yield* Effect.flip(ws.send("x")))._tag, "ConnectionClosed")
        }
      }))

    it.effect("ends with the connection", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        const queue = yield* Queue.unbounded<string, never>()
        const streaming = yield* start(ws.sendTextStream(Stream.fromQueue(queue)))
        yield* Queue.offer(queue, "a")
        yield* turn
        transport.resets()
        yield* Queue.offer(queue, "b")
        yield* turn
        assert.deepInclude(yield* Effect.flip(done(streaming)), { _tag: "IOError", reason: "Reset" })
      }))
  })

  describe("a fiber that yields between any two steps", () => {
    const slowly = Effect.provideService(Scheduler.MaxOpsBeforeYield, 3)

    it.effect("misses no turn", () =>
      Effect.gen(function*() {
        for (let wait = 0; wait < 30; wait++) {
          const { sent, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
          transport.holding = true
          yield* ws.send("first")
          yield* turn
          const fibers = [
            yield* Effect.forkChild(slowly(ws.send("second"))),
            yield* Effect.forkChild(slowly(ws.sendTextStream(Stream.make("third"))))
          ]
          // The transport takes everything at some moment of their way.
          for (let i = 0; i < wait; i++) yield* Effect.yieldNow
          transport.release()
          for (let i = 0; i < 200; i++) yield* Effect.yieldNow
          for (const fiber of fibers) yield* done(fiber)
          yield* ws.flush
          assert.strictEqual(sent().length, 4)
        }
      }))

    it.effect("misses no turn within a streamed message", () =>
      Effect.gen(function*() {
        for (let wait = 0; wait < 30; wait++) {
          const { sent, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
          transport.holding = true
          const streaming = yield* Effect.forkChild(slowly(ws.sendTextStream(Stream.make("a", "b", "c"))))
          for (let takes = 0; takes < 4; takes++) {
            for (let i = 0; i < 100 && !transport.isHeld; i++) yield* Effect.yieldNow
            for (let i = 0; i < wait; i++) yield* Effect.yieldNow
            transport.take()
          }
          for (let i = 0; i < 100; i++) yield* Effect.yieldNow
          yield* done(streaming)
          assert.strictEqual(sent().length, 4)
        }
      }))

    it.effect("sends an uncopied payload whole, or not at all, whenever it is interrupted", () =>
      Effect.gen(function*() {
        for (const how of ["send", "sendAll", "stream"] as const) {
          let inFlight = 0
          for (let wait = 0; wait < 40; wait++) {
            const { sent, transport, ws } = yield* make()
            const payload = filled(large, 1)
            const sending = yield* Effect.forkChild(slowly(
              how === "send"
                ? ws.send(payload)
                : how === "sendAll"
                ? ws.sendAll([payload])
                : ws.sendBinaryStream(Stream.make(payload))
            ))
            transport.holding = true
            for (let i = 0; i < wait; i++) yield* Effect.yieldNow
            const interrupting = yield* Effect.forkChild(Fiber.interrupt(sending))
            for (let i = 0; i < 50; i++) yield* Effect.yieldNow
            assert.isFalse(isPending(sending) || isPending(interrupting), `${how} after ${wait} steps`)
            if (transport.isHeld) inFlight++
            transport.release()
            const data = sent().filter(({ data, opcode }) => opcode < 8 && data.length > 0)
            for (const frame of data) assert.deepStrictEqual(frame.data, payload)
            yield* turn
          }
          assert.isAbove(inFlight, 3)
        }
      }))

    it.effect("does not wait for what was taken between its attempt and its wait", () =>
      Effect.gen(function*() {
        for (let wait = 0; wait < 40; wait++) {
          const { transport, ws } = yield* make()
          transport.holding = true
          const sending = yield* Effect.forkChild(slowly(ws.send(filled(large, 1))))
          for (let i = 0; i < wait; i++) yield* Effect.yieldNow
          transport.release()
          for (let i = 0; i < 50; i++) yield* Effect.yieldNow
          yield* done(sending)
        }
      }))

    it.effect("never leaves the turn held", () =>
      Effect.gen(function*() {
        for (let wait = 0; wait < 40; wait++) {
          const { ws } = yield* make()
          const streaming = yield* Effect.forkChild(slowly(ws.sendTextStream(Stream.never)))
          for (let i = 0; i < wait; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(streaming)
          yield* done(yield* start(ws.send("goes on")))
        }
      }))
  })

  it.effect.prop("whatever is held, mutated, interrupted: whole frames in order, each as it was", {
    operations: Arbitrary.array(
      Arbitrary.schema(Schema.Struct({
        type: Schema.Literals(["send", "send", "sendAll", "stream", "ping", "take", "interrupt"]),
        size: Schema.Union([
          Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9000 })),
          Schema.Literals([1, 100, large])
        ])
      })),
      { maxLength: 30 }
    ),
    role: Schema.Literals(["client", "server"])
  }, (given) =>
    Effect.gen(function*() {
      const { from, sent, transport, ws } = yield* make({ role: given.role, outboundHighWaterMark: 20 * KiB })
      transport.holding = true
      const fibers: Array<{ fiber: Fiber.Fiber<unknown, unknown>; value: number }> = []
      const completed: Array<number> = []
      let value = 0
      const payloadOf = (size: number, value: number) => {
        const payload = filled(size, value)
        return { payload, mutate: Effect.sync(() => void payload.fill(255)) }
      }
      for (const { size, type } of given.operations) {
        if (type === "take") {
          if (transport.isHeld) transport.take()
          yield* turn
        } else if (type === "interrupt") {
          const last = fibers.pop()
          if (last !== undefined) yield* Effect.forkChild(Fiber.interrupt(last.fiber))
          yield* turn
        } else if (type === "ping") {
          transport.push(from(9, bytes(value)))
        } else {
          const mine = ++value
          const { mutate, payload } = payloadOf(size, mine)
          const effect = type === "send"
            ? ws.send(payload)
            : type === "sendAll"
            ? ws.sendAll([payload])
            : ws.sendBinaryStream(Stream.make(payload.subarray(0, size >> 1), payload.subarray(size >> 1)))
          const fiber = yield* start(
            // Only what completed is the caller's again.
            Effect.andThen(effect, Effect.andThen(mutate, Effect.sync(() => completed.push(mine))))
          )
          fibers.push({ fiber, value: mine })
        }
      }
      transport.release()
      yield* turn
      yield* turn
      // A stream that was interrupted midway closed the connection; all else arrives.
      const frames = sent()
      const closed = frames.some((frame) => frame.opcode === 8)
      const seen: Array<number> = []
      for (const frame of frames) {
        if (frame.opcode >= 8) continue
        assert.isTrue(frame.data.every((byte) => byte === frame.data[0] && byte !== 255), "bytes are as they were sent")
        if (frame.fin && frame.data.length > 0) seen.push(frame.data[0])
        if (!frame.fin && frame.data.length > 0 && seen[seen.length - 1] !== frame.data[0]) seen.push(frame.data[0])
      }
      assert.deepStrictEqual(seen, seen.toSorted((a, b) => a - b), "in order")
      for (const value of completed) assert.include(seen, value, "what completed has arrived")
      if (!closed) for (const { fiber } of fibers) assert.isFalse(isPending(fiber))
    }))
})
