import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import * as Opcode from "../../src/Opcode.ts"
import type * as WebSocket from "../../src/WebSocket.ts"
import type { InvalidArgument } from "../../src/WebSocketError.ts"
import { frame } from "../support/FakeTransport.ts"
import { bytes, done, isPending, make, start, turn } from "../support/Harness.ts"

const KiB = 1024

describe("Pings", () => {
  describe("keepalive", () => {
    it.effect("pings every 20 s, and the peer is gone 20 s after an unanswered one", () =>
      Effect.gen(function*() {
        const { alarms, said, transport, ws } = yield* make()
        const reading = yield* start(Effect.flip(Stream.runDrain(ws.messages)))
        yield* TestClock.adjust(19_999)
        assert.deepStrictEqual(said(), [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(said(), ["ping 8"])
        yield* TestClock.adjust(19_999)
        assert.isTrue(isPending(reading))
        yield* TestClock.adjust(1)
        const expected = { _tag: "IOError", phase: "keepalive", reason: "TimedOut" } as const
        assert.deepInclude(yield* done(reading), expected)
        assert.deepInclude(yield* Effect.flip(ws.send("x")), expected)
        assert.deepInclude(yield* ws.closed, { code: 1006, clean: false })
        assert.isTrue(transport.isClosed)
        assert.strictEqual(alarms(), 0)
      }))

    it.effect("a Pong keeps the connection alive, for as long as they come", () =>
      Effect.gen(function*() {
        const { pong, sent, transport } = yield* make()
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("20 seconds")
          const frames = sent()
          assert.deepStrictEqual(frames.map((frame) => frame.opcode), [Opcode.Ping], `round ${i}`)
          transport.push(pong(frames[0].data))
        }
        assert.isFalse(transport.isClosed)
      }))

    it.effect("measures the round trip of its own Pings", () =>
      Effect.gen(function*() {
        const { pong, sent, transport, ws } = yield* make()
        const { pings } = (ws as Connection).link
        assert.isUndefined(pings!.lastRoundTrip)
        yield* TestClock.adjust("20 seconds")
        const [ping] = sent()
        yield* TestClock.adjust(70)
        transport.push(pong("of another"))
        assert.isUndefined(pings!.lastRoundTrip)
        transport.push(pong(ping!.data))
        assert.strictEqual(pings!.lastRoundTrip, 70)
      }))

    it.effect("each Ping has another token, which the peer cannot know before", () =>
      Effect.gen(function*() {
        const { pong, sent, transport } = yield* make()
        const numbers = new Set<string>()
        const randoms = new Set<string>()
        for (let i = 0; i < 5; i++) {
          yield* TestClock.adjust("20 seconds")
          const [{ data }] = sent()
          numbers.add(data.subarray(0, 4).join())
          randoms.add(data.subarray(4).join())
          transport.push(pong(data))
        }
        assert.strictEqual(numbers.size, 5, "4 bytes of a token are another number")
        assert.isAbove(randoms.size, 1, "4 bytes of a token are random")
      }))

    it.effect("the Pong of a later Ping counts, since a peer need answer the latest only", () =>
      Effect.gen(function*() {
        const { pong, said, transport, ws } = yield* make()
        yield* TestClock.adjust("20 seconds")
        const ping = yield* start(ws.ping(bytes(1)))
        yield* ws.sendPing(bytes(2, 2))
        yield* turn
        assert.deepStrictEqual(said(), ["ping 8", "ping 1", "ping 2"])
        transport.push(pong(bytes(2, 2)))
        yield* turn
        yield* done(ping)
        yield* TestClock.adjust("20 seconds")
        assert.isFalse(transport.isClosed)
        assert.deepStrictEqual(said(), ["ping 8"])
      }))

    it.effect("has its own interval and timeout, and can be off", () =>
      Effect.gen(function*() {
        const quick = yield* make({ keepAlive: { interval: "1 second", timeout: "500 millis" } })
        yield* TestClock.adjust(1499)
        assert.isFalse(quick.transport.isClosed)
        yield* TestClock.adjust(1)
        assert.isTrue(quick.transport.isClosed)
        const off = yield* make({ keepAlive: false })
        assert.strictEqual(off.alarms(), 0)
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(off.said(), [])
      }))

    it.effect("sees the Pongs of a peer whose messages a busy reader leaves unread, and notices its end", () =>
      Effect.gen(function*() {
        const { binary, pong, sent, transport, ws } = yield* make({ inboundHighWaterMark: KiB })
        const reading = yield* start(Effect.flip(Stream.runForEach(ws.messages, () => Effect.never)))
        transport.push(binary(KiB), binary(KiB))
        assert.isTrue(transport.isPaused)
        for (let i = 0; i < 200; i++) {
          yield* TestClock.adjust("1 second")
          for (const { data, opcode } of sent()) if (opcode === Opcode.Ping) transport.push(pong(data))
        }
        assert.isFalse(transport.isClosed, "the peer is there")
        yield* TestClock.adjust("41 seconds")
        assert.isTrue(transport.isClosed, "it is gone")
        assert.isTrue(isPending(reading))
      }))

    it.effect("is suspended while this side neither reads nor looks, and goes on afterwards", () =>
      Effect.gen(function*() {
        const { binary, transport, ws } = yield* make({ inboundHighWaterMark: KiB, unreadTimeout: "1 day" })
        // More than all looks of an hour take in, so that no Pong can be seen.
        for (let i = 0; i < 500; i++) transport.push(binary(KiB))
        yield* TestClock.adjust("1 hour")
        assert.isTrue(transport.isPaused)
        assert.isFalse(transport.isClosed)
        const draining = yield* start(Effect.flip(ws.drain))
        assert.isFalse(transport.isPaused)
        yield* TestClock.adjust("1 minute")
        assert.isTrue(transport.isClosed)
        assert.deepInclude(yield* done(draining), { _tag: "IOError", phase: "keepalive" })
      }))

    it.effect("sends none behind a Close", () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* make({ closeTimeout: "1 minute" })
        yield* start(ws.close(1000))
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(said(), ["close 1000"])
        assert.isFalse(transport.isDestroyed, "the deadline is that of the Close")
      }))

    it.effect("a large frame on its way is a sign of life, one that stands still is not", () =>
      Effect.gen(function*() {
        const { binary, transport, ws } = yield* make({ inboundHighWaterMark: 1024 * KiB, messageProgress: { timeout: Infinity } })
        yield* start(Effect.exit(ws.receive))
        const big = binary(100 * KiB)
        let at = 0
        for (let i = 0; i < 20; i++) {
          transport.push(big.slice(at, at += KiB))
          yield* TestClock.adjust("10 seconds")
        }
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust("40 seconds")
        assert.isTrue(transport.isClosed)
      }))
  })

  describe("progress counts as life", () => {
    it.effect("what the peer sends, in one large frame or in many", () =>
      Effect.gen(function*() {
        const { binary, pong, sent, transport, ws } = yield* make()
        yield* start(Effect.exit(Stream.runDrain(ws.messages)))
        yield* TestClock.adjust("20 seconds")
        const [ping] = sent()
        for (let i = 0; i < 60; i++) {
          transport.push(binary(10))
          yield* TestClock.adjust("3 seconds")
        }
        assert.isFalse(transport.isClosed, "its Pong stands behind a large answer")
        transport.push(pong(ping.data))
        yield* TestClock.adjust("39 seconds")
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(transport.isClosed, "it sends nothing more")
      }))

    it.effect("what the peer takes of a write that had to wait", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ stalledWriteTimeout: "1 hour" })
        yield* start(Effect.exit(Stream.runDrain(ws.messages)))
        transport.holding = true
        for (let i = 0; i < 20; i++) {
          yield* ws.send("x".repeat(KiB))
          yield* TestClock.adjust("10 seconds")
          transport.take()
          yield* turn
          if (transport.isHeld) transport.take()
        }
        assert.isFalse(transport.isClosed)
        transport.release()
        yield* TestClock.adjust("41 seconds")
        assert.isTrue(transport.isClosed)
      }))

    it.effect("what the transport takes at once is none: the peer may be gone", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make()
        yield* start(Effect.exit(Stream.runDrain(ws.messages)))
        for (let i = 0; i < 39; i++) {
          yield* ws.send("into the network's buffers")
          yield* TestClock.adjust("1 second")
        }
        assert.isFalse(transport.isClosed)
        yield* TestClock.adjust("1 second")
        assert.isTrue(transport.isClosed)
      }))
  })

  describe("ping", () => {
    it.effect("gives the round trip", () =>
      Effect.gen(function*() {
        const { pong, said, sent, transport, ws } = yield* make()
        const ping = yield* start(ws.ping(bytes(1, 2)))
        assert.deepStrictEqual(said(), ["ping 2"])
        yield* TestClock.adjust(150)
        transport.push(pong(bytes(1)), pong(bytes(1, 2, 3)), pong())
        yield* turn
        assert.isTrue(isPending(ping), "Pongs that nobody asked for are ignored")
        transport.push(pong(bytes(1, 2)))
        yield* turn
        assert.strictEqual(Duration.toMillis(yield* done(ping)), 150)
        // with a token of its own
        const fresh = yield* start(ws.ping())
        transport.push(pong(sent()[0].data))
        yield* turn
        yield* done(fresh)
      }))

    it.effect("a Pong settles the earlier ones too, and no later one", () =>
      Effect.gen(function*() {
        const { pong, transport, ws } = yield* make()
        const first = yield* start(ws.ping(bytes(1)))
        yield* TestClock.adjust(100)
        const second = yield* start(ws.ping(bytes(2)))
        const third = yield* start(ws.ping(bytes(3)))
        yield* TestClock.adjust(10)
        transport.push(pong(bytes(2)))
        yield* turn
        assert.strictEqual(Duration.toMillis(yield* done(first)), 110)
        assert.strictEqual(Duration.toMillis(yield* done(second)), 10)
        assert.isTrue(isPending(third))
        transport.push(pong(bytes(3)))
        yield* turn
        yield* done(third)
      }))

    it.effect("so does the Pong of a Ping that nobody waits for", () =>
      Effect.gen(function*() {
        const { pong, said, sent, transport, ws } = yield* make()
        const first = yield* start(ws.ping(bytes(1)))
        for (let i = 0; i < 100; i++) yield* ws.sendPing(bytes(2, i))
        yield* turn
        assert.strictEqual(said().length, 101)
        transport.push(pong(bytes(2, 99)))
        yield* turn
        yield* done(first)
        const second = yield* start(ws.ping(bytes(1)))
        yield* TestClock.adjust("20 seconds")
        const frames = sent()
        transport.push(pong(frames[frames.length - 1].data))
        yield* turn
        yield* done(second)
      }))

    it.effect("is forgotten when it is interrupted, and remembers nothing without need", () =>
      Effect.gen(function*() {
        const { ws } = yield* make({ keepAlive: false })
        const { pings } = (ws as unknown as { link: { pings: { pending: Array<unknown> | undefined } } }).link
        for (let i = 0; i < 20; i++) {
          const ping = yield* start(ws.ping())
          yield* ws.sendPing()
          assert.isAtMost(pings.pending!.length, 2)
          yield* Fiber.interrupt(ping)
        }
        assert.isUndefined(pings.pending)
        yield* ws.sendPing()
        assert.isUndefined(pings.pending)
      }))

    it.effect("leaves nothing behind once its Pong came", () =>
      Effect.gen(function*() {
        const { pong, transport, ws } = yield* make()
        const { link } = ws as Connection
        for (let i = 0; i < 10; i++) {
          const ping = yield* start(ws.ping(bytes(i)))
          transport.push(pong(bytes(i)))
          yield* turn
          yield* done(ping)
        }
        assert.strictEqual(link.listeners!.size, 0)
        assert.isUndefined((link.pings as unknown as { readonly pending: unknown }).pending)
      }))

    it.effect("refuses a token over 125 bytes, and sends nothing", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* make()
        for (const refused of [ws.ping(new Uint8Array(126)), ws.sendPing(new Uint8Array(126))]) {
          const error = yield* Effect.flip(refused as Effect.Effect<unknown, WebSocket.SendError | InvalidArgument>)
          assert.deepInclude(error, { _tag: "InvalidArgument", argument: "token" })
        }
        yield* ws.sendPing(new Uint8Array(125))
        yield* turn
        assert.deepStrictEqual(said(), ["ping 125"])
      }))

    it.effect("fails when the connection closes or breaks", () =>
      Effect.gen(function*() {
        const closing = yield* make()
        const first = yield* start(Effect.flip(closing.ws.ping()))
        closing.transport.push(closing.close(1000))
        yield* turn
        assert.deepInclude(yield* done(first), { _tag: "ConnectionClosed" })
        const breaking = yield* make()
        const second = yield* start(Effect.flip(breaking.ws.ping()))
        breaking.transport.resets()
        yield* turn
        assert.deepInclude(yield* done(second), { _tag: "IOError", reason: "Reset" })
      }))
  })

  describe("controls", () => {
    it.effect("shows the peer's Pings and Pongs until the connection ends", () =>
      Effect.gen(function*() {
        const { close, ping, pong, said, transport, ws } = yield* make()
        transport.push(ping("before"))
        const watching = yield* start(Stream.runCollect(ws.controls))
        transport.push(ping("a"), pong("b"))
        transport.push(frame(Opcode.Ping, "c", { masked: true }))
        yield* turn
        assert.deepStrictEqual(said(), ["pong before", "pong a", "pong c"])
        transport.push(close(1000))
        yield* turn
        assert.deepStrictEqual(
          (yield* done(watching)).map(({ payload, type }) => `${type} ${new TextDecoder().decode(payload)}`),
          ["ping a", "pong b", "ping c"]
        )
        assert.deepStrictEqual(yield* Stream.runCollect(ws.controls), [])
      }))

    it.effect("misses the oldest where the observer falls behind, and forgets one that left", () =>
      Effect.gen(function*() {
        const { close, pong, transport, ws } = yield* make()
        const seen: Array<number> = []
        const watching = yield* start(Stream.runForEach(ws.controls, ({ payload }) =>
          Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => seen.push(payload[0])))))
        const other = yield* start(Stream.runDrain(ws.controls))
        assert.strictEqual((ws as Connection).link.pings!["observers"]!.size, 2)
        yield* Fiber.interrupt(other)
        assert.strictEqual((ws as Connection).link.pings!["observers"]!.size, 1)
        for (let i = 0; i < 200; i++) transport.push(pong(bytes(i)))
        transport.push(close(1000))
        yield* TestClock.adjust("10 minutes")
        yield* done(watching)
        assert.isAtMost(seen.length, 70)
        assert.strictEqual(seen[seen.length - 1], 199)
      }))
  })
})
