import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { bytes, isPending, make, type Options, start } from "../support/Harness.ts"
import { portable } from "../../src/Primitives.ts"
import { concat } from "../support/FakeTransport.ts"

const KiB = 1024

/** Without the keepalive, whose Pings would be in the way. */
const makeAlive = (options: Options = {}) => make({ keepAlive: false, ...options })

/** The header of a binary message of `size` bytes from a client, masked with zeros. */
const declared = (size: number, fin = true) =>
  bytes(fin ? 0x82 : 0x02, 0xff, 0, 0, 0, 0, size >>> 24, size >>> 16, size >>> 8, size, 0, 0, 0, 0)

describe("MessageWatch", () => {
  it.effect("a message that was begun and not ended in time breaks the connection with 1008", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* makeAlive()
      const reader = yield* start(Effect.flip(Stream.runDrain(ws.messages)))
      transport.push(text("begun", false))
      yield* TestClock.adjust(59_999)
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
      assert.deepInclude(yield* Fiber.join(reader), { _tag: "ProtocolError", rule: "MessageTooSlow", code: 1008 })
      assert.isTrue(transport.isEnded)
    }))

  it.effect("gives back the memory that a declared length took", () =>
    Effect.gen(function*() {
      let allocated = 0
      const primitives = { ...portable, allocate: (size: number) => (allocated += size, portable.allocate(size)) }
      const { said, transport, ws } = yield* makeAlive({ primitives })
      // Fourteen bytes and one: a mebibyte is held for them.
      transport.push(declared(1 << 20), bytes(1))
      assert.isAtLeast(allocated, 1 << 20)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
      assert.strictEqual((yield* Effect.flip(ws.receive))._tag, "ProtocolError")
    }))

  it.effect("one byte a second is too slow, whatever pings come between", () =>
    Effect.gen(function*() {
      const { ping, said, transport, ws } = yield* makeAlive()
      yield* start(Stream.runDrain(ws.messages))
      transport.push(declared(100_000, false))
      for (let i = 0; i < 60; i++) {
        transport.push(bytes(1))
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
      const second = yield* makeAlive()
      second.transport.push(second.text("x", false))
      for (let i = 0; i < 60; i++) {
        for (let j = 0; j < 20; j++) second.transport.push(ping("x".repeat(125)))
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(second.said().at(-1), "close 1008 MessageTooSlow")
    }))

  it.effect("empty fragments are no progress", () =>
    Effect.gen(function*() {
      const { more, said, text, transport, ws } = yield* makeAlive()
      yield* start(Stream.runDrain(ws.messages))
      transport.push(text("", false))
      for (let i = 0; i < 12; i++) {
        transport.push(more("", false))
        yield* TestClock.adjust("5 seconds")
      }
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
    }))

  it.effect("a large message over a slow link comes through, as long as it comes along", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* makeAlive()
      const reader = yield* start(ws.receive)
      const size = 1 << 20
      transport.push(declared(size))
      // A modem's two KiB a second: more than eight minutes.
      for (let at = 0; at < size; at += 2 * KiB) {
        yield* TestClock.adjust("1 second")
        transport.push(new Uint8Array(2 * KiB))
      }
      assert.deepStrictEqual(said(), [])
      assert.strictEqual((yield* Fiber.join(reader)).length, size)
    }))

  it.effect("small messages, each cut by the network's chunks, are no slow message", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* makeAlive()
      const reader = yield* start(Stream.runCollect(Stream.take(ws.messages, 100)))
      const message = text("hello")
      transport.push(message.subarray(0, 7))
      for (let i = 0; i < 100; i++) {
        yield* TestClock.adjust("30 seconds")
        transport.push(concat([message.subarray(7), message.subarray(0, 7)]))
      }
      assert.deepStrictEqual(said(), [])
      assert.strictEqual((yield* Fiber.join(reader)).length, 100)
    }))

  it.effect("a message that is read as a stream may take its time", () =>
    Effect.gen(function*() {
      const { more, said, text, transport, ws } = yield* makeAlive()
      const reader = yield* start(Effect.flatMap(ws.receiveStream, (message) => Stream.runCollect<string | Uint8Array, unknown, never>(message.fragments)))
      transport.push(text("a", false))
      yield* TestClock.adjust("1 hour")
      transport.push(more("b", false))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(said(), [])
      transport.push(more("c"))
      assert.deepStrictEqual(yield* Fiber.join(reader), ["a", "b", "c"])
    }))

  it.effect("but not once its reader has left it and waits for the next", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* makeAlive()
      const first = yield* start(ws.receiveStream)
      transport.push(text("a", false))
      yield* Fiber.join(first)
      yield* start(Effect.flip(ws.receive))
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
    }))

  it.effect("time stands still while this side does not read", () =>
    Effect.gen(function*() {
      const { more, said, text, transport, ws } = yield* makeAlive({ inboundHighWaterMark: 10 })
      transport.push(concat([text("x".repeat(20)), text("begun", false)]))
      assert.isTrue(transport.isPaused)
      yield* TestClock.adjust("4 minutes")
      transport.push(more("ended"))
      assert.deepStrictEqual(said(), [])
      assert.strictEqual((yield* ws.receive).length, 20)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* ws.receive, "begunended")
    }))

  it.effect("also where it read for a part of the time only", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* makeAlive({ inboundHighWaterMark: 10 })
      transport.push(concat([text("x".repeat(20)), text("begun", false)]))
      yield* TestClock.adjust("50 seconds")
      yield* ws.receive
      yield* start(Effect.exit(ws.receive))
      assert.isFalse(transport.isPaused)
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(said(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(said(), ["close 1008 MessageTooSlow"])
    }))

  it.effect("is set once for many messages, and forgotten with the connection", () =>
    Effect.gen(function*() {
      const { alarms, binary, said, text, transport, ws } = yield* makeAlive()
      yield* start(Stream.runDrain(ws.messages))
      transport.push(text("whole"))
      assert.strictEqual(alarms(), 0, "a whole message needs no watch")
      transport.push(text("begun", false))
      assert.strictEqual(alarms(), 1)
      transport.closes()
      assert.strictEqual(alarms(), 0)
      const off = yield* makeAlive({ messageProgress: { timeout: Infinity } })
      off.transport.push(binary(1, false))
      yield* TestClock.adjust("10 days")
      assert.deepStrictEqual(off.said(), [])
      assert.deepStrictEqual(said(), [])
    }))

  it.effect("a connection that is closing has its own deadline", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* makeAlive({ closeTimeout: "10 minutes", closeLimit: "1 hour" })
      transport.push(text("begun", false))
      const closing = yield* start(ws.close(1000))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(said(), ["close 1000"])
      assert.isTrue(isPending(closing))
    }))
})
