import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Connection } from "../../src/connection/Connection.ts"
import type { Message } from "../../src/Message.ts"
import { countAllocations } from "../support/Allocations.ts"
import { concat } from "../support/FakeTransport.ts"
import { bytes, done, isPending, make, start, turn } from "../support/Harness.ts"

const KiB = 1024
const filled = (size: number, value: number) => new Uint8Array(size).fill(value)

describe("Link", () => {
  describe("order", () => {
    it.effect("a Pong overtakes queued data, and only the latest waits", () =>
      Effect.gen(function*() {
        const { ping, said, transport, ws } = yield* make()
        transport.holding = true
        yield* ws.send("in flight")
        yield* turn
        yield* ws.send("queued")
        transport.push(ping("1"), ping("2"), ping("3"))
        transport.take()
        transport.take()
        assert.deepStrictEqual(said(), ["text in flight", "pong 3", "text queued"])
      }))

    it.effect("the peer's Close is answered when the reader reaches it, behind its replies", () =>
      Effect.gen(function*() {
        const { close, said, text, transport, ws } = yield* make()
        const gate = yield* Queue.unbounded<void>()
        const echo = yield* start(Stream.runForEach(ws.messages, (message) =>
          Effect.andThen(Queue.take(gate), ws.send(message))))
        transport.push(concat([text("a"), text("b"), close(1001, "away")]))
        yield* turn
        assert.deepStrictEqual(said(), [])
        yield* Queue.offer(gate, undefined)
        yield* turn
        assert.deepStrictEqual(said(), ["text a"])
        yield* Queue.offer(gate, undefined)
        yield* turn
        yield* done(echo)
        assert.deepStrictEqual(said(), ["text b", "close 1001"])
        assert.isTrue(transport.isEnded, "the server closes TCP first")
        transport.peerEnds()
        assert.isTrue(transport.isClosed)
      }))

    it.effect("and behind suspended sends", () =>
      Effect.gen(function*() {
        const { close, said, text, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        transport.holding = true
        transport.push(text("a"))
        yield* ws.send("first")
        const second = yield* start(ws.send("second"))
        const third = yield* start(ws.send("third"))
        transport.push(close(1000))
        assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["a"])
        assert.isTrue(isPending(second) && isPending(third))
        transport.release()
        yield* turn
        yield* done(second)
        yield* done(third)
        assert.deepStrictEqual(said(), ["text first", "text second", "text third", "close 1000"])
        assert.isTrue(transport.isEnded)
      }))

    it.effect("and behind a message that is being streamed", () =>
      Effect.gen(function*() {
        const { close, said, transport, ws } = yield* make()
        const queue = yield* Queue.unbounded<string>()
        const streaming = yield* start(ws.sendTextStream(Stream.take(Stream.fromQueue(queue), 2)))
        yield* Queue.offer(queue, "a")
        yield* turn
        transport.push(close(1000))
        assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
        assert.deepStrictEqual(said(), ["text+ a"])
        yield* Queue.offer(queue, "b")
        yield* turn
        yield* done(streaming)
        assert.deepStrictEqual(said(), ["more+ b", "more", "close 1000"])
      }))

    it.effect("an interrupted sender does not hold the answer up", () =>
      Effect.gen(function*() {
        const { close, said, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        transport.holding = true
        yield* ws.send("first")
        const second = yield* start(ws.send("second"))
        transport.push(close(1000))
        yield* Stream.runDrain(ws.messages)
        yield* Fiber.interrupt(second)
        transport.release()
        yield* turn
        assert.deepStrictEqual(said(), ["text first", "close 1000"])
      }))

    it.effect("a violation takes effect when the reader reaches it, behind its replies", () =>
      Effect.gen(function*() {
        const { said, text, transport, ws } = yield* make()
        const echo = yield* start(Effect.flip(Stream.runForEach(ws.messages, (message) =>
          Effect.andThen(Effect.sleep("1 second"), ws.send(message)))))
        transport.push(concat([text("a"), text("b"), bytes(0xc1, 0x80)]))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(said(), ["text a"])
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* done(echo), { _tag: "ProtocolError", code: 1002 })
        assert.deepStrictEqual(said(), ["text b", "close 1002 ReservedBit"])
        assert.isTrue(transport.isEnded)
        assert.deepInclude(yield* ws.closed, { code: 1002, clean: false, initiator: "local" })
      }))

    for (const end of ["close", "violation", "eof"] as const) {
      it.effect(`takes effect at the close deadline at the latest: ${end}`, () =>
        Effect.gen(function*() {
          const { close, said, text, transport, ws } = yield* make({ closeTimeout: "5 seconds" })
          yield* start(Stream.runForEach(ws.messages, () => Effect.never))
          transport.push(text("busy"))
          yield* turn
          transport.push(text("unread"))
          if (end === "close") transport.push(close(1000))
          else if (end === "violation") transport.push(bytes(0x83))
          else transport.peerEnds()
          const sending = yield* start(ws.send("still open"))
          yield* done(sending)
          yield* TestClock.adjust(4999)
          assert.deepStrictEqual(said(), ["text still open"])
          yield* TestClock.adjust(1)
          const answers = { close: ["close 1000"], violation: ["close 1002 ReservedOpcode"], eof: [] }
          assert.deepStrictEqual(said(), answers[end])
          assert.isTrue(end === "eof" ? transport.isClosed : transport.isEnded)
          const error = yield* Effect.flip(ws.send("x"))
          assert.strictEqual(error._tag, end === "eof" ? "IOError" : "ConnectionClosed")
        }))
    }

    it.effect("the deadline also frees it from senders that cannot go on", () =>
      Effect.gen(function*() {
        const { close, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        transport.holding = true
        yield* ws.send("stuck")
        const queued = yield* start(ws.send("queued"))
        transport.push(close(1000))
        yield* Stream.runDrain(ws.messages)
        yield* TestClock.adjust("5 seconds")
        assert.deepInclude(yield* Effect.flip(done(queued)), { _tag: "ConnectionClosed" })
        // What was accepted may still be taken, for as long as no write stalls.
        yield* TestClock.adjust("24 seconds")
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust("1 second")
        assert.isTrue(transport.isClosed)
        assert.deepInclude(yield* ws.closed, { code: 1000, initiator: "remote", clean: false })
      }))

    it.effect("with nobody reading, the answer goes out at once; with messages unread, at the deadline", () =>
      Effect.gen(function*() {
        const idle = yield* make()
        idle.transport.push(idle.close(1000))
        assert.deepStrictEqual(idle.said(), ["close 1000"])
        const unread = yield* make()
        unread.transport.push(unread.text("x"), unread.close(1000))
        assert.deepStrictEqual(unread.said(), [])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(unread.said(), ["close 1000"])
        assert.strictEqual(yield* unread.ws.receive, "x", "what arrived can still be read")
      }))

    it.effect("a stream that went away hands the ending on", () =>
      Effect.gen(function*() {
        const { close, said, text, transport, ws } = yield* make()
        transport.push(text("x"))
        yield* Stream.runDrain(Stream.take(ws.messages, 1))
        transport.push(close(1000))
        assert.deepStrictEqual(said(), ["close 1000"])

        const other = yield* make()
        const reading = yield* start(Stream.runForEach(other.ws.messages, () => Effect.never))
        other.transport.push(other.text("x"), other.close(1000))
        yield* turn
        assert.deepStrictEqual(other.said(), [])
        yield* Fiber.interrupt(reading)
        assert.deepStrictEqual(other.said(), ["close 1000"])
      }))

    it.effect("close() goes behind everything that was accepted or waits its turn", () =>
      Effect.gen(function*() {
        const { close, said, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        transport.holding = true
        yield* ws.send("first")
        const second = yield* start(ws.send(filled(20 * KiB, 1)))
        const third = yield* start(ws.send("third"))
        const closing = yield* start(ws.close(1000, "bye"))
        transport.release()
        yield* turn
        yield* done(second)
        yield* done(third)
        assert.deepStrictEqual(said(), ["text first", "binary 20480", "text third", "close 1000 bye"])
        transport.push(close(1000, "bye"))
        yield* turn
        assert.deepInclude(yield* done(closing), { code: 1000, reason: "bye", initiator: "local", clean: true })
      }))

    it.effect("close() waits for a streamed message, no longer than the close deadline", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* make()
        const streaming = yield* start(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never)))
        yield* start(ws.close(1000))
        assert.deepStrictEqual(said(), ["text+ a"])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(said(), ["close 1000"])
        yield* Fiber.interrupt(streaming)
        assert.deepStrictEqual(said(), [])
      }))
  })

  describe("closing", () => {
    for (const role of ["client", "server"] as const) {
      it.effect(`a ${role} that closes`, () =>
        Effect.gen(function*() {
          const { alarms, close, said, text, transport, ws } = yield* make({ role })
          const reading = yield* start(Stream.runCollect(ws.messages))
          transport.push(text("before"))
          const closing = yield* start(ws.close(4000, "done"))
          const again = yield* start(ws.close(4001, "again"))
          assert.deepStrictEqual(said(), ["close 4000 done"])
          transport.push(text("dropped"))
          assert.isTrue(isPending(closing))
          transport.push(close(4000))
          yield* turn
          const info = {
            code: 4000,
            reason: "done",
            initiator: "local",
            clean: true,
            sent: { code: 4000, reason: "done" },
            received: { code: 4000, reason: "" }
          } as const
          assert.deepStrictEqual(yield* done(closing), info)
          assert.deepStrictEqual(yield* done(again), info)
          assert.deepStrictEqual(yield* ws.closed, info)
          assert.deepStrictEqual(yield* done(reading), ["before"])
          assert.strictEqual(transport.isEnded, role === "server", "the server closes TCP first")
          assert.isFalse(transport.isClosed)
          transport.peerEnds()
          assert.isTrue(transport.isClosed)
          assert.strictEqual(alarms(), 0)
        }))

      it.effect(`a ${role} whose peer closes`, () =>
        Effect.gen(function*() {
          const { alarms, close, said, transport, ws } = yield* make({ role })
          const reading = yield* start(Stream.runCollect(ws.messages))
          const watching = yield* start(ws.closed)
          transport.push(close(1001, "away"))
          yield* turn
          assert.deepStrictEqual(yield* done(reading), [])
          assert.deepStrictEqual(said(), ["close 1001"])
          assert.deepStrictEqual(yield* done(watching), {
            code: 1001,
            reason: "away",
            initiator: "remote",
            clean: true,
            sent: { code: 1001, reason: "" },
            received: { code: 1001, reason: "away" }
          })
          assert.strictEqual(transport.isEnded, role === "server")
          // A peer that does not end TCP is not waited for.
          yield* TestClock.adjust("5 seconds")
          assert.isTrue(transport.isClosed)
          assert.strictEqual(alarms(), 0)
          assert.deepInclude(yield* Effect.flip(ws.send("x")), { _tag: "ConnectionClosed" })
        }))

      it.effect(`a ${role} that closes at the same time as its peer`, () =>
        Effect.gen(function*() {
          const { close, said, text, transport, ws } = yield* make({ role })
          const closing = yield* start(ws.close(1000, "mine"))
          transport.push(text("crossing"), close(4000, "theirs"))
          yield* turn
          assert.deepStrictEqual(said(), ["close 1000 mine"])
          assert.deepStrictEqual(yield* done(closing), {
            code: 1000,
            reason: "mine",
            initiator: "local",
            clean: true,
            sent: { code: 1000, reason: "mine" },
            received: { code: 4000, reason: "theirs" }
          })
        }))

      it.effect(`a ${role} whose peer does not answer`, () =>
        Effect.gen(function*() {
          const { alarms, transport, ws } = yield* make({ role, closeTimeout: "3 seconds" })
          const closing = yield* start(ws.close(1000))
          yield* TestClock.adjust(2999)
          assert.isTrue(isPending(closing))
          yield* TestClock.adjust(1)
          assert.deepInclude(yield* done(closing), { code: 1000, initiator: "local", clean: false })
          assert.deepInclude(yield* Effect.flip(ws.send("x")), { _tag: "ConnectionClosed" })
          assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
          // What it still says is read and dropped, so that it may read what it was sent.
          assert.isTrue(transport.isEnded)
          assert.isFalse(transport.isClosed || transport.isPaused)
          yield* TestClock.adjust(56_999)
          assert.isFalse(transport.isClosed)
          yield* TestClock.adjust(1)
          assert.isTrue(transport.isClosed)
          assert.strictEqual(alarms(), 0)
        }))

      it.effect(`a ${role} whose peer answers and ends at once, while our Close is in flight`, () =>
        Effect.gen(function*() {
          const { close, said, transport, ws } = yield* make({ role })
          transport.holding = true
          const closing = yield* start(ws.close(1000))
          transport.push(close(1000))
          transport.peerEnds()
          assert.isFalse(transport.isClosed)
          transport.take()
          yield* turn
          assert.isTrue(transport.isClosed)
          assert.deepInclude(yield* done(closing), { clean: true })
          assert.deepStrictEqual(said(), ["close 1000"])
        }))

      it.effect(`a ${role} that reads a Close and the end of the stream at once`, () =>
        Effect.gen(function*() {
          const { close, said, text, transport, ws } = yield* make({ role })
          transport.push(text("last"), close(1000))
          transport.peerEnds()
          assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["last"])
          assert.deepStrictEqual(said(), ["close 1000"])
          assert.isTrue(transport.isClosed)
          assert.deepInclude(yield* ws.closed, { clean: true, initiator: "remote" })
        }))
    }

    it.effect("refuses what may not be sent, and sends nothing", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* make()
        const refused: ReadonlyArray<readonly [number | undefined, string, string]> = [
          [1005, "", "code"],
          [1006, "", "code"],
          [1015, "", "code"],
          [999, "", "code"],
          [5000, "", "code"],
          [1010, "", "code"],
          [1000, "x".repeat(124), "reason"],
          [1000, "€".repeat(42), "reason"],
          [undefined, "why", "reason"]
        ]
        for (const [code, reason, argument] of refused) {
          assert.deepInclude(yield* Effect.flip(ws.close(code, reason)), { _tag: "InvalidArgument", argument })
        }
        yield* ws.send("open")
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text open"])
      }))

    it.effect("close without a code is an empty Close", () =>
      Effect.gen(function*() {
        const { close, said, transport, ws } = yield* make()
        const closing = yield* start(ws.close())
        assert.deepStrictEqual(said(), ["close"])
        transport.push(close())
        yield* turn
        assert.deepInclude(yield* done(closing), { code: 1005, clean: true })
      }))

    it.effect("close() where the peer was first answers it", () =>
      Effect.gen(function*() {
        const { close, said, text, transport, ws } = yield* make()
        transport.push(text("unread"), close(1001, "away"))
        const info = yield* ws.close(4000, "late")
        assert.deepStrictEqual(said(), ["close 1001"])
        assert.deepInclude(info, { code: 1001, reason: "away", initiator: "remote", clean: true })
      }))

    it.effect("the end of the stream without a Close is EndOfStream, behind the messages", () =>
      Effect.gen(function*() {
        for (const how of ["end", "closed"] as const) {
          const { alarms, text, transport, ws } = yield* make()
          transport.push(text("a"), text("cut").slice(0, 4))
          if (how === "end") transport.peerEnds()
          else transport.closes()
          assert.strictEqual(yield* ws.receive, "a")
          const expected = { _tag: "IOError", phase: "read", reason: "EndOfStream" } as const
          assert.deepInclude(yield* Effect.flip(ws.receive), expected)
          assert.deepInclude(yield* Effect.flip(Stream.runDrain(ws.messages)), expected)
          assert.deepInclude(yield* Effect.flip(ws.send("x")), expected)
          assert.deepInclude(yield* ws.closed, { code: 1006, clean: false, initiator: "remote" })
          assert.isTrue(transport.isClosed)
          assert.strictEqual(alarms(), 0)
        }
      }))

    it.effect("a reset is told to everyone", () =>
      Effect.gen(function*() {
        const { alarms, transport, ws } = yield* make()
        const reading = yield* start(Effect.flip(Stream.runDrain(ws.messages)))
        const watching = yield* start(ws.closed)
        transport.resets()
        yield* turn
        assert.deepInclude(yield* done(reading), { _tag: "IOError", phase: "read", reason: "Reset" })
        assert.deepInclude(yield* done(watching), { code: 1006, clean: false })
        assert.strictEqual(alarms(), 0)
        assert.deepInclude(yield* ws.close(1000), { code: 1006 })
      }))

    it.effect("a reset behind our Close is not an error to the reader", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        const closing = yield* start(ws.close(1000))
        transport.resets()
        yield* turn
        assert.deepInclude(yield* done(closing), { code: 1000, clean: false, initiator: "local" })
        assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
      }))

    it.effect("a paused connection reads on to find the answer to its Close", () =>
      Effect.gen(function*() {
        const { binary, close, transport, ws } = yield* make({ inboundHighWaterMark: KiB })
        for (let i = 0; i < 10; i++) transport.push(binary(KiB))
        transport.push(close(1000))
        assert.isTrue(transport.isPaused)
        const closing = yield* start(ws.close(1000))
        yield* turn
        assert.isFalse(transport.isPaused)
        assert.deepInclude(yield* done(closing), { clean: true })
      }))

    it.effect("a violation behind our Close ends the connection", () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* make({ role: "client" })
        const closing = yield* start(ws.close(1000))
        transport.push(bytes(0xff, 0xff))
        yield* turn
        assert.deepStrictEqual(said(), ["close 1000"])
        assert.deepInclude(yield* done(closing), { code: 1000, clean: false })
        assert.isTrue(transport.isEnded)
      }))
  })

  describe("release", () => {
    const exits: ReadonlyArray<readonly [string, Exit.Exit<unknown, unknown>, string]> = [
      ["a success", Exit.void, "close 1000"],
      ["an interruption", Exit.interrupt(1), "close 1001"],
      ["a defect", Exit.die(new Error("bug")), "close 1011"],
      ["a typed failure", Exit.fail("expected"), "close 4999"],
      ["another typed failure", Exit.fail("invalid"), "close 1011"]
    ]
    for (const [what, exit, expected] of exits) {
      it.effect(`${what} is ${expected}`, () =>
        Effect.gen(function*() {
          const { alarms, close, said, scope, transport } = yield* make({
            closeCodeFor: (error) => error === "expected" ? 4999 : 1006
          })
          const closing = yield* start(Scope.close(scope, exit))
          assert.deepStrictEqual(said(), [expected])
          assert.isTrue(isPending(closing))
          transport.push(close(1000))
          transport.peerEnds()
          yield* turn
          yield* done(closing)
          assert.isTrue(transport.isClosed)
          assert.strictEqual(alarms(), 0)
        }))
    }

    it.effect("a typed failure is 1011 by default", () =>
      Effect.gen(function*() {
        const { said, scope } = yield* make()
        yield* start(Scope.close(scope, Exit.fail("x")))
        assert.deepStrictEqual(said(), ["close 1011"])
      }))

    it.effect("is bounded by the close deadline, whatever the peer does", () =>
      Effect.gen(function*() {
        for (const state of ["silent", "blocked", "closed before", "unread", "half open", "never ends"] as const) {
          const { alarms, close, deadlines, scope, text, transport, ws } = yield* make({ role: "client" })
          if (state === "blocked") {
            transport.holding = true
            yield* ws.send("stuck")
            yield* turn
          }
          if (state === "closed before") yield* start(ws.close(1000))
          if (state === "unread" || state === "never ends") transport.push(text("x"), close(1000))
          if (state === "half open") {
            transport.push(text("x"))
            transport.peerEnds()
          }
          const closing = yield* start(Scope.close(scope, Exit.void))
          yield* TestClock.adjust("10 seconds")
          yield* done(closing)
          // The transport of one whose peer is silent ends by itself.
          yield* TestClock.adjust("50 seconds")
          assert.isTrue(transport.isClosed, state)
          assert.strictEqual(alarms(), 0, state)
          assert.isUndefined(deadlines["fiber"])
        }
      }))

    it.effect("after everything ended takes no time", () =>
      Effect.gen(function*() {
        const { scope, transport } = yield* make()
        transport.resets()
        yield* done(yield* start(Scope.close(scope, Exit.void)))
      }))

    it.effect("what was accepted goes out before the Close", () =>
      Effect.gen(function*() {
        const { said, scope, ws } = yield* make()
        yield* ws.sendAll(["a", "b"])
        yield* start(Scope.close(scope, Exit.void))
        assert.deepStrictEqual(said(), ["text a", "text b", "close 1000"])
      }))
  })

  it.effect("tells its owner once, when the transport is closed and not before", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      const { link } = ws as Connection
      const told: Array<unknown> = []
      link.owner = { onGone: (hooks) => told.push(hooks) }
      link.once("gone", () => told.push("listener"))
      transport.push(close(1000))
      yield* turn
      assert.deepInclude(yield* ws.closed, { code: 1000 })
      assert.deepStrictEqual(told, [])
      transport.closes()
      link.onClosed(undefined)
      assert.deepStrictEqual(told, [ws, "listener"])
    }))

  it.effect("a transport that closes while it is written to", () =>
    Effect.gen(function*() {
      for (const taken of [true, false]) {
        const { scope, transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        const write = transport.write.bind(transport)
        transport.holding = true
        yield* ws.send("held")
        const waiting = []
        for (let i = 0; i < 3; i++) waiting.push(yield* start(Effect.exit(ws.send(`waits ${i}`))))
        waiting.push(yield* start(Effect.exit(ws.send(filled(20 * KiB, 1)))))
        transport.holding = false
        transport.write = (chunks) => {
          write(chunks)
          transport.resets()
          return taken
        }
        transport.take()
        yield* turn
        const exits = []
        for (const fiber of waiting) exits.push(yield* done(fiber))
        assert.isTrue(Exit.isFailure(exits[3]))
        yield* done(yield* start(Scope.close(scope, Exit.void)))
      }
      const { transport, ws } = yield* make()
      transport.write = () => {
        transport.resets()
        return false
      }
      yield* done(yield* start(Effect.exit(ws.send(filled(20 * KiB, 1)))))
      assert.strictEqual((yield* Effect.flip(ws.send("x")))._tag, "IOError")
    }))

  it.effect.each([["by itself", false], ["after this side has dropped it", true]] as const)("what a transport has not taken when it is lost %s is never written to again", ([, isDropped]) =>
    Effect.gen(function*() {
      const seen: Array<Uint8Array> = []
      for (let i = 0; i < 3; i++) {
        const { transport, ws } = yield* make()
        transport.write = (chunks) => {
          seen.push(...chunks)
          return false
        }
        transport.destroy = () => {}
        yield* ws.send(`${i}`.repeat(1000))
        yield* turn
        if (isDropped) yield* start(ws.closeAs({ code: 1006, reason: "", initiator: "remote", clean: false }))
        transport.closes()
      }
      assert.lengthOf(seen, 3)
      seen.forEach((chunk, i) => assert.strictEqual(new TextDecoder().decode(chunk.subarray(-1000)), `${i}`.repeat(1000)))
    }))

  it.effect("what a lost connection has not begun to write leaves its memory to the next", () =>
    Effect.gen(function*() {
      const seen: Array<Uint8Array> = []
      for (let i = 0; i < 3; i++) {
        const { transport, ws } = yield* make()
        const { write } = transport
        transport.write = (chunks) => {
          seen.push(...chunks)
          return write.call(transport, chunks)
        }
        yield* ws.send("a")
        yield* turn
        yield* ws.send("b")
        transport.closes()
      }
      assert.strictEqual(new Set(seen.map(({ buffer }) => buffer)).size, 1)
      assert.strictEqual(new Set(seen.map(({ byteOffset }) => byteOffset)).size, 1)
    }))

  it.effect("a flood of Pings at a peer that does not read holds memory flat", () =>
    Effect.gen(function*() {
      const { allocated, primitives } = countAllocations()
      const { ping, transport, ws } = yield* make({ primitives })
      transport.holding = true
      yield* ws.send("stuck")
      yield* turn
      const before = allocated()
      for (let i = 0; i < 10_000; i++) transport.push(ping(filled(125, i)))
      assert.isBelow(allocated() - before, 32 * KiB)
      transport.take()
      assert.isBelow(transport.writes[transport.writes.length - 1].length, 200)
    }))

  it.effect("an observer that is busy gets everything in order afterwards", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make({ inboundHighWaterMark: 100 })
      const seen: Array<Message> = []
      yield* start(Stream.runForEach(ws.messages, (message) =>
        Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => seen.push(message)))))
      for (let i = 0; i < 50; i++) transport.push(text(`${i}`))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, Array.from({ length: 50 }, (_, i) => `${i}`))
    }))

  it.effect("who is woken by a Pong and finds the transport closed does not hide the rest of this chunk", () =>
    Effect.gen(function*() {
      const { pong, text, transport, ws } = yield* make()
      const token = bytes(1)
      const seen: Array<Message> = []
      const read = Stream.runForEach(ws.messages, (message) => Effect.sync(() => seen.push(message)))
      const reading = yield* start(Effect.flip(read))
      yield* start(Effect.andThen(ws.ping(token), ws.send(new Uint8Array(20 * KiB))))
      transport.write = () => {
        transport.resets()
        return true
      }
      transport.push(concat([text("a"), pong(token), text("b"), text("c")]))
      yield* turn
      assert.strictEqual((yield* done(reading))._tag, "IOError")
      assert.deepStrictEqual(seen, ["a", "b", "c"])
    }))

  it.effect("who is woken by a Pong and closes does not bring the next chunk before the rest of this one", () =>
    Effect.gen(function*() {
      const { close, pong, text, transport, ws } = yield* make({ maxMessageSize: 1000 })
      assert.instanceOf(ws, Connection)
      const token = bytes(1, 2)
      ws.link.pings!.send(token, () => ws.link.close(1000, ""))
      const all = concat([text("L".repeat(5000)), pong(token), text("another"), close(1000, "bye")])
      // Too large for a whole message: nobody said yet that it may come in pieces.
      transport.push(all.subarray(0, all.length - 20))
      assert.isTrue(transport.isPaused)
      // The transport has it, and gives it as soon as it is resumed.
      transport.push(all.subarray(all.length - 20))
      yield* start(ws.receiveStream)
      yield* turn
      assert.deepInclude(yield* ws.closed, { clean: true, received: { code: 1000, reason: "bye" } })
    }))

  it.effect("input that arrives while earlier input waits for the reader is read after it", () =>
    Effect.gen(function*() {
      for (const chunks of ["borrowed", "scratch", "owned"] as const) {
        const { binary, text, transport, ws } = yield* make({ chunks, maxMessageSize: 100 })
        const data = Uint8Array.from({ length: 150 }, (_, i) => i)
        const large = binary(data)
        // Too large to be read whole, so that it waits for a reader to decide.
        transport.push(concat([large, text("one")]))
        assert.isTrue(transport.isPaused)
        // A transport may still deliver what it had read: in pieces that are no frames.
        const more = concat([text("two"), text("three")])
        for (let at = 0; at < more.length; at += 5) {
          const chunk = more.slice(at, at + 5)
          transport.handlers!.onData(chunk)
          if (chunks !== "owned") chunk.fill(0xee)
        }
        const message = yield* ws.receiveStream
        assert(message._tag === "Binary")
        assert.deepStrictEqual(concat(yield* Stream.runCollect(message.fragments)), data)
        const rest = yield* Effect.all([ws.receive, ws.receive, ws.receive])
        assert.deepStrictEqual(rest, ["one", "two", "three"])
      }
    }))
})
