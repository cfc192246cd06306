import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { type BeatingLink, HeartbeatTimer } from "../../src/connection/HeartbeatTimer.ts"
import * as Limits from "../../src/Limits.ts"
import * as Message from "../../src/Message.ts"
import * as Deadlines from "../../src/runtime/Deadlines.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { best, makeOnMessages, page } from "../support/FakeMessages.ts"
import { bytes, done, isPending, start, turn } from "../support/Harness.ts"

const make = makeOnMessages

describe("MessageLink", () => {
  describe("sending", () => {
    it.effect("messages go to the platform as they are, in order, of whatever kind", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        yield* ws.send("a")
        yield* ws.sendAll(["b", bytes(1, 2), Message.prepare("c"), "d"])
        assert.isTrue(ws.offerUnsafe("e"))
        yield* Stream.run(Stream.make("f", bytes(3)), ws.sink)
        assert.deepStrictEqual(transport.said, ["a", "b", "binary 1 2", "c", "d", "e", "f", "binary 3"])
        assert.deepInclude(yield* ws.stats, { messagesSent: 8, bytesSent: 9, bytesUnsent: 0 })
      }))

    it.effect("what the platform does not take as bytes is a defect of the sender, and no message", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        // @ts-expect-error a number is no message
        assert.isTrue(Exit.hasDies(yield* Effect.exit(ws.send(1))))
        assert.deepStrictEqual(transport.said, [])
      }))

    it.effect("above the mark senders wait in order until the platform's buffer is smaller, which is looked at", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ outboundHighWaterMark: 10 })
        transport.isHolding = true
        yield* ws.send("0123456789")
        const second = yield* start(ws.send("second"))
        const third = yield* start(ws.send("third"))
        assert.isFalse(ws.offerUnsafe("no"))
        yield* TestClock.adjust("1 second")
        assert.isTrue(isPending(second) && isPending(third))
        transport.drain()
        yield* TestClock.adjust(64)
        yield* done(second)
        yield* done(third)
        assert.deepStrictEqual(transport.said, ["0123456789", "second", "third"])
      }))

    it.effect("a platform that tells of room needs no look", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ outboundHighWaterMark: 10, capabilities: best })
        transport.isHolding = true
        yield* ws.send("0123456789")
        const second = yield* start(ws.send("second"))
        transport.buffered = 0
        yield* TestClock.adjust("1 second")
        assert.isTrue(isPending(second))
        transport.drain(0)
        yield* turn
        yield* done(second)
      }))

    it.effect("a message that arrives is an occasion to look", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ outboundHighWaterMark: 10 })
        transport.isHolding = true
        yield* ws.send("0123456789")
        const second = yield* start(ws.send("second"))
        transport.drain()
        transport.push("a")
        yield* turn
        yield* done(second)
      }))

    it.effect("flush waits until the platform has passed everything on", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.isHolding = true
        yield* ws.send("0123456789")
        const flush = yield* start(ws.flush)
        transport.drain(5)
        yield* TestClock.adjust("1 second")
        assert.isTrue(isPending(flush))
        transport.drain()
        yield* TestClock.adjust(64)
        yield* done(flush)
      }))

    it.effect("a platform whose buffer nobody waits for is not looked at", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ outboundHighWaterMark: 10, keepAlive: false })
        let looks = 0
        transport.bufferedBytes = () => (looks++, transport.buffered)
        transport.isHolding = true
        yield* ws.send("0123456789")
        const second = yield* start(ws.send("second"))
        transport.drain()
        yield* TestClock.adjust("1 second")
        yield* done(second)
        transport.drain()
        yield* TestClock.adjust("1 minute")
        const before = looks
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(looks, before)
      }))

    it.effect("a platform that passes nothing on breaks the connection, one that is slow does not", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ stalledWriteTimeout: "10 seconds", keepAlive: false })
        transport.isHolding = true
        yield* ws.send("x".repeat(100))
        const closed = yield* start(ws.closed)
        for (let i = 0; i < 5; i++) {
          yield* TestClock.adjust("9 seconds")
          transport.drain(10)
          // More is sent than is passed on.
          yield* ws.send("x".repeat(20))
        }
        assert.isTrue(isPending(closed))
        yield* TestClock.adjust("21 seconds")
        assert.deepInclude(yield* done(closed), { code: 1006, clean: false })
        assert.deepInclude(yield* Effect.flip(ws.send("x")), { _tag: "IOError", phase: "write", reason: "TimedOut" })
        assert.isTrue(transport.isClosed)
      }))

    it.effect("more that is sent gives a platform that passes nothing on no more time", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ stalledWriteTimeout: "10 seconds", keepAlive: false })
        transport.isHolding = true
        yield* ws.send("x")
        yield* TestClock.adjust("9 seconds")
        yield* ws.send("x")
        yield* TestClock.adjust("1 second")
        assert.isTrue(transport.isClosed)
      }))

    it.effect("a message that the platform does not take waits for the end, and fails with it", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.isClosing = true
        const sending = yield* start(Effect.flip(ws.send("a")))
        const all = yield* start(Effect.flip(ws.sendAll(["b", "c"])))
        const streamed = yield* start(Effect.flip(ws.sendTextStream(Stream.make("d", "e"))))
        assert.isFalse(ws.offerUnsafe("f"))
        assert.isFalse(ws.offerUnsafe(Message.prepare("g")))
        assert.isTrue(isPending(sending) && isPending(all) && isPending(streamed))
        transport.peerCloses(4000, "bye")
        yield* turn
        for (const fiber of [sending, all, streamed]) {
          const error = yield* done(fiber)
          assert.strictEqual(error._tag, "ConnectionClosed")
          if (error._tag === "ConnectionClosed") assert.deepInclude(error.info, { code: 4000, initiator: "remote" })
        }
        assert.deepStrictEqual(transport.said, [])
        assert.deepInclude(yield* ws.stats, { messagesSent: 0 })
      }))

    it.effect("if that end does not come, the connection is given up", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ closeTimeout: "5 seconds" })
        transport.isClosing = true
        const sending = yield* start(Effect.flip(ws.send("a")))
        yield* TestClock.adjust("11 seconds")
        yield* done(sending)
        assert.isTrue(transport.isClosed)
      }))

    it.effect("what it cannot do fails typed", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        assert.deepInclude(yield* Effect.flip(ws.ping()), { _tag: "Unsupported", operation: "ping" })
        assert.deepInclude(yield* Effect.flip(ws.sendPing()), { _tag: "Unsupported", operation: "sendPing" })
        const controls = yield* start(Stream.runCollect(ws.controls))
        assert.isTrue(isPending(controls))
        transport.peerCloses(1000, "")
        yield* turn
        assert.deepStrictEqual(yield* done(controls), [])
        assert.deepStrictEqual(ws.capabilities, page)
      }))
  })

  describe("receiving", () => {
    it.effect("messages in order, one at a time, in batches, and as one piece", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.push("a", bytes(1), "b", "c", "d")
        assert.strictEqual(yield* ws.receive, "a")
        assert.deepStrictEqual(yield* ws.receive, bytes(1))
        const streamed = yield* ws.receiveStream
        assert.strictEqual(streamed._tag, "Text")
        assert.deepStrictEqual(yield* Stream.runCollect(streamed.fragments as Stream.Stream<string, never>), ["b"])
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ws.batches, 1)), [["c", "d"]])
        const waiting = yield* start(ws.receive)
        transport.push("e")
        yield* turn
        assert.strictEqual(yield* done(waiting), "e")
        assert.deepInclude(yield* ws.stats, { messagesReceived: 6, bytesReceived: 6 })
      }))

    it.effect("one above the limit ends the connection behind those before it, and the peer is told at once", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ maxMessageSize: 4 })
        transport.push("1234", "12345", "lost")
        assert.deepStrictEqual(transport.said, ["close 4009 MessageTooBig"])
        assert.strictEqual(yield* ws.receive, "1234")
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ProtocolError", rule: "MessageTooBig", code: 1009 })
      }))

    it.effect("the limit counts bytes, not characters", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ maxMessageSize: 4 })
        transport.push("éé", "ééé")
        assert.strictEqual(yield* ws.receive, "éé")
        assert.deepInclude(yield* Effect.flip(ws.receive), { rule: "MessageTooBig" })
      }))

    it.effect("more than maxUnread ends a connection that cannot be paused; a single message may be larger", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ maxUnread: 200 })
        transport.push("x".repeat(300))
        assert.strictEqual(String(yield* ws.receive).length, 300)
        transport.push("x".repeat(60), "y".repeat(60), "lost")
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ws.messages, 2)), ["x".repeat(60), "y".repeat(60)])
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ProtocolError", rule: "TooMuchUnread", code: 1008 })
        assert.deepStrictEqual(transport.said, ["close 4008 TooMuchUnread"])
      }))

    it.effect("one that can be paused is, above the mark, and reads on below it", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ inboundHighWaterMark: 100, maxUnread: 1, capabilities: best })
        transport.push("x".repeat(100), "y")
        assert.isTrue(transport.isPaused)
        yield* ws.receive
        assert.isFalse(transport.isPaused)
      }))

    it.effect("it is relayed as any other", () =>
      Effect.gen(function*() {
        const from = yield* make()
        const to = yield* make()
        const relaying = yield* start(WebSocket.relay(from.ws, to.ws))
        from.transport.push("a", "b")
        from.transport.peerCloses(1000)
        yield* turn
        yield* done(relaying)
        assert.deepStrictEqual(to.transport.said, ["a", "b"])
      }))
  })

  describe("closing", () => {
    it.effect("the peer's Close comes behind its messages; sending is over at once", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        const closing = yield* start(ws.closing)
        transport.push("a")
        transport.peerCloses(4001, "bye")
        yield* turn
        const info = { code: 4001, reason: "bye", initiator: "remote", clean: true } as const
        assert.deepInclude(yield* done(closing), { code: 4001 })
        assert.deepInclude(yield* ws.closed, info)
        const error = yield* Effect.flip(ws.send("x"))
        if (error._tag === "ConnectionClosed") assert.deepInclude(error.info, info)
        else assert.fail(error._tag)
        assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), ["a"])
        assert.strictEqual((yield* Effect.flip(ws.receive))._tag, "ConnectionClosed")
      }))

    it.effect("a platform that does not say after the peer's Close that it is closed is dropped", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ closeTimeout: "5 seconds", keepAlive: false })
        transport.handlers.onClose(4000, "")
        assert.deepInclude(yield* ws.closed, { code: 4000 })
        yield* TestClock.adjust(4999)
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust(1)
        assert.isTrue(transport.isClosed)
      }))

    it.effect("a Close that is told behind the end changes nothing", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.breaks()
        transport.handlers.onClose(1000, "")
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", reason: "EndOfStream" })
      }))

    it.effect("what the platform had not passed on by then was not delivered", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.isHolding = true
        yield* ws.send("a")
        transport.peerCloses(1000)
        assert.deepInclude(yield* ws.closed, { code: 1000, clean: false })
      }))

    it.effect("an end without a Close fails the reader behind what had arrived, and senders at once", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        transport.push("a")
        transport.breaks()
        assert.deepInclude(yield* Effect.flip(ws.send("x")), { _tag: "IOError", reason: "EndOfStream" })
        assert.strictEqual(yield* ws.receive, "a")
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", reason: "EndOfStream" })
        assert.deepInclude(yield* ws.closed, { code: 1006, clean: false })
      }))

    it.effect("our Close follows what was sent, with a code that the platform can send", () =>
      Effect.gen(function*() {
        const codes: ReadonlyArray<readonly [number | undefined, string]> = [
          [undefined, "without a code"],
          [1000, "1000"],
          [1001, "4001"],
          [1011, "4011"],
          [3000, "3000"],
          [4999, "4999"]
        ]
        for (const [code, sent] of codes) {
          const { transport, ws } = yield* make()
          yield* ws.send("a")
          const closing = yield* start(ws.close(code))
          assert.deepStrictEqual(transport.said, ["a", `close ${sent}`])
          assert.isTrue(isPending(closing))
          transport.push("ignored")
          const answer = code === undefined ? 1005 : Number(sent)
          transport.peerCloses(answer)
          yield* turn
          assert.deepInclude(yield* done(closing), { code: answer, initiator: "local", clean: true })
        }
        const all = yield* make({ capabilities: best })
        yield* start(all.ws.close(1011, "why"))
        assert.deepStrictEqual(all.transport.said, ["close 1011 why"])
        assert.deepInclude(yield* Effect.flip(all.ws.close(1006)), { _tag: "InvalidArgument" })
      }))

    it.effect("a peer that does not answer is waited for as long as closeTimeout says", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ closeTimeout: "5 seconds" })
        const closing = yield* start(ws.close(1000))
        yield* TestClock.adjust(4999)
        assert.isTrue(isPending(closing))
        yield* TestClock.adjust(2)
        assert.deepInclude(yield* done(closing), { code: 1000, clean: false })
        assert.isTrue(transport.isClosed)
      }))

    it.effect("the end of its scope closes it, with the code of the exit", () =>
      Effect.gen(function*() {
        const { scope, transport, ws } = yield* make()
        const released = yield* start(Scope.close(scope, Exit.fail("no")))
        assert.deepStrictEqual(transport.said, ["close 4011"])
        transport.peerCloses(4011)
        yield* turn
        yield* done(released)
        assert.deepInclude(yield* ws.closed, { code: 4011, initiator: "local" })
      }))

    it.effect("whoever waits can be interrupted at once, and the next one takes the message", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ outboundHighWaterMark: 1 })
        const receiving = yield* start(ws.receive)
        yield* Fiber.interrupt(receiving)
        transport.push("a")
        assert.strictEqual(yield* ws.receive, "a")
        transport.isHolding = true
        yield* ws.send("b")
        const sending = yield* start(ws.send("never"))
        yield* Fiber.interrupt(sending)
        transport.drain()
        yield* TestClock.adjust("1 second")
        yield* ws.send("c")
        assert.deepStrictEqual(transport.said, ["b", "c"])
      }))
  })

  describe("above the mark", () => {
    it.effect("this side looks for more once a second, until something arrives", () =>
      Effect.gen(function*() {
        const { transport } = yield* make({ capabilities: best, inboundHighWaterMark: 1000, keepAlive: false })
        transport.push("x".repeat(1000))
        for (let i = 0; i < 3; i++) {
          assert.isTrue(transport.isPaused)
          yield* TestClock.adjust("1 second")
          assert.isFalse(transport.isPaused)
          transport.push("y")
        }
      }))
  })

  describe("heartbeat", () => {
    const heartbeat = { message: "ping", isAnswer: (message: Message.Message) => message === "pong" }

    it.effect("is sent every interval; its answers are not the reader's", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ heartbeat })
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("20 seconds")
          assert.lengthOf(transport.said, i + 1)
          transport.push("pong", `${i}`)
        }
        assert.deepStrictEqual(transport.said, ["ping", "ping", "ping"])
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ws.messages, 3)), ["0", "1", "2"])
      }))

    it.effect("breaks a connection on which nothing arrives", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ heartbeat, keepAlive: { interval: "1 second", timeout: "2 seconds" } })
        yield* TestClock.adjust(2999)
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust(2)
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", phase: "keepalive", reason: "TimedOut" })
        assert.isTrue(transport.isClosed)
      }))

    it.effect("goes on after a pause of this side, which is not the peer's silence", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({
          heartbeat,
          keepAlive: { interval: "1 second", timeout: "2 seconds" },
          capabilities: best,
          inboundHighWaterMark: 10,
          unreadTimeout: "Infinity"
        })
        // Before one is sent.
        transport.push("x".repeat(10))
        assert.isTrue(transport.isPaused)
        yield* TestClock.adjust(500)
        yield* ws.receive
        assert.isFalse(transport.isPaused)
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(transport.said, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(transport.said, ["ping"])
        // While it is awaited.
        yield* TestClock.adjust(1500)
        transport.push("pong", "x".repeat(10))
        assert.isTrue(transport.isPaused)
        yield* ws.receive
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(transport.said, ["ping"])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(transport.said, ["ping", "ping"])
        yield* TestClock.adjust(1999)
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust(1)
        assert.isTrue(transport.isClosed)
      }))

    it.effect("that the platform keeps is not judged before it is passed on", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ heartbeat, keepAlive: { interval: "1 second", timeout: "2 seconds" } })
        transport.isHolding = true
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(transport.said, ["ping"])
        assert.isFalse(transport.isClosed)
        transport.drain()
        yield* TestClock.adjust(1999)
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust(1)
        assert.isTrue(transport.isClosed)
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", phase: "keepalive", reason: "TimedOut" })
      }))

    const makeTimer = Effect.fnUntraced(function*(link: Partial<BeatingLink> = {}) {
      const sent: Array<unknown> = []
      let alarms = 0
      const timer = new HeartbeatTimer({
        limits: Limits.defaults,
        deadlines: yield* Deadlines.current,
        isOpen: true,
        isBlocked: false,
        protocol: { send: (message) => void sent.push(message) },
        flush: () => {},
        updateAlarm: () => alarms++,
        break: () => assert.fail("it broke"),
        ...link
      }, heartbeat)
      timer.start(0)
      return { timer, sent, alarms: () => alarms, interval: timer.due! }
    })

    it.effect("that is due while the connection closes is not asked for again, nor sent", () =>
      Effect.gen(function*() {
        const { interval, sent, timer } = yield* makeTimer({ isOpen: false })
        timer.onAlarm(interval - 1)
        assert.strictEqual(timer.due, interval)
        timer.onAlarm(interval)
        assert.isUndefined(timer.due)
        assert.deepStrictEqual(sent, [])
      }))

    it.effect("has what was left of its time once this side reads again", () =>
      Effect.gen(function*() {
        const { interval, timer } = yield* makeTimer()
        timer.standStill(true, 1)
        assert.strictEqual(timer.due, interval, "the interval is no wait for the peer")
        timer.onAlarm(interval)
        const due = timer.due!
        assert.isAbove(due, interval)
        timer.standStill(true, due - 7)
        assert.isUndefined(timer.due)
        timer.standStill(true, due - 3)
        timer.standStill(false, due + 100)
        assert.strictEqual(timer.due, due + 107)
        timer.standStill(false, due + 200)
        assert.strictEqual(timer.due, due + 107)
      }))

    it.effect("asks for the next alarm when the answer arrives", () =>
      Effect.gen(function*() {
        const { alarms, interval, timer } = yield* makeTimer()
        assert.isFalse(timer.takes("text"))
        assert.strictEqual(alarms(), 0)
        timer.onAlarm(interval)
        assert.isTrue(timer.takes("pong"))
        assert.strictEqual(alarms(), 1)
        assert.strictEqual(timer.due, interval)
      }))

    it.effect("without one nothing is sent", () =>
      Effect.gen(function*() {
        const { transport } = yield* make()
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(transport.said, [])
        assert.isFalse(transport.isClosed)
      }))
  })
})
