/** An extension's encoder in a connection: slices, turns, interruption, and whose turn it is. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as Frame from "../../src/Frame.ts"
import * as Opcode from "../../src/Opcode.ts"
import { concat } from "../support/FakeTransport.ts"
import { done, isPending, make as makeConnection, type Options, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

const KiB = 1024

interface Sent {
  readonly type: "text" | "binary" | "control"
  /** Data frames; 1 for an unfragmented message. */
  readonly frames: number
  readonly encoded: boolean
  readonly value: string | Uint8Array
}

/** The messages that frames are, control frames where they stand, with every rule of §5.4 checked. */
const messagesOf = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<Sent> => {
  const sent: Array<Sent> = []
  let open: { readonly first: Frame.Frame; readonly parts: Array<Uint8Array> } | undefined
  for (const frame of frames) {
    assert.isFalse(frame.rsv1 || frame.rsv3)
    if (frame.opcode >= Opcode.Close) {
      assert.isFalse(frame.rsv2)
      sent.push({ type: "control", frames: 1, encoded: false, value: frame.data })
      continue
    }
    if (frame.opcode === Opcode.Continuation) {
      assert.isFalse(frame.rsv2, "on the first frame only")
      assert.isDefined(open)
    } else {
      assert.isUndefined(open, "a message inside of another")
      open = { first: frame, parts: [] }
    }
    open!.parts.push(frame.data)
    if (!frame.fin) continue
    const { first, parts } = open!
    open = undefined
    const data = first.rsv2 ? RunLength.decode(concat(parts)) : concat(parts)
    const text = first.opcode === Opcode.Text
    sent.push({
      type: text ? "text" : "binary",
      frames: parts.length,
      encoded: first.rsv2,
      value: text ? new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(data) : data
    })
  }
  assert.isUndefined(open, "a message without an end")
  return sent
}

const make = Effect.fnUntraced(function*(options: Options & { readonly toy?: RunLength.Options } = {}) {
  const { toy, ...rest } = options
  const transform = RunLength.open({ sliceSize: KiB, ...toy })
  const open = yield* makeConnection({ ...rest, extension: () => transform })
  const mask = rest.role === "client" ? "required" : "forbidden"
  return {
    ...open,
    transform,
    frames: () => RunLength.framesOf(open.transport.written, mask),
    messages: () => messagesOf(RunLength.framesOf(open.transport.written, mask))
  }
})

const patterned = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i >> 4) & 255)
const values = (sent: ReadonlyArray<Sent>) => sent.map(({ value }) => value)

describe("Sending through an extension", () => {
  for (const role of ["client", "server"] as const) {
    it.effect(`a ${role}'s messages: small in one frame, large in slices`, () =>
      Effect.gen(function*() {
        const { messages, transform, ws } = yield* make({ role })
        const sizes = [0, 1, KiB, KiB + 1, 10 * KiB + 7, 3]
        for (const size of sizes) yield* ws.send(patterned(size))
        for (const size of sizes) yield* ws.send("x".repeat(size))
        yield* ws.flush
        const sent = messages()
        assert.deepStrictEqual(values(sent), [...sizes.map(patterned), ...sizes.map((size) => "x".repeat(size))])
        assert.deepStrictEqual(sent.map(({ frames }) => frames), [1, 1, 1, 2, 11, 1, 1, 1, 1, 2, 11, 1])
        assert.isTrue(sent.every(({ encoded }) => encoded))
        assert.isAtMost(Math.max(...transform.pushed), KiB)
      }))
  }

  it.effect("a message in slices that is lost before its first asks nothing of an extension that is closed", () =>
    Effect.gen(function*() {
      let lost = 0
      for (let wait = 0; wait < 60; wait++) {
        const { transport, ws } = yield* make()
        const sending = yield* Effect.forkChild(Effect.provideService(ws.send(patterned(10 * KiB)), Scheduler.MaxOpsBeforeYield, 3))
        for (let i = 0; i < wait; i++) yield* Effect.yieldNow
        transport.closes()
        const exit = yield* Fiber.await(sending)
        if (Exit.isFailure(exit)) {
          lost++
          assert.isFalse(Exit.hasDies(exit), `after ${wait}`)
        }
      }
      assert.isAbove(lost, 3)
    }))

  it.effect("slices of text are bytes, and cut no code point, whatever their size", () =>
    Effect.gen(function*() {
      const text = "a€😀é".repeat(300) + "\ud800x"
      for (const sliceSize of [1, 2, 3, 4, 5, 7, 100, 1000]) {
        const { messages, transform, ws } = yield* make({ toy: { sliceSize } })
        yield* ws.send(text)
        yield* ws.flush
        assert.deepStrictEqual(values(messages()), ["a€😀é".repeat(300) + "\ufffdx"])
        assert.isAtMost(Math.max(...transform.pushed), Math.max(sliceSize, 4))
      }
      // The first and the last pair, and half of one at the end.
      for (const sliceSize of [1, 2, 3, 5]) {
        const { messages, transform, ws } = yield* make({ toy: { sliceSize } })
        yield* ws.send("\u{10000}a\u{10ffff}€€€ab\ud800")
        yield* ws.flush
        assert.deepStrictEqual(values(messages()), ["\u{10000}a\u{10ffff}€€€ab\ufffd"])
        // The characters between the pairs are no more than the size, or one of them.
        assert.isAtMost(Math.max(...transform.pushed.slice(3, -1)), Math.max(sliceSize, 3))
      }
      // Above the size only as bytes.
      const { messages, ws } = yield* make()
      const third = Math.floor(KiB / 3)
      for (const size of [third, third + 1, 2 * third, 2 * third + 1]) yield* ws.send("€".repeat(size))
      yield* ws.flush
      assert.deepStrictEqual(messages().map(({ frames }) => frames), [1, 2, 2, 3])
    }))

  it.effect("an encoder may keep back what it has", () =>
    Effect.gen(function*() {
      const { messages, ws } = yield* make({ toy: { keepBack: 1000 } })
      yield* ws.send(new Uint8Array(20 * KiB))
      yield* ws.sendBinaryStream(Stream.fromIterable([patterned(10), patterned(20)]))
      yield* ws.sendTextStream(Stream.empty)
      yield* ws.flush
      assert.deepStrictEqual(messages().map(({ encoded, frames, type, value }) => [type, value.length, frames, encoded]), [
        ["binary", 20 * KiB, 1, true],
        ["binary", 30, 1, true],
        ["text", 0, 1, true]
      ])
    }))

  it.effect("a streamed message whose source is silent fails once the connection has closed", () =>
    Effect.gen(function*() {
      for (const end of ["close", "eof", "reset"] as const) {
        const { close, transport, ws } = yield* make({ keepAlive: false })
        const streaming = yield* start(Effect.exit(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never))))
        yield* start(Stream.runDrain(ws.messages).pipe(Effect.ignore))
        assert.isTrue(isPending(streaming))
        if (end === "close") transport.push(close(1001))
        else if (end === "eof") transport.peerEnds()
        else transport.resets()
        yield* turn
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(Exit.isFailure(yield* done(streaming)), end)
      }
    }))

  it.effect("between slices a turn of the event loop passes: pings do, other sends wait", () =>
    Effect.gen(function*() {
      const { messages, transform, transport, ws, ping } = yield* make()
      const large = patterned(20 * KiB)
      const sending = yield* Effect.forkChild(ws.send(large))
      yield* Effect.yieldNow
      assert.isBelow(transform.pushed.length, 3)
      const other = yield* Effect.forkChild(ws.send("behind"))
      yield* ws.sendPing()
      transport.push(ping("in"))
      assert.isTrue(isPending(sending))
      yield* Fiber.join(sending)
      yield* Fiber.join(other)
      yield* ws.flush
      const frames = messages()
      assert.strictEqual(frames.filter(({ type }) => type === "control").length, 2)
      assert.strictEqual(frames.findIndex(({ type }) => type === "control"), 0, "in front of the message's end")
      assert.deepStrictEqual(values(frames.filter(({ type }) => type !== "control")), [large, "behind"])
    }))

  it.effect("a peer's Close is answered as soon as those who wait for a turn have sent", () =>
    Effect.gen(function*() {
      const { close, messages, transport, ws } = yield* make()
      yield* Effect.forkChild(ws.drain)
      const sending = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(ws.send(patterned(900))))
      yield* Effect.yieldNow
      transport.push(close(1000))
      assert.isTrue(isPending(sending[2]!))
      for (const fiber of sending) yield* Fiber.join(fiber)
      yield* Effect.yieldNow
      assert.deepStrictEqual(messages().map(({ type }) => type), ["binary", "binary", "binary", "control"])
      assert.isTrue((yield* ws.closed).clean)
    }))

  it.effect("one turn encodes a slice's worth, however many messages and senders", () =>
    Effect.gen(function*() {
      for (const how of ["sends", "all", "sink", "fibers"] as const) {
        let most = 0
        let turns = 0
        let inTurn = 0
        const { messages, transform, ws } = yield* make({ outboundHighWaterMark: 1024 * KiB })
        const push = transform.encoder.push
        const encoder = transform.encoder as { push: typeof push }
        encoder.push = (bytes, last) => {
          inTurn += bytes.length
          most = Math.max(most, inTurn)
          return push(bytes, last)
        }
        let ticking = true
        const tick = () => {
          turns++
          inTurn = 0
          if (ticking) setImmediate(tick)
        }
        setImmediate(tick)
        const parts = Array.from({ length: 100 }, () => new Uint8Array(256))
        if (how === "sends") yield* Effect.forEach(parts, ws.send, { discard: true })
        else if (how === "all") yield* ws.sendAll(parts)
        else if (how === "sink") yield* Stream.run(Stream.fromIterable(parts), ws.sink)
        else yield* Effect.forEach(parts, ws.send, { discard: true, concurrency: "unbounded" })
        ticking = false
        yield* ws.flush
        assert.isAtMost(most, 2 * KiB, how)
        assert.isAtLeast(turns, 10, how)
        assert.strictEqual(messages().length, 100)
      }
    }))

  describe("which messages", () => {
    it.effect("the extension is asked once each, with the message, or undefined for a stream", () =>
      Effect.gen(function*() {
        const { messages, transform, ws } = yield* make({
          toy: { compress: (message) => typeof message === "string" && message !== "secret" }
        })
        yield* ws.send("open")
        yield* ws.send("secret")
        yield* ws.send(patterned(3))
        yield* ws.sendAll(["a", patterned(4 * KiB), "x".repeat(3 * KiB), "secret"])
        yield* ws.sendBinaryStream(Stream.make(patterned(5)))
        yield* ws.flush
        assert.deepStrictEqual(messages().map(({ encoded, frames }) => [encoded, frames]), [
          [true, 1],
          [false, 1],
          [false, 1],
          [true, 1],
          [false, 1],
          [true, 3],
          [false, 1],
          [false, 2]
        ])
        assert.strictEqual(transform.asked.length, 8)
        assert.isUndefined(transform.asked[7])
      }))

    it.effect("a large binary message that is not encoded goes out as one frame, uncopied", () =>
      Effect.gen(function*() {
        const { messages, transport, ws } = yield* make({ toy: { compress: () => false } })
        const large = patterned(100 * KiB)
        let seen: Uint8Array | undefined
        const write = transport.write.bind(transport)
        transport.write = (chunks) => {
          seen = chunks.find((chunk) => chunk.buffer === large.buffer) ?? seen
          return write(chunks)
        }
        transport.holding = true
        const sending = yield* start(ws.send(large))
        assert.isTrue(isPending(sending), "until the transport has taken it")
        assert.strictEqual(seen?.buffer, large.buffer)
        transport.release()
        yield* turn
        yield* done(sending)
        assert.deepStrictEqual(messages().map(({ encoded, frames, value }) => [encoded, frames, value.length]), [
          [false, 1, 100 * KiB]
        ])
      }))

    for (const how of ["small", "large", "stream"] as const) {
      it.effect(`what the decision throws is the sender's defect, whoever called: ${how}`, () =>
        Effect.gen(function*() {
          const { messages, transport, ws } = yield* make({
            outboundHighWaterMark: 100,
            toy: {
              compress: (message) => {
                if (message === undefined || message[0] === "!") throw new Error("a bug")
                return true
              }
            }
          })
          const bad = how === "stream"
            ? ws.sendTextStream(Stream.make("a", "b"))
            : ws.send(`!${"x".repeat(how === "large" ? 10 * KiB : 1)}`)
          assert.isTrue(Exit.hasDies(yield* Effect.exit(bad)))
          // The transport makes the attempt, and must not be thrown at.
          transport.holding = true
          yield* ws.send(patterned(KiB))
          yield* turn
          const waiting = yield* start(Effect.exit(bad))
          const behind = yield* start(ws.send("behind"))
          assert.isTrue(isPending(waiting))
          transport.release()
          yield* turn
          const exit = yield* done(waiting)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
          yield* done(behind)
          yield* ws.flush
          assert.deepStrictEqual(values(messages()), [patterned(KiB), "behind"])
        }))
    }
  })

  describe("streams", () => {
    it.effect("are one message, in slices", () =>
      Effect.gen(function*() {
        const { messages, transform, ws } = yield* make()
        yield* ws.sendBinaryStream(Stream.fromIterable([patterned(10), patterned(5 * KiB), new Uint8Array(0), patterned(1)]))
        yield* ws.sendTextStream(Stream.fromIterable(["a\ud83d", "\ude00b", "€".repeat(2 * KiB), "\ud83d"]))
        yield* ws.flush
        assert.deepStrictEqual(values(messages()), [
          concat([patterned(10), patterned(5 * KiB), patterned(1)]),
          `a😀b${"€".repeat(2 * KiB)}\ufffd`
        ])
        assert.isAtMost(Math.max(...transform.pushed), KiB)
      }))

    it.effect("that fail before anything came leave the connection, behind it close it", () =>
      Effect.gen(function*() {
        const { frames, ws } = yield* make()
        yield* Effect.flip(ws.sendBinaryStream(Stream.fail("early")))
        yield* ws.send("fine")
        yield* Effect.flip(ws.sendBinaryStream(Stream.concat(Stream.make(patterned(3)), Stream.fail("late"))))
        yield* turn
        assert.deepStrictEqual(frames().map(({ fin, opcode, rsv2 }) => [opcode, fin, rsv2]), [
          [Opcode.Text, true, true],
          [Opcode.Binary, false, true],
          [Opcode.Close, true, false]
        ])
      }))

    it.effect("that end before their first fragment do not spoil the next", () =>
      Effect.gen(function*() {
        const { messages, ws } = yield* make({ toy: { compress: (message) => message === undefined } })
        const never = yield* start(ws.sendTextStream(Stream.never))
        yield* Fiber.interrupt(never)
        yield* ws.sendBinaryStream(Stream.make(patterned(3)))
        yield* ws.send("plain")
        yield* ws.flush
        assert.deepStrictEqual(messages().map(({ encoded, type }) => [type, encoded]), [["binary", true], ["text", false]])
      }))
  })

  describe("interruption", () => {
    it.effect("of a sliced message that has begun lets it end", () =>
      Effect.gen(function*() {
        const { messages, transport, transform, ws } = yield* make({ outboundHighWaterMark: 100 })
        transport.holding = true
        const large = patterned(10 * KiB)
        const sending = yield* start(ws.send(large))
        assert.isAtLeast(transform.pushed.length, 1)
        yield* done(yield* start(Fiber.interrupt(sending)))
        const behind = yield* start(ws.send("behind"))
        assert.isTrue(isPending(behind), "the connection sends the rest by itself")
        transport.release()
        yield* turn
        yield* done(behind)
        yield* ws.flush
        assert.deepStrictEqual(values(messages()), [large, "behind"])
      }))

    for (const encoded of [true, false]) {
      for (const type of ["text", "binary"] as const) {
        it.effect(`of one that has not begun takes it back: ${type}${encoded ? "" : ", not encoded"}`, () =>
          Effect.gen(function*() {
            const { messages, transport, transform, ws } = yield* make({
              outboundHighWaterMark: 100,
              toy: { compress: (message) => encoded && message !== "first" }
            })
            transport.holding = true
            yield* ws.send(patterned(300))
            yield* turn
            yield* Effect.exit(Effect.timeoutOption(ws.send("first"), 0)).pipe(Effect.forkChild)
            yield* turn
            const before = transform.pushed.length
            const sending = yield* start(ws.send(type === "text" ? "x".repeat(40 * KiB) : patterned(40 * KiB)))
            assert.isTrue(isPending(sending))
            yield* Fiber.interrupt(sending)
            assert.strictEqual(transform.pushed.length, before)
            const later = yield* start(ws.sendTextStream(Stream.make("stre", "am")))
            transport.release()
            yield* turn
            yield* done(later)
            yield* ws.flush
            const sent = values(messages())
            assert.deepStrictEqual(sent[0], patterned(300))
            assert.strictEqual(sent[sent.length - 1], "stream")
            assert.isAtMost(sent.length, 3)
          }))
      }
    }

    it.effect("of one that waits for its turn behind another", () =>
      Effect.gen(function*() {
        const { messages, ws } = yield* make()
        const first = yield* Effect.forkChild(ws.send(patterned(10 * KiB)))
        yield* Effect.yieldNow
        const second = yield* Effect.forkChild(ws.send("x".repeat(10 * KiB)))
        const third = yield* Effect.forkChild(ws.send("third"))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(second)
        yield* Fiber.join(first)
        yield* Fiber.join(third)
        yield* ws.flush
        assert.deepStrictEqual(values(messages()), [patterned(10 * KiB), "third"])
      }))
  })

  describe("the end", () => {
    it.effect("close() waits for a sliced message", () =>
      Effect.gen(function*() {
        const { close, frames, transport, ws } = yield* make()
        const sending = yield* Effect.forkChild(ws.send(patterned(10 * KiB)))
        yield* Effect.yieldNow
        const closing = yield* Effect.forkChild(ws.close(1000))
        yield* Fiber.join(sending)
        yield* turn
        transport.push(close(1000))
        yield* Fiber.join(closing)
        const all = frames()
        assert.strictEqual(all[all.length - 1]!.opcode, Opcode.Close)
        assert.isTrue(all[all.length - 2]!.fin)
      }))

    for (const how of ["reset", "scope", "reset in a write"] as const) {
      it.effect(`${how} in the middle of a sliced message fails its sender, and the extension is used no more`, () =>
        Effect.gen(function*() {
          const { close, scope, transform, transport, ws } = yield* make({ outboundHighWaterMark: 100 })
          transport.holding = true
          const sending = yield* start(Effect.exit(ws.send(patterned(10 * KiB))))
          const waiting = yield* start(Effect.exit(ws.send(patterned(9 * KiB))))
          if (how === "reset") transport.resets()
          else if (how === "scope") {
            const closing = yield* start(Scope.close(scope, Exit.void))
            transport.release()
            transport.push(close(1000))
            transport.peerEnds()
            yield* turn
            yield* done(closing)
          } else {
            const write = transport.write.bind(transport)
            transport.holding = false
            transport.write = (chunks) => {
              write(chunks)
              transport.resets()
              return true
            }
            transport.take()
          }
          yield* turn
          for (const fiber of [sending, waiting]) assert.isTrue(Exit.isFailure(yield* done(fiber)))
          assert.strictEqual(transform.closed, 1)
          assert.strictEqual((yield* Effect.flip(ws.send(patterned(2 * KiB))))._tag, how === "scope" ? "ConnectionClosed" : "IOError")
        }))
    }

    it.effect("a reset that a sender's own write meets: it encodes nothing more", () =>
      Effect.gen(function*() {
        const { transform, transport, ws } = yield* make({ outboundHighWaterMark: 10 })
        const write = transport.write.bind(transport)
        transport.write = (chunks) => {
          write(chunks)
          transport.resets()
          return true
        }
        assert.strictEqual((yield* Effect.flip(ws.sendAll([patterned(600), patterned(600)])))._tag, "IOError")
        assert.deepStrictEqual([transform.pushed.length, transform.closed], [1, 1])
      }))

    it.effect("a peer that takes nothing ends a sliced message by the stalled write's deadline", () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ keepAlive: false })
        transport.holding = true
        transport.pendingBytes = () => 100
        const sending = yield* start(Effect.flip(ws.send(Uint8Array.from({ length: 100 * KiB }, (_, i) => i))))
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude(yield* done(sending), { _tag: "IOError", phase: "write", reason: "TimedOut" })
      }))

    it.effect("a streamed message that is cut off by a reset leaves nothing behind", () =>
      Effect.gen(function*() {
        const { transform, transport, ws } = yield* make()
        const queue = yield* Queue.unbounded<Uint8Array>()
        const sending = yield* start(Effect.exit(ws.sendBinaryStream(Stream.fromQueue(queue))))
        yield* Queue.offer(queue, patterned(10))
        yield* turn
        transport.resets()
        assert.strictEqual(transform.closed, 1)
        yield* Queue.offer(queue, patterned(10))
        yield* turn
        assert.isTrue(Exit.isFailure(yield* done(sending)))
      }))
  })
})
