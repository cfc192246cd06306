import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Message } from "../../src/Message.ts"
import type { IncomingMessage } from "../../src/WebSocket.ts"
import { countAllocations } from "../support/Allocations.ts"
import { concat } from "../support/FakeTransport.ts"
import { bytes, done, isPending, make, start, turn } from "../support/Harness.ts"
import { bytesOf, chop, chunking, plan } from "../support/Sequences.ts"

const KiB = 1024
const filled = (size: number, value: number) => new Uint8Array(size).fill(value)

const collect = (incoming: IncomingMessage) =>
  Effect.map(
    Stream.runCollect<string | Uint8Array, unknown, never>(incoming.fragments),
    (parts) => incoming._tag === "Text" ? parts.join("") : concat(parts as Array<Uint8Array>)
  )

const isDone = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error))

const dies = (effect: Effect.Effect<unknown, unknown>, text: string) =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), "must die")
    assert.include(Cause.pretty((exit as Exit.Failure<unknown, unknown>).cause), text)
  })

describe("Reader", () => {
  it.effect("gives what arrived as one batch, and one message at a time", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      transport.push(concat([text("a"), text("b")]), text("c"))
      assert.deepStrictEqual(yield* ws.pull, ["a", "b", "c"])
      transport.push(concat([text("d"), text("e")]))
      assert.strictEqual(yield* ws.receive, "d")
      assert.strictEqual(yield* ws.receive, "e")
      const waiting = yield* start(ws.receive)
      assert.isTrue(isPending(waiting))
      transport.push(concat([text("f"), text("g")]))
      assert.strictEqual(yield* done(waiting), "f")
      assert.deepStrictEqual(yield* ws.pull, ["g"])
    }))

  it.effect("is one at a time, also while a stream works on what it read", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      transport.push(text("a"), text("b"))
      yield* start(Stream.runForEach(ws.messages, () => Effect.never))
      for (const second of [ws.messages, ws.batches]) yield* dies(Stream.runDrain<unknown, unknown, never>(second), "already")
      yield* dies(ws.receive, "already")
    }))

  it.effect("is one at a time, also where the fibers of two yield before they wait", () =>
    Effect.gen(function*() {
      for (const most of [3, 4, 5, 6]) {
        const { text, transport, ws } = yield* make()
        const read = Effect.provideService(ws.receive, Scheduler.MaxOpsBeforeYield, most)
        const fibers = [yield* Effect.forkChild(read), yield* Effect.forkChild(read)]
        for (let i = 0; i < 200; i++) yield* Effect.yieldNow
        const busy = fibers.filter((fiber) => !isPending(fiber))
        assert.lengthOf(busy, 1, `${most}`)
        yield* dies(Fiber.join(busy[0]!), "already reads")
        transport.push(text("a"))
        for (let i = 0; i < 200; i++) yield* Effect.yieldNow
        for (const fiber of fibers) if (fiber !== busy[0]) assert.strictEqual(yield* done(fiber), "a")
      }
    }))

  it.effect("reads ahead up to the mark, pauses, and goes on once it was pulled", () =>
    Effect.gen(function*() {
      const { binary, transport, ws } = yield* make({ inboundHighWaterMark: 10 * KiB })
      for (let i = 0; i < 20; i++) transport.push(binary(KiB))
      assert.isTrue(transport.isPaused)
      // 1024 and a small charge each.
      assert.strictEqual(transport.waiting, 10)
      let count = (yield* ws.pull).length
      assert.strictEqual(count, 10)
      assert.isTrue(transport.isPaused, "read on up to the mark again")
      assert.strictEqual(transport.waiting, 0)
      count += (yield* ws.pull).length
      assert.strictEqual(count, 20)
      assert.isFalse(transport.isPaused)
    }))

  it.effect("single messages free the mark too", () =>
    Effect.gen(function*() {
      const { binary, transport, ws } = yield* make({ inboundHighWaterMark: 4 * KiB })
      for (let i = 0; i < 40; i++) transport.push(binary(KiB))
      for (let i = 0; i < 40; i++) {
        assert.isAtMost(36 - i, transport.waiting)
        assert.strictEqual((yield* ws.receive as Effect.Effect<Uint8Array>).length, KiB)
      }
      assert.isFalse(transport.isPaused)
    }))

  it.effect("a message larger than the mark arrives for who waits, and pauses where nobody does", () =>
    Effect.gen(function*() {
      const { binary, transport, ws } = yield* make({ inboundHighWaterMark: KiB })
      const chunks = chop(binary(10 * KiB), [KiB])
      transport.push(...chunks)
      assert.isTrue(transport.isPaused)
      assert.isAbove(transport.waiting, 5)
      assert.strictEqual((yield* ws.receive as Effect.Effect<Uint8Array>).length, 10 * KiB)
    }))

  it.effect("answers Pings, sees Pongs and the Close while nobody pulls", () =>
    Effect.gen(function*() {
      const { close, ping, pong, said, transport, ws } = yield* make()
      const rtt = yield* start(ws.ping(bytes(7)))
      transport.push(ping("a"), pong(bytes(7)))
      yield* turn
      yield* done(rtt)
      assert.deepStrictEqual(said(), ["ping 1", "pong a"])
      transport.push(close(1000, "bye"))
      assert.deepStrictEqual(said(), ["close 1000"])
      const info = yield* ws.closed
      assert.deepInclude(info, { code: 1000, reason: "bye", initiator: "remote", clean: true })
    }))

  it.effect("an interrupted reader loses nothing", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      for (const reader of [ws.receive, ws.pull, ws.receiveStream, Stream.runDrain(ws.messages)]) {
        const waiting = yield* start(reader as Effect.Effect<unknown, unknown>)
        assert.isTrue(isPending(waiting))
        const whole = text("kept")
        transport.push(whole.slice(0, 3))
        yield* Fiber.interrupt(waiting)
        transport.push(whole.slice(3))
        assert.strictEqual(yield* ws.receive, "kept")
      }
      const late = yield* start(ws.receive)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(late))
      transport.push(text("one"))
      yield* turn
      yield* Fiber.join(interrupting)
      const exit = yield* Fiber.await(late)
      if (!Exit.isSuccess(exit)) assert.strictEqual(yield* ws.receive, "one")
    }))

  it.effect("a second reader dies at once, and the first goes on", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const first = yield* start(ws.receive)
      for (const second of [ws.receive, ws.pull, ws.receiveStream, Stream.runDrain(ws.messages)]) {
        yield* dies(second as Effect.Effect<unknown, unknown>, "one reader at a time")
      }
      transport.push(text("for the first"))
      assert.strictEqual(yield* done(first), "for the first")

      const seen: Array<Message> = []
      const stream = yield* start(Stream.runForEach(ws.messages, (message) =>
        Effect.andThen(Effect.sync(() => seen.push(message)), Effect.never)))
      transport.push(text("held"))
      yield* turn
      assert.deepStrictEqual(seen, ["held"])
      // It is busy, not waiting, and still the reader.
      yield* dies(ws.receive, "a Stream already reads")
      yield* dies(Stream.runDrain(ws.messages), "a Stream already reads")
      yield* Fiber.interrupt(stream)
      transport.push(text("free again"))
      assert.strictEqual(yield* ws.receive, "free again")
    }))

  for (const how of ["stops early", "fails", "is interrupted"] as const) {
    it.effect(`a stream that ${how} loses nothing: what it was not given is the next reader's`, () =>
      Effect.gen(function*() {
        const { text, transport, ws } = yield* make()
        const all = Array.from({ length: 2000 }, (_, i) => `${i}`)
        transport.push(concat(all.map((one) => text(one))))
        const seen: Array<Message> = []
        const take = Stream.runForEach(ws.messages, (message) =>
          Effect.suspend(() => {
            seen.push(message)
            if (seen.length % 100 !== 0) return Effect.void
            return how === "fails" ? Effect.fail("tired") : how === "is interrupted" ? Effect.never : Effect.void
          }))
        while (seen.length < 2000) {
          if (how === "stops early") {
            for (const message of yield* Stream.runCollect(Stream.take(ws.messages, 7))) seen.push(message)
            if (seen.length === 1995) for (let i = 0; i < 5; i++) seen.push(yield* ws.receive)
          } else if (how === "fails") {
            yield* Effect.flip(take)
          } else {
            yield* Fiber.interrupt(yield* start(take))
          }
        }
        assert.deepStrictEqual(seen, all)
      }))
  }

  it.effect("an orderly end: messages first, then Done, again and again", () =>
    Effect.gen(function*() {
      const { close, said, text, transport, ws } = yield* make()
      transport.push(concat([text("last"), close(1000)]))
      yield* turn
      assert.deepStrictEqual(said(), [], "not before the reader is there")
      assert.deepStrictEqual(yield* ws.pull, ["last"])
      assert.deepStrictEqual(said(), [])
      for (let i = 0; i < 3; i++) assert.isTrue(isDone(yield* Effect.exit(ws.pull)))
      assert.deepStrictEqual(said(), ["close 1000"])
      const error = yield* Effect.flip(ws.receive)
      assert.deepInclude(error, { _tag: "ConnectionClosed" })
      assert.strictEqual((yield* Effect.flip(ws.receiveStream))._tag, "ConnectionClosed")
      assert.deepStrictEqual(yield* Stream.runCollect(ws.messages), [])
    }))

  it.effect("a violation stands behind the messages before it", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make()
      transport.push(concat([text("a"), text("b"), bytes(0x83, 0x80)]))
      assert.deepStrictEqual(yield* ws.pull, ["a", "b"])
      assert.deepInclude(yield* Effect.flip(ws.pull), { _tag: "ProtocolError", code: 1002, rule: "ReservedOpcode" })
      assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ProtocolError", code: 1002 })
      assert.deepStrictEqual(said(), ["close 1002 ReservedOpcode"])
    }))

  it.effect("a break stands behind the messages before it", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const seen: Array<Message> = []
      transport.push(text("a"), text("b"))
      transport.resets()
      const error = yield* ws.messages.pipe(
        Stream.runForEach((message) => Effect.sync(() => seen.push(message))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.deepInclude(error, { _tag: "IOError", phase: "read", reason: "Reset" })
      assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "IOError", reason: "Reset" })
    }))

  describe("a message above the limit", () => {
    const limits = { maxMessageSize: 4 * KiB }

    it.effect("fails a reader of whole messages with 1009, behind what came before", () =>
      Effect.gen(function*() {
        const { binary, said, text, transport, ws } = yield* make(limits)
        transport.push(concat([text("before"), binary(5 * KiB).slice(0, 20)]))
        yield* turn
        assert.isTrue(transport.isPaused, "undecided, it waits")
        assert.deepStrictEqual(said(), [])
        assert.strictEqual(yield* ws.receive, "before")
        assert.deepInclude(yield* Effect.flip(ws.receive), {
          _tag: "ProtocolError",
          code: 1009,
          rule: "MessageTooBig"
        })
        assert.deepStrictEqual(said(), ["close 1009 MessageTooBig"])
      }))

    it.effect("fails a reader that waits at once, though only the header came", () =>
      Effect.gen(function*() {
        const { binary, said, transport, ws } = yield* make(limits)
        const waiting = yield* start(Effect.flip(ws.pull))
        transport.push(binary(5 * KiB).slice(0, 8))
        yield* turn
        assert.deepInclude(yield* done(waiting), { _tag: "ProtocolError", code: 1009 })
        assert.deepStrictEqual(said(), ["close 1009 MessageTooBig"])
      }))

    it.effect("a header alone, read before the reader comes", () =>
      Effect.gen(function*() {
        const { binary, transport, ws } = yield* make(limits)
        transport.push(binary(5 * KiB).slice(0, 8))
        assert.isTrue(transport.isPaused)
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ProtocolError", code: 1009 })
      }))

    it.effect("is streamed to a reader of fragments, behind what came before in the same chunk", () =>
      Effect.gen(function*() {
        const { binary, text, transport, ws } = yield* make(limits)
        const data = Uint8Array.from({ length: 5 * KiB }, (_, i) => i)
        // The reader waits for the small one, and asks for the big one then.
        const small = yield* start(ws.receive)
        transport.push(concat([text("before"), binary(data), text("behind")]))
        assert.strictEqual(yield* done(small), "before")
        const incoming = yield* ws.receiveStream
        assert.strictEqual(incoming._tag, "Binary")
        assert.deepStrictEqual(yield* collect(incoming), data)
        assert.strictEqual(yield* ws.receive, "behind")
        assert.isFalse(transport.isPaused)
      }))

    it.effect("waits for the decision without a Ping going unanswered once it is made", () =>
      Effect.gen(function*() {
        const { binary, close, ping, said, transport, ws } = yield* make(limits)
        const data = new Uint8Array(5 * KiB)
        transport.push(concat([binary(data), ping("x"), close(1000)]))
        const incoming = yield* ws.receiveStream
        yield* turn
        assert.deepStrictEqual(said(), ["pong x"])
        assert.deepStrictEqual(yield* collect(incoming), data)
        assert.deepStrictEqual(said(), [])
        assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ConnectionClosed" })
        assert.deepStrictEqual(said(), ["close 1000"])
      }))

    it.effect("which nobody decided about does not hold up our own Close", () =>
      Effect.gen(function*() {
        const { binary, close, said, text, transport, ws } = yield* make(limits)
        const big = binary(5 * KiB)
        transport.push(big.slice(0, 100))
        assert.isTrue(transport.isPaused)
        const closing = yield* start(ws.close(1000, "enough"))
        assert.deepStrictEqual(said(), ["close 1000 enough"])
        transport.push(concat([big.slice(100), text("more"), close(1000)]))
        yield* turn
        assert.deepInclude(yield* done(closing), { clean: true, initiator: "local" })
      }))
  })

  describe("receiveStream", () => {
    it.effect("gives whole messages that wait as one piece", () =>
      Effect.gen(function*() {
        const { binary, text, transport, ws } = yield* make()
        transport.push(concat([text("whole"), binary(bytes(1, 2))]))
        const first = yield* ws.receiveStream
        assert.strictEqual(first._tag, "Text")
        assert.strictEqual(yield* collect(first), "whole")
        const second = yield* ws.receiveStream
        assert.strictEqual(second._tag, "Binary")
        assert.deepStrictEqual(yield* collect(second), bytes(1, 2))
      }))

    it.effect("gives pieces as they come, text at code points", () =>
      Effect.gen(function*() {
        const { more, text, transport, ws } = yield* make()
        const waiting = yield* start(ws.receiveStream)
        const euro = new TextEncoder().encode("a€b")
        transport.push(text("", false))
        const incoming = yield* done(waiting)
        assert.strictEqual(incoming._tag, "Text")
        const seen: Array<string> = []
        const reading = yield* start(
          Stream.runForEach(
            incoming.fragments as Stream.Stream<string, unknown>,
            (piece) => Effect.sync(() => seen.push(piece))
          )
        )
        for (const byte of euro) {
          transport.push(more(bytes(byte), false))
          yield* turn
        }
        assert.deepStrictEqual(seen, ["a", "€", "b"])
        assert.isTrue(isPending(reading))
        transport.push(more(""))
        yield* turn
        yield* done(reading)
      }))

    it.effect("one that was left although all of it had come is not in the way of the next", () =>
      Effect.gen(function*() {
        const { binary, more, text, transport, ws } = yield* make({ maxMessageSize: KiB })
        const first = yield* start(ws.receiveStream)
        transport.push(text("a", false))
        yield* done(first)
        transport.push(more("b"))
        const next = yield* start(ws.receiveStream)
        transport.push(binary(2 * KiB).slice(0, 100))
        yield* turn
        assert.strictEqual((yield* done(next))._tag, "Binary")
      }))

    it.effect("is bounded in memory: reading pauses where the pieces are not taken", () =>
      Effect.gen(function*() {
        const { allocated, primitives } = countAllocations()
        const { binary, transport, ws } = yield* make({ inboundHighWaterMark: 16 * KiB, primitives })
        const waiting = yield* start(ws.receiveStream)
        const size = 1000 * KiB
        transport.push(...chop(binary(size), [KiB]))
        const incoming = yield* done(waiting)
        assert.isTrue(transport.isPaused)
        assert.isBelow(allocated(), 20 * KiB)
        let read = 0
        let most = 0
        yield* Stream.runForEach(incoming.fragments as Stream.Stream<Uint8Array, unknown>, (piece) =>
          Effect.sync(() => {
            read += piece.length
            most = Math.max(most, allocated() - read)
          }))
        assert.strictEqual(read, size)
        assert.isBelow(most, 40 * KiB)
        assert.isFalse(transport.isPaused)
      }))

    it.effect("tiny pieces pause reading too", () =>
      Effect.gen(function*() {
        const { binary, more, transport, ws } = yield* make({ inboundHighWaterMark: 16 * KiB })
        const waiting = yield* start(ws.receiveStream)
        transport.push(binary(1, false))
        const incoming = yield* done(waiting)
        for (let i = 0; i < 1000; i++) transport.push(more("x", false))
        assert.isTrue(transport.isPaused)
        assert.isAbove(transport.waiting, 700)
        transport.push(more(""))
        assert.strictEqual((yield* collect(incoming) as Effect.Effect<Uint8Array>).length, 1001)
      }))

    it.effect("what is left unread is dropped by the next pull, whichever it is", () =>
      Effect.gen(function*() {
        for (const pull of ["receive", "receiveStream", "pull"] as const) {
          const { binary, more, text, transport, ws } = yield* make({ maxMessageSize: KiB })
          transport.push(binary(2 * KiB, false))
          const incoming = yield* ws.receiveStream
          const stream = incoming.fragments as Stream.Stream<Uint8Array, unknown>
          const next = yield* start<unknown, unknown, never>(
            pull === "receiveStream"
              ? Effect.flatMap(ws.receiveStream, collect)
              : pull === "pull"
              ? Effect.map(ws.pull, ([message]) => message)
              : ws.receive
          )
          assert.isTrue(isPending(next))
          for (let i = 0; i < 200; i++) transport.push(more(new Uint8Array(2 * KiB), false))
          yield* turn
          assert.isFalse(transport.isPaused, "it is drained")
          assert.isTrue(isPending(next))
          transport.push(concat([more("end"), text("next"), text("after")]))
          yield* turn
          assert.strictEqual(yield* done(next), "next")
          // A batch has them all.
          if (pull !== "pull") assert.strictEqual(yield* ws.receive, "after")
          yield* dies(Stream.runDrain(stream), "dropped when the next one was pulled")
          // and streaming works again
          const again = yield* start(Effect.flatMap(ws.receiveStream, collect))
          transport.push(concat([text("a", false), more("b")]))
          yield* turn
          assert.strictEqual(yield* done(again), "ab")
        }
      }))

    it.effect("what was dropped does not stand in the way of the next large message", () =>
      Effect.gen(function*() {
        const { binary, more, transport, ws } = yield* make({ maxMessageSize: KiB })
        let before: ReadonlyArray<Uint8Array> = []
        for (let i = 0; i < 3; i++) {
          // Left unread, each for the next one.
          for (const size of [3 * KiB, 100]) {
            const waiting = yield* start(ws.receiveStream)
            transport.push(...before, binary(size, false))
            yield* turn
            yield* done(waiting)
            before = [more("")]
          }
          const data = filled(2 * KiB, i)
          const next = yield* start(Effect.flatMap(ws.receiveStream, collect))
          transport.push(...before, binary(data))
          yield* turn
          assert.deepStrictEqual(yield* done(next), data)
          before = []
        }
      }))

    it.effect("a message in pieces that is read to its last piece, but not to its end", () =>
      Effect.gen(function*() {
        const { more, text, transport, ws } = yield* make()
        const waiting = yield* start(ws.receiveStream)
        transport.push(text("one", false))
        const incoming = yield* done(waiting)
        const first = yield* start(
          Stream.runHead(incoming.fragments as Stream.Stream<string, unknown>)
        )
        assert.deepStrictEqual(yield* done(first), Option.some("one"))
        transport.push(concat([more("", true), text("two")]))
        const second = yield* ws.receiveStream
        assert.strictEqual(yield* collect(second), "two")
      }))

    it.effect("an interrupted pull of pieces loses none", () =>
      Effect.gen(function*() {
        const { more, text, transport, ws } = yield* make()
        const waiting = yield* start(ws.receiveStream)
        transport.push(text("a", false))
        const incoming = yield* done(waiting)
        const stream = incoming.fragments as Stream.Stream<string, unknown>
        assert.deepStrictEqual(yield* Stream.runHead(stream), Option.some("a"))
        const reading = yield* start(Stream.runDrain(stream))
        yield* dies(ws.receive, "one reader at a time")
        yield* Fiber.interrupt(reading)
        transport.push(more("b", false), more("c"))
        assert.deepStrictEqual(yield* Stream.runCollect(stream), ["b", "c"])
      }))

    it.effect("has a limit of its own", () =>
      Effect.gen(function*() {
        const { binary, said, transport, ws } = yield* make({ maxMessageSize: KiB, maxStreamedMessageSize: 2 * KiB })
        transport.push(binary(2 * KiB + 1).slice(0, 50))
        assert.deepInclude(yield* Effect.flip(ws.receiveStream), { _tag: "ProtocolError", code: 1009 })
        assert.deepStrictEqual(said(), ["close 1009 MessageTooBig"])
      }))

    it.effect("fails midway with what ended the connection", () =>
      Effect.gen(function*() {
        const ends = [
          ["violation", { _tag: "ProtocolError", code: 1007 }],
          ["reset", { _tag: "IOError", reason: "Reset" }],
          ["eof", { _tag: "IOError", reason: "EndOfStream" }],
          ["close", { _tag: "ConnectionClosed" }],
          ["local", { _tag: "ConnectionClosed" }]
        ] as const
        for (const [end, expected] of ends) {
          const { close, more, text, transport, ws } = yield* make()
          const waiting = yield* start(ws.receiveStream)
          transport.push(text("a", false))
          const incoming = yield* done(waiting)
          const seen: Array<string> = []
          const reading = yield* start(Effect.flip(Stream.runForEach(
            incoming.fragments as Stream.Stream<string, unknown>,
            (piece) => Effect.sync(() => seen.push(piece))
          )))
          if (end === "violation") transport.push(more(bytes(0xff), false))
          else if (end === "reset") transport.resets()
          else if (end === "eof") transport.peerEnds()
          else if (end === "close") transport.push(close(1000))
          else yield* start(ws.close(1000))
          yield* turn
          assert.deepInclude(yield* done(reading), expected, end)
          assert.deepStrictEqual(seen, ["a"])
        }
      }))
  })

  it.effect("a fiber that yields between any two steps misses nothing", () =>
    Effect.gen(function*() {
      for (const how of ["receive", "pull", "receiveStream"] as const) {
        for (let wait = 0; wait < 30; wait++) {
          const { text, transport, ws } = yield* make()
          const read: Effect.Effect<unknown, unknown> = how === "receive"
            ? ws.receive
            : how === "pull"
            ? ws.pull
            : Effect.flatMap(ws.receiveStream, collect)
          const reading = yield* Effect.forkChild(Effect.provideService(read, Scheduler.MaxOpsBeforeYield, 3))
          for (let i = 0; i < wait; i++) yield* Effect.yieldNow
          transport.push(text("a"))
          for (let i = 0; i < 200; i++) yield* Effect.yieldNow
          const arrived = yield* done(reading)
          assert.deepStrictEqual(how === "pull" ? arrived : [arrived], ["a"])
        }
      }
    }))

  it.effect.prop("gives what a peer sent, however it is read", {
    plan,
    chunking,
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    role: Schema.Literals(["client", "server"]),
    mark: Schema.Literals([1, 1000, 65536]),
    hows: Arbitrary.array(Arbitrary.schema(Schema.Literals(["receive", "pull", "receiveStream", "part"])), {
      minLength: 1
    })
  }, (given) =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({
        role: given.role,
        chunks: given.chunks,
        inboundHighWaterMark: given.mark
      })
      const { bytes, meaning } = bytesOf(given.plan, given.role === "server")
      const messages: Array<unknown> = []
      // In small strides, so that readers come and go in between.
      const chunks = chop(bytes, bytes.length > 20_000 ? [5000] : given.chunking)
      const reading = yield* Effect.forkChild(Effect.gen(function*() {
        for (let i = 0;; i++) {
          const how = given.hows[i % given.hows.length]
          if (how === "receive") messages.push(yield* ws.receive)
          else if (how === "pull") messages.push(...yield* ws.pull)
          else if (how === "receiveStream") messages.push(yield* Effect.flatMap(ws.receiveStream, collect))
          else {
            // Reads a piece, leaves the rest.
            const incoming = yield* ws.receiveStream
            yield* Stream.runHead<string | Uint8Array, unknown, never>(incoming.fragments)
            messages.push("part")
          }
        }
      }))
      let i = 0
      for (const chunk of chunks) {
        transport.push(chunk)
        if (i++ % 7 === 0) yield* Effect.yieldNow
      }
      yield* turn
      assert.strictEqual(transport.waiting, 0)
      if (meaning.ending === undefined) {
        assert.isTrue(isPending(reading))
        yield* Fiber.interrupt(reading)
      } else {
        assert.isFalse(isPending(reading))
      }
      assert.strictEqual(messages.length, meaning.messages.length)
      messages.forEach((message, i) => {
        if (message !== "part") assert.deepStrictEqual(message, meaning.messages[i])
      })
    }))
})
