/** An extension's decoder in a connection: with readers, turns of the event loop, and ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import type { Message } from "../../src/Message.ts"
import * as Opcode from "../../src/Opcode.ts"
import type { IncomingMessage } from "../../src/WebSocket.ts"
import { closeBody, concat } from "../support/FakeTransport.ts"
import { done, isPending, make as makeConnection, type Options, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

const KiB = 1024
const MiB = 1024 * KiB
const { frame, run } = RunLength

const make = Effect.fnUntraced(function*(options: Options & { readonly toy?: RunLength.Options } = {}) {
  const { toy, ...rest } = options
  const transform = RunLength.open(toy)
  const open = yield* makeConnection({ ...rest, extension: () => transform })
  return { ...open, transform }
})

const zeros = (size: number, value = 0) => frame(Opcode.Binary, run(size, value), { rsv2: true })
const text = (value: string) => frame(Opcode.Text, value)
const close = (code = 1000) => frame(Opcode.Close, closeBody(code))
const sizes = (messages: ReadonlyArray<Message>) => messages.map((message) => message.length)

const drained = (message: IncomingMessage) =>
  message._tag === "Binary"
    ? Stream.runFold(message.fragments, () => 0, (sum, part) => sum + part.length)
    : Effect.die("not binary")

/** Turns of the event loop, as many as it takes. */
const eventually = (what: string, holds: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let i = 0; i < 10_000; i++) {
      if (holds()) return
      yield* Effect.yieldNow
    }
    assert.fail(`never: ${what}`)
  })

const modes = ["owned", "scratch", "borrowed"] as const

describe("Receiving through an extension", () => {
  it.effect("what came behind a Pong is decoded, although its fiber drops the connection", () =>
    Effect.gen(function*() {
      const { transform, transport, ws } = yield* make()
      const token = new Uint8Array([1, 2, 3])
      const reading = yield* start(Effect.exit(Stream.runCollect(ws.messages)))
      yield* start(Effect.andThen(ws.ping(token), Effect.sync(() => (ws as Connection).cut("enough"))))
      transport.push(concat([frame(Opcode.Pong, token), zeros(1000), text("behind")]))
      assert.strictEqual(transform.closed, 1)
      assert.strictEqual(transform.decoded, 1000)
      assert.isTrue(Exit.isFailure(yield* done(reading)))
    }))

  for (const chunks of modes) {
    it.effect(`large and small messages in order (${chunks})`, () =>
      Effect.gen(function*() {
        const { close, sent, text: plain, transform, transport, ws } = yield* make({ chunks, maxMessageSize: 8 * MiB })
        const reading = yield* start(Stream.runCollect(ws.messages))
        transport.push(zeros(3 * MiB), plain("a"), frame(Opcode.Ping, "p"), zeros(MiB), zeros(1), plain("b"), close(1000))
        yield* eventually("the end", () => !isPending(reading))
        assert.deepStrictEqual(sizes(yield* done(reading)), [3 * MiB, 1, MiB, 1, 1])
        assert.strictEqual(transform.decoded, 4 * MiB + 1)
        assert.deepStrictEqual(sent().map((one) => one.opcode), [Opcode.Pong, Opcode.Close])
      }))

    it.effect(`one message at a time (${chunks})`, () =>
      Effect.gen(function*() {
        const { transport, ws } = yield* make({ chunks, maxMessageSize: 8 * MiB })
        transport.push(zeros(2 * MiB), text("a"), zeros(MiB), text("b"))
        const got: Array<Message> = []
        for (let i = 0; i < 4; i++) got.push(yield* ws.receive)
        assert.deepStrictEqual(sizes(got), [2 * MiB, 1, MiB, 1])
      }))

    it.effect(`in pieces, a message above every limit of whole ones among them (${chunks})`, () =>
      Effect.gen(function*() {
        const { transform, transport, ws } = yield* make({ chunks, maxMessageSize: 1000 })
        transport.push(zeros(100), zeros(20 * MiB), text("a"), zeros(70 * KiB), close())
        const got: Array<number> = []
        for (let i = 0; i < 4; i++) {
          const message = yield* ws.receiveStream
          got.push(message._tag === "Text" ? (yield* Stream.mkString(message.fragments)).length : yield* drained(message))
        }
        assert.deepStrictEqual(got, [100, 20 * MiB, 1, 70 * KiB])
        assert.strictEqual(transform.decoded, 100 + 20 * MiB + 70 * KiB)
        assert.strictEqual((yield* Effect.flip(ws.receive))._tag, "ConnectionClosed")
      }))
  }

  it.effect("nobody reads: not a step beyond the mark, and reading pauses", () =>
    Effect.gen(function*() {
      const { transform, transport, ws } = yield* make({ inboundHighWaterMark: 64 * KiB })
      for (let i = 0; i < 100; i++) transport.push(zeros(16 * KiB, i))
      yield* turn
      assert.isTrue(transport.isPaused)
      assert.isAtMost(transform.decoded, 80 * KiB)
      const before = transform.decoded
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(transform.decoded, before)
      assert.strictEqual((yield* ws.receive).length, 16 * KiB)
    }))

  it.effect("a reader of pieces that stops taking stops the decoder", () =>
    Effect.gen(function*() {
      const { transform, transport, ws } = yield* make({ inboundHighWaterMark: 64 * KiB, toy: { stepSize: 16 * KiB } })
      transport.push(zeros(100 * MiB))
      const message = yield* ws.receiveStream
      assert.strictEqual(message._tag, "Binary")
      if (message._tag !== "Binary") return
      let most = 0
      let taken = 0
      yield* message.fragments.pipe(
        Stream.take(100),
        Stream.runForEach((part) =>
          Effect.gen(function*() {
            taken += part.length
            yield* Effect.yieldNow
            most = Math.max(most, transform.decoded - taken)
          })
        )
      )
      assert.isAtLeast(taken, 100 * 16 * KiB)
      assert.isAtMost(most, 80 * KiB)
      assert.isAtMost(transform.decoded, taken + 80 * KiB)
    }))

  it.effect("what is left of a message in pieces is dropped in turns, and the next one read", () =>
    Effect.gen(function*() {
      const { transform, transport, ws } = yield* make()
      transport.push(zeros(20 * MiB), text("next"))
      yield* ws.receiveStream
      assert.strictEqual(yield* ws.receive, "next")
      assert.strictEqual(transform.decoded, 20 * MiB, "the window must see all of it")
    }))

  it.effect("work goes on in later turns of the event loop, and others run in between", () =>
    Effect.gen(function*() {
      let steps = 0
      let most = 0
      const onStep = () => {
        steps++
        most = Math.max(most, steps)
      }
      const { transport, ws } = yield* make({ maxMessageSize: 16 * MiB, toy: { onStep } })
      const other = yield* makeConnection()
      const order: Array<string> = []
      yield* start(Stream.runForEach(other.ws.messages, (message) => Effect.sync(() => order.push(String(message)))))
      const reading = yield* start(Effect.tap(ws.receive, () => Effect.sync(() => order.push("large"))))
      let turns = 0
      let counting = true
      const tick = () => {
        steps = 0
        turns++
        if (turns === 3) other.transport.push(other.text("small"))
        if (counting) setImmediate(tick)
      }
      setImmediate(tick)
      transport.push(zeros(8 * MiB))
      assert.isTrue(transport.isPaused, "until it is worked off")
      yield* eventually("the message", () => !isPending(reading))
      counting = false
      assert.deepStrictEqual(order, ["small", "large"])
      assert.isAtMost(most, 8, "256 KiB and the turn is over, or two that met")
      assert.isAtLeast(turns, 16)
    }))

  describe("too large", () => {
    it.effect("a reader of whole messages is told 1009 and the connection closed", () =>
      Effect.gen(function*() {
        const { said, transform, transport, ws } = yield* make()
        const reading = yield* start(Effect.flip(Stream.runDrain(ws.messages)))
        transport.push(zeros(2 ** 32 - 1))
        yield* eventually("the end", () => !isPending(reading))
        assert.deepInclude(yield* done(reading), { _tag: "ProtocolError", rule: "MessageTooBig", code: 1009 })
        assert.isAtMost(transform.decoded, MiB + 64 * KiB)
        assert.deepStrictEqual(said(), ["close 1009 MessageTooBig"])
      }))

    it.effect("nobody reads: it waits, whoever comes", () =>
      Effect.gen(function*() {
        for (const how of ["whole", "pieces"] as const) {
          const { transform, transport, ws } = yield* make()
          transport.push(text("before"), zeros(20 * MiB))
          yield* turn
          assert.isTrue(transport.isPaused)
          assert.isAtMost(transform.decoded, 128 * KiB)
          assert.strictEqual(yield* ws.receive, "before")
          if (how === "whole") {
            assert.deepInclude(yield* Effect.flip(ws.receive), { rule: "MessageTooBig" })
          } else {
            assert.strictEqual(yield* drained(yield* ws.receiveStream), 20 * MiB)
          }
        }
      }))

    it.effect("a streamed message above its own limit fails behind its pieces", () =>
      Effect.gen(function*() {
        const { transform, transport, ws } = yield* make({ maxStreamedMessageSize: 2 * MiB })
        transport.push(zeros(2 ** 32 - 1))
        const message = yield* ws.receiveStream
        let got = 0
        assert.strictEqual(message._tag, "Binary")
        if (message._tag !== "Binary") return
        const error = yield* Effect.flip(Stream.runForEach(message.fragments, (part) =>
          Effect.sync(() => {
            got += part.length
          })))
        assert.deepInclude(error, { _tag: "ProtocolError", rule: "MessageTooBig" })
        assert.strictEqual(got, 2 * MiB)
        assert.isAtMost(transform.decoded, 2 * MiB + 64 * KiB)
      }))
  })

  it.effect("what cannot be decoded is ExtensionData, and closed with 1007 behind what was read", () =>
    Effect.gen(function*() {
      const { said, transport, ws } = yield* make()
      transport.push(text("before"), frame(Opcode.Binary, run(0, 0), { rsv2: true }))
      assert.strictEqual(yield* ws.receive, "before")
      assert.deepInclude(yield* Effect.flip(ws.receive), { _tag: "ProtocolError", rule: "ExtensionData", code: 1007 })
      assert.deepStrictEqual(said(), ["close 1007 ExtensionData"])
    }))

  describe("the end comes before all is decoded", () => {
    for (const how of ["end", "reset", "close and end", "close and reset"] as const) {
      for (const reader of ["reads", "comes later", "in pieces"] as const) {
        it.effect(`${how}, a reader that ${reader}`, () =>
          Effect.gen(function*() {
            const { scope, transform, transport, ws } = yield* make({ maxMessageSize: 8 * MiB })
            const messages = Effect.gen(function*() {
              const got: Array<number> = []
              for (let i = 0; i < 3; i++) {
                if (reader === "in pieces") {
                  const message = yield* ws.receiveStream
                  got.push(message._tag === "Text" ? (yield* Stream.mkString(message.fragments)).length : yield* drained(message))
                } else got.push((yield* ws.receive).length)
              }
              return { got, end: yield* Effect.flip(ws.receive) }
            })
            const reading = reader === "reads" ? yield* start(messages) : undefined
            transport.push(Uint8Array.from([
              ...zeros(4 * MiB),
              ...text("ab"),
              ...zeros(2 * MiB),
              ...how.startsWith("close") ? close(4000) : []
            ]))
            assert.isBelow(transform.decoded, 4 * MiB, "not decoded yet")
            if (how.endsWith("end")) {
              if (transport.isPaused) transport.handlers!.onEnd()
              else transport.peerEnds()
            } else transport.resets()
            assert.strictEqual(transform.closed, 0)
            const { end, got } = yield* reading === undefined ? messages : eventually("it", () => !isPending(reading)).pipe(
              Effect.andThen(Effect.suspend(() => done(reading)))
            )
            assert.deepStrictEqual(got, [4 * MiB, 2, 2 * MiB])
            if (how.startsWith("close")) assert.strictEqual(end._tag, "ConnectionClosed")
            else assert.deepInclude(end, { _tag: "IOError", reason: how === "end" ? "EndOfStream" : "Reset" })
            yield* eventually("closed", () => transport.isClosed)
            assert.strictEqual(transform.closed, 1, "given back at once, though the scope is open")
            yield* Scope.close(scope, Exit.void)
            assert.strictEqual(transform.closed, 1)
          }))
      }
    }

    it.effect("a reset that nobody reads behind waits for the scope", () =>
      Effect.gen(function*() {
        const { scope, transform, transport } = yield* make({ inboundHighWaterMark: KiB })
        transport.push(Uint8Array.from([...zeros(2 * KiB), ...zeros(2 * KiB)]))
        transport.resets()
        yield* turn
        assert.strictEqual(transform.closed, 0)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(transform.closed, 1)
        assert.strictEqual(transform.decoded, 2 * KiB)
      }))

    it.effect("a reset with nothing left gives the extension back at once", () =>
      Effect.gen(function*() {
        const { transform, transport, ws } = yield* make()
        transport.push(zeros(KiB))
        transport.resets()
        assert.strictEqual(transform.closed, 1)
        assert.strictEqual((yield* ws.receive).length, KiB)
      }))
  })

  describe("we close while it decodes", () => {
    for (const how of ["close", "scope"] as const) {
      it.effect(how, () =>
        Effect.gen(function*() {
          const { said, scope, transform, transport, ws } = yield* make({ maxMessageSize: 8 * MiB })
          const reading = yield* start(Stream.runCollect(ws.messages))
          transport.push(Uint8Array.from([...zeros(4 * MiB), ...zeros(2 * MiB), ...text("x")]))
          const before = transform.decoded
          assert.isBelow(before, 4 * MiB)
          const closing = yield* start(how === "close" ? ws.close(1000) : Scope.close(scope, Exit.void))
          assert.deepStrictEqual(said(), ["close 1000"])
          assert.isFalse(transport.isPaused, "the answer must be seen")
          transport.push(close(1000))
          if (how === "scope") transport.peerEnds()
          yield* turn
          yield* done(closing)
          assert.deepInclude(yield* ws.closed, { code: 1000, clean: true, initiator: "local" })
          assert.isAtMost(transform.decoded, before + 1024 * KiB, "what nobody wants is not decoded")
          assert.deepStrictEqual(sizes(yield* done(reading)), [])
          if (how === "close") {
            transport.peerEnds()
            yield* turn
          }
          assert.strictEqual(transform.closed, 1)
        }))
    }

    it.effect("the peer does not answer: the deadline ends it, and the extension is given back once", () =>
      Effect.gen(function*() {
        const { scope, transform, transport } = yield* make({ maxMessageSize: 8 * MiB })
        transport.push(zeros(4 * MiB))
        const closing = yield* start(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("5 seconds")
        yield* done(closing)
        yield* TestClock.adjust("55 seconds")
        assert.isTrue(transport.isClosed)
        assert.strictEqual(transform.closed, 1)
      }))
  })

  it.effect("an interrupted reader loses nothing", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ maxMessageSize: 8 * MiB })
      const first = yield* Effect.forkChild(ws.receive)
      yield* Effect.yieldNow
      transport.push(zeros(4 * MiB), text("x"))
      first.interruptUnsafe()
      assert.strictEqual((yield* ws.receive).length, 4 * MiB)
      assert.strictEqual(yield* ws.receive, "x")
    }))
})
