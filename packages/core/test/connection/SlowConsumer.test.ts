/** What becomes of messages that a peer does not take: suspended, dropped, or the connection closed. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import type { SlowConsumer } from "../../src/Limits.ts"
import * as Message from "../../src/Message.ts"
import { portable } from "../../src/Primitives.ts"
import { concat } from "../support/FakeTransport.ts"
import { done, isPending, make as makeConnection, type Options, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

const KiB = 1024

const patterned = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i >> 4) & 255)

/** A connection whose peer takes nothing more: one message is in flight, and the mark is 100 bytes. */
const slow = Effect.fnUntraced(function*(slowConsumer: SlowConsumer, options: Options = {}) {
  const open = yield* makeConnection({ outboundHighWaterMark: 100, slowConsumer, keepAlive: false, ...options })
  open.transport.holding = true
  yield* open.ws.send("in flight")
  yield* turn
  assert.isTrue(open.transport.isHeld)
  /** Ten bytes on the wire. */
  const numbered = (i: number) => `number ${i}`
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `text number ${from + i}`)
  return { ...open, numbered, numbers }
})

describe("SlowConsumer", () => {
  it.effect.each(["dropNewest", "dropOldest", { close: 1008, after: "3 seconds" }] as const)(
    "%j does the same with many prepared messages as with one after the other",
    (slowConsumer) =>
      Effect.gen(function*() {
        const outcome = Effect.fnUntraced(function*(atOnce: boolean) {
          const { numbered, said, transport, ws } = yield* slow(slowConsumer)
          const messages = Array.from({ length: 30 }, (_, i) => i % 7 === 5 ? numbered(i) : Message.prepare(numbered(i)))
          for (const from of [0, 10, 20]) {
            const some = messages.slice(from, from + 10)
            yield* Effect.ignore(atOnce ? ws.sendAll(some) : Effect.forEach(some, (one) => ws.send(one), { discard: true }))
            yield* turn
          }
          const dropped = yield* ws.dropped
          transport.release()
          yield* turn
          return { dropped, said: said() }
        })
        const expected = yield* outcome(false)
        assert.isAbove(expected.said.length, 8)
        assert.deepStrictEqual(yield* outcome(true), expected)
      })
  )

  describe("suspend", () => {
    it.effect("is the default: the sender waits, and nothing is lost", () =>
      Effect.gen(function*() {
        const { numbered, numbers, said, transport, ws } = yield* slow("suspend")
        const sender = yield* start(Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (i) => ws.send(numbered(i))))
        assert.isTrue(isPending(sender))
        transport.release()
        yield* turn
        yield* Fiber.join(sender)
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text in flight", ...numbers(0, 10)])
        assert.strictEqual(yield* ws.dropped, 0)
        const plain = yield* makeConnection({ outboundHighWaterMark: 10 })
        plain.transport.holding = true
        yield* plain.ws.send("0123456789")
        assert.isTrue(isPending(yield* start(plain.ws.send("x"))))
      }))
  })

  describe("what is kept back when the connection closes by itself", () => {
    it.effect("is sent before the Close where nothing is read (unreadTimeout)", () =>
      Effect.gen(function*() {
        const { binary, numbered, numbers, said, transport, ws } = yield* slow("dropOldest", {
          inboundHighWaterMark: KiB,
          unreadTimeout: "10 seconds"
        })
        for (let i = 0; i < 10; i++) yield* ws.send(numbered(i))
        for (let i = 0; i < 3; i++) transport.push(binary(KiB))
        yield* TestClock.adjust("10 seconds")
        transport.release()
        yield* turn
        assert.deepStrictEqual(said(), ["text in flight", ...numbers(0, 9), "close 1011 messages are not read"])
        assert.strictEqual(yield* ws.dropped, 0)
      }))

    it.effect("is counted, and the close is not clean, where room is made for others", () =>
      Effect.gen(function*() {
        const { close, numbered, numbers, said, transport, ws } = yield* slow("dropOldest")
        for (let i = 0; i < 12; i++) yield* ws.send(numbered(i))
        ;(ws as Connection).link.shed()
        transport.release()
        yield* turn
        transport.push(close(1013))
        yield* Stream.runDrain(ws.messages)
        const dropped = yield* ws.dropped
        assert.isAbove(dropped, 0)
        assert.deepStrictEqual(said(), ["text in flight", ...numbers(0, 11 - dropped), "close 1013 out of memory"])
        assert.deepInclude(yield* ws.closed, { code: 1013, clean: false })
      }))
  })

  describe("dropNewest", () => {
    it.effect("drops what comes while more waits than the mark allows, counts it, and goes on afterwards", () =>
      Effect.gen(function*() {
        const { numbered, numbers, said, transport, ws } = yield* slow("dropNewest")
        for (let i = 0; i < 50; i++) yield* done(yield* start(ws.send(numbered(i))))
        const kept = 50 - (yield* ws.dropped)
        assert.isAbove(kept, 0)
        assert.isBelow(kept, 12)
        transport.release()
        yield* ws.send("again")
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text in flight", ...numbers(0, kept - 1), "text again"])
        assert.strictEqual(yield* ws.dropped, 50 - kept)
      }))

    it.effect("through sendAll and the sink as well", () =>
      Effect.gen(function*() {
        const { numbered, said, transport, ws } = yield* slow("dropNewest")
        yield* done(yield* start(ws.sendAll(Array.from({ length: 50 }, (_, i) => numbered(i)))))
        yield* done(yield* start(Stream.run(Stream.range(0, 49).pipe(Stream.map(numbered)), ws.sink)))
        transport.release()
        yield* ws.flush
        assert.strictEqual((yield* ws.dropped) + said().length - 1, 100)
      }))

    it.effect("an uncopied payload is the caller's again at once, whatever becomes of it", () =>
      Effect.gen(function*() {
        const { sent, transport, ws } = yield* slow("dropNewest")
        const payload = new Uint8Array(20 * KiB).fill(1)
        yield* done(yield* start(ws.send(payload)))
        payload.fill(2)
        yield* done(yield* start(ws.send(payload)))
        payload.fill(3)
        transport.release()
        yield* ws.flush
        assert.strictEqual(yield* ws.dropped, 1)
        const frames = sent()
        assert.strictEqual(frames.length, 2)
        assert.isTrue(frames[1].data.every((byte) => byte === 1))
      }))

    it.effect("a message that is under the mark is not dropped, however large it is", () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* makeConnection({ outboundHighWaterMark: 100, slowConsumer: "dropNewest" })
        transport.holding = true
        yield* done(yield* start(ws.send("x".repeat(1000))))
        yield* turn
        yield* done(yield* start(ws.send("dropped")))
        transport.release()
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text 1000"])
        assert.strictEqual(yield* ws.dropped, 1)
      }))

    it.effect("never drops a fragment: what was begun is sent to its end", () =>
      Effect.gen(function*() {
        const { numbered, said, transport, ws } = yield* slow("dropNewest")
        const queue = yield* Queue.unbounded<string>()
        const streaming = yield* start(ws.sendTextStream(Stream.take(Stream.fromQueue(queue), 30)))
        for (let i = 0; i < 30; i++) yield* Queue.offer(queue, `fragment ${i}`)
        yield* turn
        assert.isTrue(isPending(streaming), "waits for room")
        yield* done(yield* start(ws.send(numbered(1))))
        assert.strictEqual(yield* ws.dropped, 1)
        transport.release()
        yield* turn
        yield* done(streaming)
        yield* ws.flush
        const frames = said()
        assert.strictEqual(frames[1], "text+ fragment 0")
        assert.strictEqual(frames.length, 1 + 30 + 1)
        assert.strictEqual(frames.at(-1), "more")
      }))

    it.effect("never drops control frames", () =>
      Effect.gen(function*() {
        const { numbered, ping, said, transport, ws } = yield* slow("dropNewest")
        for (let i = 0; i < 50; i++) yield* ws.send(numbered(i))
        transport.push(ping("there?"))
        const pinging = yield* start(ws.sendPing(new TextEncoder().encode("token")))
        assert.isTrue(isPending(pinging))
        transport.release()
        yield* turn
        yield* done(pinging)
        yield* ws.flush
        const frames = said()
        assert.include(frames, "pong there?")
        assert.strictEqual(frames.filter((frame) => frame.startsWith("ping")).length, 1)
      }))

    it.effect("a message behind somebody's streamed one waits its turn, as that is not the peer's fault", () =>
      Effect.gen(function*() {
        const { said, ws } = yield* makeConnection({ slowConsumer: "dropNewest" })
        const queue = yield* Queue.unbounded<string>()
        const streaming = yield* start(ws.sendTextStream(Stream.take(Stream.fromQueue(queue), 1)))
        const waiting = yield* start(ws.send("behind"))
        assert.isTrue(isPending(waiting))
        yield* Queue.offer(queue, "before")
        yield* turn
        yield* done(streaming)
        yield* done(waiting)
        assert.deepStrictEqual(said(), ["text+ before", "more", "text behind"])
        assert.strictEqual(yield* ws.dropped, 0)
      }))
  })

  describe("dropOldest", () => {
    it.effect("keeps the newest, in order, and drops those before them", () =>
      Effect.gen(function*() {
        const { numbered, numbers, said, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 200 })
        for (let i = 0; i < 50; i++) yield* done(yield* start(ws.send(numbered(i))))
        const dropped = yield* ws.dropped
        transport.release()
        yield* ws.flush
        const frames = said()
        assert.strictEqual(frames.length, 1 + 50 - dropped)
        // Those under the mark went first; of the others the newest are left.
        const encoded = frames.findIndex((frame, i) => i > 0 && frame !== `text number ${i - 1}`) - 1
        assert.deepStrictEqual(frames.slice(1), [...numbers(0, encoded - 1), ...numbers(encoded + dropped, 49)])
        assert.isAbove(dropped, 0)
        assert.strictEqual(frames.at(-1), "text number 49")
        yield* ws.send("again")
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text again"])
      }))

    it.effect("keeps no more than the mark again, but the newest in any case", () =>
      Effect.gen(function*() {
        const { sent, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 10 })
        for (const letter of "abc") yield* done(yield* start(ws.send(letter.repeat(1000))))
        assert.strictEqual(yield* ws.dropped, 2)
        transport.release()
        yield* ws.flush
        assert.deepStrictEqual(sent().map(({ data }) => data.at(-1)), ["t".charCodeAt(0), "c".charCodeAt(0)])
      }))

    it.effect("what is kept back is a copy", () =>
      Effect.gen(function*() {
        const { sent, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 10 })
        for (const size of [4, 20 * KiB]) {
          const payload = new Uint8Array(size).fill(1)
          yield* done(yield* start(ws.send(payload)))
          payload.fill(2)
          transport.release()
          yield* ws.flush
          const frame = sent().at(-1)!
          assert.strictEqual(frame.data.length, size)
          assert.isTrue(frame.data.every((byte) => byte === 1))
          transport.holding = true
          yield* ws.send("in flight")
          yield* turn
        }
      }))

    it.effect("flush, a streamed message, a ping and a close go behind what is kept back", () =>
      Effect.gen(function*() {
        const { close, numbered, said, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 10 })
        yield* ws.send(numbered(0))
        yield* ws.send(numbered(1))
        const streaming = yield* start(ws.sendTextStream(Stream.make("streamed")))
        const flushing = yield* start(ws.flush)
        const closing = yield* start(ws.close(1000))
        assert.isTrue(isPending(streaming) && isPending(flushing) && isPending(closing))
        transport.release()
        yield* turn
        transport.push(close(1000))
        yield* turn
        yield* done(flushing)
        yield* done(closing)
        yield* done(streaming)
        const frames = said()
        assert.deepStrictEqual(frames, ["text in flight", "text number 1", "text+ streamed", "more", "close 1000"])
        assert.strictEqual(yield* ws.dropped, 1)
      }))

    it.effect("what comes behind somebody who waits is kept back behind them", () =>
      Effect.gen(function*() {
        const { numbered, said, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 150 })
        for (let i = 0; i < 40; i++) yield* ws.send(numbered(i))
        const streaming = yield* start(ws.sendTextStream(Stream.make("streamed")))
        yield* done(yield* start(ws.send("behind")))
        assert.isTrue(isPending(streaming))
        transport.release()
        yield* turn
        yield* done(streaming)
        yield* ws.flush
        const frames = said()
        assert.deepStrictEqual(frames.slice(-3), ["text+ streamed", "more", "text behind"])
      }))

    it.effect("nobody waits behind what is kept back, though there is room and a streamed message goes on", () =>
      Effect.gen(function*() {
        const { numbered, said, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 500 })
        const queue = yield* Queue.unbounded<string>()
        const streaming = yield* start(ws.sendTextStream(Stream.take(Stream.fromQueue(queue), 2)))
        yield* Queue.offer(queue, "x".repeat(600))
        yield* turn
        yield* done(yield* start(ws.send(numbered(0))))
        transport.release()
        yield* turn
        yield* done(yield* start(ws.send(numbered(1))))
        yield* Queue.offer(queue, "end")
        yield* turn
        yield* done(streaming)
        yield* ws.flush
        assert.deepStrictEqual(said().slice(-4), ["more+ end", "more", "text number 0", "text number 1"])
      }))

    for (const how of ["the scope", "the peer's Close"] as const) {
      it.effect(`what is kept back goes out before the Close that ${how} brings`, () =>
        Effect.gen(function*() {
          const { close, numbered, said, scope, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 10 })
          yield* ws.send(numbered(7))
          if (how === "the scope") {
            yield* start(Scope.close(scope, Exit.void))
          } else {
            transport.push(close(1000))
            yield* start(Stream.runDrain(ws.messages))
          }
          transport.release()
          yield* turn
          assert.deepStrictEqual(said(), ["text in flight", "text number 7", "close 1000"])
        }))
    }

    it.effect("once the connection has broken, sending fails and nothing is kept", () =>
      Effect.gen(function*() {
        const { numbered, transport, ws } = yield* slow("dropOldest", { outboundHighWaterMark: 10 })
        yield* ws.send(numbered(0))
        transport.resets()
        assert.strictEqual((yield* Effect.flip(ws.send(numbered(1))))._tag, "IOError")
        assert.strictEqual((yield* Effect.flip(ws.flush))._tag, "IOError")
      }))
  })

  describe("close", () => {
    for (const code of [1008, 1013] as const) {
      it.effect(`closes with ${code} behind what waits once the peer was slow for a time, and fails the sender`, () =>
        Effect.gen(function*() {
          const { close, numbered, said, transport, ws } = yield* slow({ close: code, after: "3 seconds" })
          yield* Effect.forEach(Array.from({ length: 50 }, (_, i) => i), (i) => ws.send(numbered(i)))
          yield* TestClock.adjust(2999)
          yield* ws.send(numbered(50))
          yield* TestClock.adjust(1)
          const sent = yield* Effect.flip(ws.send(numbered(51)))
          assert(sent._tag === "ConnectionClosed")
          assert.deepInclude(sent.info, { code, reason: "too slow", initiator: "local" })
          transport.release()
          yield* turn
          assert.strictEqual(said().at(-1), `close ${code} too slow`)
          transport.push(close(code))
          // What was kept back is lost.
          assert.deepInclude(yield* ws.closed, { code, clean: false })
          assert.strictEqual(yield* ws.dropped, 0)
        }))
    }

    it.effect("a burst does not close: the peer takes it, and is fast again", () =>
      Effect.gen(function*() {
        const { numbered, said, transport, ws } = yield* slow({ close: 1008, after: "3 seconds" }, { outboundHighWaterMark: 10 })
        for (let burst = 0; burst < 5; burst++) {
          yield* ws.sendAll(Array.from({ length: 1000 }, (_, i) => numbered(i)))
          yield* TestClock.adjust("2 seconds")
          for (let i = 0; i < 1010; i++) {
            if (transport.isHeld) transport.take()
            yield* turn
          }
          yield* TestClock.adjust("2 seconds")
        }
        assert.isTrue(ws.offerUnsafe("still open"))
        assert.strictEqual(said().filter((one) => one.startsWith("text number")).length, 5000)
      }))

    it.effect("too many bytes close at once", () =>
      Effect.gen(function*() {
        const { ws } = yield* slow({ close: 1013, maxBytes: 10 * KiB }, { outboundHighWaterMark: 10 })
        let sent = 0
        const error = yield* Effect.flip(Effect.forever(Effect.tap(ws.send("x".repeat(KiB - 64)), () => Effect.sync(() => sent++))))
        assert.deepInclude(error, { _tag: "ConnectionClosed" })
        assert.strictEqual(sent, 10)
      }))

    it.effect("a peer that takes nothing at all is cut once its write has stalled", () =>
      Effect.gen(function*() {
        const { numbered, transport, ws } = yield* slow({ close: 1013, maxBytes: 0 })
        yield* Effect.exit(ws.sendAll(Array.from({ length: 50 }, (_, i) => numbered(i))))
        assert.strictEqual((ws as Connection).link.keptBack, 0, "what was kept is given back at once")
        yield* TestClock.adjust("30 seconds")
        assert.isTrue(transport.isDestroyed)
        assert.deepInclude(yield* ws.closed, { code: 1013, clean: false })
      }))

    it.effect("does not wait for an uncopied payload, nor reads it after the send", () =>
      Effect.gen(function*() {
        const { sent, transport, ws } = yield* makeConnection({ outboundHighWaterMark: 30 * KiB, slowConsumer: { close: 1008, maxBytes: 0 } })
        transport.holding = true
        const payload = new Uint8Array(20 * KiB).fill(1)
        yield* done(yield* start(ws.send(payload)))
        yield* turn
        payload.fill(2)
        yield* done(yield* start(ws.send(payload)))
        assert.strictEqual((yield* Effect.flip(ws.send(payload)))._tag, "ConnectionClosed")
        payload.fill(3)
        transport.release()
        assert.deepStrictEqual(sent().map(({ data }) => data[0]), [1, 2, 1008 >> 8])
      }))
  })

  describe("a prepared message", () => {
    for (const policy of ["dropNewest", "dropOldest", { close: 1013, maxBytes: 0 }] as const) {
      it.effect(`is treated as any other: ${typeof policy === "string" ? policy : "close"}`, () =>
        Effect.gen(function*() {
          const { said, transport, ws } = yield* slow(policy, { outboundHighWaterMark: 200 })
          const prepared = Array.from({ length: 50 }, (_, i) => Message.prepare(`number ${i}`))
          const exit = yield* Effect.exit(Effect.forEach(prepared, (one) => ws.send(one)))
          assert.strictEqual(Exit.isFailure(exit), typeof policy !== "string")
          const dropped = yield* ws.dropped
          transport.release()
          yield* turn
          const frames = said()
          if (typeof policy === "string") {
            assert.isAbove(dropped, 0)
            assert.strictEqual(frames.length, 1 + 50 - dropped)
            assert.strictEqual(frames.at(-1) === "text number 49", policy === "dropOldest")
          } else {
            assert.strictEqual(frames.at(-1), "close 1013 too slow")
          }
        }))
    }

    it.effect("that a client masks anew is kept back as it is", () =>
      Effect.gen(function*() {
        const { said, transport, ws } = yield* slow("dropOldest", { role: "client", outboundHighWaterMark: 10 })
        yield* ws.send(Message.prepare("kept"))
        transport.release()
        yield* turn
        assert.deepStrictEqual(said(), ["text in flight", "text kept"])
      }))
  })

  it.effect("what is kept back is written as the peer takes it, a mark's worth at a time", () =>
    Effect.gen(function*() {
      const { numbers, transport, ws, ...open } = yield* slow({ close: 1008, after: "1 hour", maxBytes: 1024 * KiB })
      for (let i = 0; i < 200; i++) yield* ws.send(`number ${i}`)
      yield* turn
      while (transport.isHeld) {
        transport.take()
        yield* turn
      }
      assert.isAtMost(Math.max(...transport.writes.map(({ length }) => length)), 120)
      assert.deepStrictEqual(open.said(), ["text in flight", ...numbers(0, 199)])
    }))

  it.effect("a send that finds the transport closed when it makes room fails", () =>
    Effect.gen(function*() {
      for (const slowConsumer of ["dropNewest", "dropOldest", { close: 1013 }] as const) {
        const { transport, ws } = yield* makeConnection({ slowConsumer, outboundHighWaterMark: 10 })
        yield* ws.send("0123456789")
        transport.write = () => {
          transport.closes()
          return true
        }
        assert.strictEqual((yield* Effect.flip(ws.send("late")))._tag, "IOError")
      }
    }))

  describe("with an extension", () => {
    for (const policy of ["dropNewest", "dropOldest"] as const) {
      it.effect(`${policy}: a message that is dropped never reached the encoder`, () =>
        Effect.gen(function*() {
          const transform = RunLength.open()
          const { transport, ws } = yield* slow(policy, { extension: () => transform, outboundHighWaterMark: 200 })
          const begun = transform.asked.length
          for (let i = 0; i < 100; i++) yield* ws.send(`${i}`.repeat(10))
          const dropped = yield* ws.dropped
          assert.isAbove(dropped, 0)
          transport.release()
          yield* ws.flush
          const frames = RunLength.framesOf(transport.written, "forbidden")
          assert.strictEqual(transform.asked.length - begun, 100 - dropped)
          assert.strictEqual(frames.length, 1 + 100 - dropped)
        }))
    }

    it.effect("a turn of the event loop passes between slices, and after as many bytes of messages", () =>
      Effect.gen(function*() {
        for (const policy of ["dropNewest", "dropOldest"] as const) {
          for (const sizes of [[1000], [90, 90, 90]]) {
            const transform = RunLength.open({ sliceSize: 100 })
            const { ws } = yield* makeConnection({ slowConsumer: policy, extension: () => transform })
            const sending = yield* Effect.forkChild(Effect.forEach(sizes, (size) => ws.send(new Uint8Array(size))))
            yield* Effect.yieldNow
            assert.isBelow(transform.pushed.length, 3)
            assert.isTrue(isPending(sending))
            yield* Fiber.join(sending)
            yield* ws.flush
          }
        }
      }))

    it.effect("what follows a message in slices is sent behind it", () =>
      Effect.gen(function*() {
        for (const policy of ["dropNewest", "dropOldest"] as const) {
          const transform = RunLength.open({ sliceSize: 100 })
          const { transport, ws } = yield* makeConnection({ slowConsumer: policy, extension: () => transform })
          yield* ws.sendAll([patterned(500), "last"])
          yield* ws.flush
          const frames = RunLength.framesOf(transport.written, "forbidden")
          assert.strictEqual(new TextDecoder().decode(RunLength.decode(frames.at(-1)!.data)), "last")
        }
      }))

    it.effect("a message in slices is sent whole or not at all", () =>
      Effect.gen(function*() {
        for (const policy of ["dropNewest", "dropOldest"] as const) {
          const transform = RunLength.open({ sliceSize: 100 })
          const { transport, ws } = yield* slow(policy, { extension: () => transform })
          const large = Uint8Array.from({ length: 1000 }, (_, i) => i & 255)
          const first = yield* start(ws.send(large))
          const second = yield* start(ws.send(large))
          transport.release()
          yield* turn
          yield* Effect.all([Fiber.join(first), Fiber.join(second)])
          yield* ws.flush
          const frames = RunLength.framesOf(transport.written, "forbidden").slice(1)
          const whole = RunLength.decode(concat(frames.map(({ data }) => data)))
          assert.strictEqual(whole.length, 1000 * (2 - (yield* ws.dropped)))
          assert.strictEqual(frames.filter(({ fin }) => fin).length, 2 - (yield* ws.dropped))
        }
      }))

    it.effect("an encoder that throws is the sender's defect, or closes where no sender is left", () =>
      Effect.gen(function*() {
        for (const policy of ["dropNewest", "dropOldest"] as const) {
          let broken = false
          const transform = RunLength.open({
            compress: () => {
              if (broken) throw new Error("no")
              return true
            }
          })
          const { transport, ws } = yield* slow(policy, { extension: () => transform, outboundHighWaterMark: 10 })
          if (policy === "dropNewest") transport.release()
          broken = true
          const exit = yield* Effect.exit(ws.send("x"))
          transport.release()
          yield* turn
          assert.strictEqual(Exit.isFailure(exit), policy === "dropNewest")
          const last = transport.writes.at(-1)!
          if (policy === "dropOldest") assert.deepStrictEqual([...last.subarray(2, 4)], [1011 >> 8, 1011 & 255])
        }
      }))
  })

  describe("whatever is sent and taken", () => {
    const operation = Schema.Union([
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 })),
      Schema.Literals(["take", "release", "hold", "turn"])
    ])
    for (const policy of ["dropNewest", "dropOldest"] as const) {
      for (const role of ["client", "server"] as const) {
        it.effect.prop(`${policy}: a ${role}'s peer gets a subsequence, and the rest was counted`, {
          operations: Arbitrary.array(Arbitrary.schema(operation), { maxLength: 60 })
        }, ({ operations }) =>
          Effect.gen(function*() {
            const open = yield* makeConnection({
              role,
              slowConsumer: policy,
              outboundHighWaterMark: 500,
              primitives: portable,
              keepAlive: false
            })
            const { transport, ws } = open
            const all: Array<string> = []
            for (const operation of operations) {
              if (typeof operation === "number") {
                const message = `${all.length}:`.padEnd(operation, "x")
                all.push(message)
                yield* done(yield* start(ws.send(message)))
              } else if (operation === "take") {
                if (transport.isHeld) transport.take()
              } else if (operation === "release") {
                transport.release()
              } else if (operation === "hold") {
                transport.holding = true
              } else {
                yield* turn
              }
            }
            transport.release()
            yield* ws.flush
            const got = open.sent().map(({ data }) => new TextDecoder().decode(data))
            assert.strictEqual(got.length + (yield* ws.dropped), all.length)
            let from = 0
            for (const message of got) {
              const at = all.indexOf(message, from)
              assert.isAtLeast(at, from, "in order, and none twice")
              from = at + 1
            }
            if (policy === "dropOldest" && all.length > 0) assert.strictEqual(got.at(-1), all.at(-1))
          }))
      }
    }
  })
})
