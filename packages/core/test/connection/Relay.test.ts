import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Opcode from "../../src/Opcode.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { concat } from "../support/FakeTransport.ts"
import { bytes, done, isPending, make, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"
import { bytesOf, chop, chunking, plan } from "../support/Sequences.ts"

const KiB = 1024

const echo = (from: WebSocket.WebSocket, to = from) => WebSocket.relay(from, to)

/** The same by a fiber. */
const slowEcho = (from: WebSocket.WebSocket, to = from) => Stream.run(from.messages, to.sink)

describe("Relay", () => {
  const extension = () => RunLength.open({ compress: () => false })
  for (const [how, options] of [["", {}], [", with an extension too", { extension }]] as const) {
    it.effect(`sends what comes without its fiber${how}`, () =>
      Effect.gen(function*() {
        const { said, text, transport, ws } = yield* make(options)
        let evaluated = 0
        const counting: Tracer.Tracer = {
          ...Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }),
          context: (primitive, fiber) => {
            evaluated++
            return primitive["~effect/Effect/evaluate"](fiber)
          }
        }
        const echoing = yield* start(Effect.withTracer(echo(ws), counting))
        const before = evaluated
        assert.isAbove(before, 0, "is not counted")
        for (let i = 0; i < 10; i++) transport.push(concat([text(`a${i}`), text(`b${i}`)]))
        assert.strictEqual(evaluated, before)
        assert.deepStrictEqual(said(), Array.from({ length: 10 }, (_, i) => [`text a${i}`, `text b${i}`]).flat())
        // One write for all that came together.
        assert.strictEqual(transport.writes.length, 10)
        assert.isTrue(isPending(echoing))
        yield* Fiber.interrupt(echoing)
        assert.isAbove(evaluated, before)
      }))
  }

  it.effect("writes nothing within a write, where a transport delivers more meanwhile", () =>
    Effect.gen(function*() {
      const { binary, sent, transport, ws } = yield* make()
      const large = (value: number) => binary(new Uint8Array(20 * KiB).fill(value))
      yield* start(echo(ws))
      const write = transport.write.bind(transport)
      let depth = 0
      let next = 2
      transport.write = (chunks) => {
        assert.strictEqual(++depth, 1)
        if (next < 5) transport.push(large(next++))
        const isTaken = write(chunks)
        depth--
        return isTaken
      }
      transport.push(large(1))
      yield* turn
      assert.deepStrictEqual(sent().map(({ data }) => data[0]), [1, 2, 3, 4])
    }))

  it.effect("sends what waited before, and ends as the messages do", () =>
    Effect.gen(function*() {
      const { close, said, text, transport, ws } = yield* make()
      transport.push(concat([text("a"), text("b")]))
      const echoing = yield* start(echo(ws))
      assert.deepStrictEqual(said(), ["text a", "text b"])
      transport.push(concat([text("c"), close(1000, "bye")]))
      yield* turn
      yield* done(echoing)
      assert.deepStrictEqual(said(), ["text c", "close 1000"])
    }))

  it.effect("fails as the messages do, behind those that came before", () =>
    Effect.gen(function*() {
      const broken = yield* make()
      const first = yield* start(Effect.flip(echo(broken.ws)))
      broken.transport.push(concat([broken.text("a"), Uint8Array.of(0x83, 0x80, 0, 0, 0, 0)]))
      yield* turn
      assert.strictEqual((yield* done(first))._tag, "ProtocolError")
      assert.deepStrictEqual(broken.said().slice(0, 1), ["text a"])

      const reset = yield* make()
      const second = yield* start(Effect.flip(echo(reset.ws)))
      reset.transport.resets()
      yield* turn
      assert.strictEqual((yield* done(second))._tag, "IOError")
    }))

  it.effect("keeps failures of the reading end apart from those of the sink", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const other = yield* make()
      const relaying = yield* start(Effect.flip(echo(ws, other.ws)))
      other.transport.push(other.close(1001))
      transport.push(text("nobody hears"))
      yield* turn
      assert.strictEqual((yield* done(relaying))._tag, "ConnectionClosed")
      // The first connection is as it was, and what was not sent is the next reader's.
      transport.push(text("next"))
      assert.strictEqual(yield* ws.receive, "nobody hears")
      assert.strictEqual(yield* ws.receive, "next")
    }))

  it.effect("interrupted, leaves what was not accepted to the next reader, and repeats nothing", () =>
    Effect.gen(function*() {
      for (const size of [10, 20 * KiB]) {
        for (let wait = 0; wait < 12; wait++) {
          const from = yield* make()
          const to = yield* make({ outboundHighWaterMark: 30 })
          to.transport.holding = true
          const relaying = yield* start(echo(from.ws, to.ws))
          const all = Array.from({ length: 12 }, (_, i) => new Uint8Array(size).fill(i))
          from.transport.push(concat(all.map((one) => from.from(Opcode.Binary, one))))
          for (let i = 0; i < wait; i++) {
            if (to.transport.isHeld) to.transport.take()
            yield* Effect.yieldNow
          }
          yield* Fiber.interrupt(relaying)
          to.transport.release()
          yield* turn
          const sent = to.sent().map(({ data }) => data[0]!)
          const rest: Array<number> = []
          while (rest.length + sent.length < 12) rest.push(((yield* from.ws.receive) as Uint8Array)[0]!)
          assert.deepStrictEqual([...sent, ...rest], all.map((_, i) => i))
        }
      }
    }))

  it.effect("waits where the peer takes nothing, reads no more, and goes on", () =>
    Effect.gen(function*() {
      const { binary, sent, transport, ws } = yield* make({ inboundHighWaterMark: KiB, outboundHighWaterMark: 4 * KiB })
      const echoing = yield* start(echo(ws))
      transport.holding = true
      for (let i = 0; i < 20; i++) transport.push(binary(KiB))
      yield* turn
      assert.isTrue(transport.isPaused)
      assert.isAbove(transport.waiting, 5)
      transport.release()
      yield* turn
      assert.isFalse(transport.isPaused)
      assert.strictEqual(sent().length, 20)
      // And without its fiber again.
      transport.push(binary(1))
      assert.strictEqual(sent().length, 1)
      assert.isTrue(isPending(echoing))
    }))

  it.effect("sends large messages uncopied, by its fiber, in their place", () =>
    Effect.gen(function*() {
      const { binary, said, text, transport, ws } = yield* make()
      yield* start(echo(ws))
      transport.push(concat([text("a"), binary(20 * KiB), text("b"), binary(30 * KiB)]), text("c"))
      yield* turn
      assert.deepStrictEqual(said(), ["text a", `binary ${20 * KiB}`, "text b", `binary ${30 * KiB}`, "text c"])
    }))

  it.effect("refuses a message above the limit behind others of its chunk", () =>
    Effect.gen(function*() {
      const { binary, said, text, transport, ws } = yield* make({ maxMessageSize: 100 })
      const echoing = yield* start(Effect.flip(echo(ws)))
      transport.push(concat([text("a"), binary(101)]))
      yield* turn
      assert.strictEqual((yield* done(echoing))._tag, "ProtocolError")
      assert.deepStrictEqual(said(), ["text a", "close 1009 MessageTooBig"])
    }))

  it.effect("is interrupted like any reader, and loses nothing that it did not take", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make()
      const echoing = yield* start(echo(ws))
      transport.push(text("a"))
      yield* Fiber.interrupt(echoing)
      transport.push(text("b"))
      assert.deepStrictEqual(said(), ["text a"])
      assert.strictEqual(yield* ws.receive, "b")
      // A pump after a pump.
      const again = yield* start(echo(ws))
      transport.push(text("c"))
      assert.deepStrictEqual(said(), ["text c"])
      yield* Fiber.interrupt(again)
    }))

  it.effect("is one reader: another dies while it waits, and it while another reads", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const echoing = yield* start(echo(ws))
      assert.isTrue(Exit.hasDies(yield* Effect.exit(ws.receive)))
      yield* Fiber.interrupt(echoing)
      const reading = yield* start(ws.receive)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(echo(ws))))
      transport.push(text("a"))
      assert.strictEqual(yield* done(reading), "a")
    }))

  it.effect("ends once where the transport closes under its write", () =>
    Effect.gen(function*() {
      for (const end of ["resets", "closes"] as const) {
        for (const program of [echo, slowEcho]) {
          const { text, transport, ws } = yield* make()
          const echoing = yield* start(Effect.flip(program(ws)))
          const write = transport.write.bind(transport)
          transport.write = (chunks) => {
            const taken = write(chunks)
            transport[end]()
            return taken
          }
          transport.push(concat([text("a"), text("b")]))
          yield* turn
          assert.deepInclude(yield* done(echoing), { _tag: "IOError", phase: "read", reason: end === "resets" ? "Reset" : "EndOfStream" })
        }
      }
    }))

  it.effect("dies of what the transport that it writes to throws, and the other connection goes on", () =>
    Effect.gen(function*() {
      for (const program of [echo, slowEcho]) {
        const { text, transport, ws } = yield* make()
        const other = yield* make({ outboundHighWaterMark: 10 })
        const relaying = yield* start(Effect.exit(program(ws, other.ws)))
        other.transport.write = () => {
          throw new Error("of the transport")
        }
        transport.push(concat([text("a"), text("b".repeat(20)), text("c")]))
        yield* turn
        assert.isTrue(Exit.hasDies(yield* done(relaying)))
        transport.push(text("d"))
        const rest = yield* Stream.runCollect(Stream.takeUntil(ws.messages, (message) => message === "d"))
        assert.strictEqual(rest.at(-1), "d")
        other.transport.write = () => true
      }
    }))

  it.effect("leaves a connection alone whose fiber is interrupted by what a message led to", () =>
    Effect.gen(function*() {
      const { said, text, transport, ws } = yield* make()
      const other = yield* make()
      const relaying = yield* start(echo(ws, other.ws))
      // The other's end, noticed while it is written to, interrupts the relay.
      yield* start(Effect.andThen(other.ws.closed, Fiber.interrupt(relaying)))
      const write = other.transport.write.bind(other.transport)
      other.transport.write = (chunks) => {
        const taken = write(chunks)
        other.transport.closes()
        return taken
      }
      transport.push(text("a".repeat(100)))
      yield* turn
      assert.isFalse(isPending(relaying))
      transport.push(text("b"))
      assert.strictEqual(yield* ws.receive, "b")
      assert.deepStrictEqual(said(), [])
    }))

  for (const behind of ["a message", "the end"] as const) {
    it.effect(`takes no more once its fiber was interrupted by what it had read on, with ${behind} behind it`, () =>
      Effect.gen(function*() {
        // Behind an extension's message the next one is read once that is taken.
        const extension = () => RunLength.open()
        const { close, pong, text, transport, ws } = yield* make({ inboundHighWaterMark: 1, extension })
        const other = yield* make()
        const token = bytes(1, 2, 3)
        const relaying = yield* start(Effect.exit(echo(ws, other.ws)))
        yield* start(Effect.andThen(ws.ping(token), Fiber.interrupt(relaying)))
        const rest = behind === "a message" ? [text("b"), pong(token)] : [text("b", false), pong(token), close(1000)]
        transport.push(concat([text("a"), ...rest]))
        yield* turn
        assert.isFalse(isPending(relaying))
        assert.deepStrictEqual(other.said(), ["text a"])
        const next = yield* start(Effect.exit(ws.receive))
        const received = yield* done(next)
        if (behind === "a message") assert.deepStrictEqual(received, Exit.succeed("b"))
        else assert.isTrue(Exit.isFailure(received))
      }))
  }

  it.effect("drops what a slow peer does not take, where it is told to", () =>
    Effect.gen(function*() {
      const { binary, sent, transport, ws } = yield* make({ slowConsumer: "dropNewest", outboundHighWaterMark: KiB })
      const echoing = yield* start(echo(ws))
      transport.holding = true
      for (let i = 0; i < 20; i++) transport.push(binary(500))
      assert.isFalse(transport.isPaused)
      assert.isAbove(yield* ws.dropped, 10)
      transport.release()
      assert.strictEqual(sent().length, 20 - (yield* ws.dropped))
      assert.isTrue(isPending(echoing))
    }))

  it.effect.prop("does what a fiber does", {
    plan,
    chunking,
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    inbound: Schema.Literals([1, 1000, 65536]),
    outbound: Schema.Literals([1, 1000, 65536]),
    holds: Arbitrary.array(Arbitrary.schema(Schema.Literals(["hold", "take", "release", "go on"])), { minLength: 1 }),
    end: Schema.Literals(["none", "reset", "close", "interrupt"])
  }, (given) =>
    Effect.gen(function*() {
      const run = Effect.fnUntraced(function*(program: (ws: WebSocket.WebSocket) => Effect.Effect<void, unknown>) {
        const { said, transport, ws } = yield* make({
          chunks: given.chunks,
          inboundHighWaterMark: given.inbound,
          outboundHighWaterMark: given.outbound
        })
        const { bytes: all } = bytesOf(given.plan, true)
        const fiber = yield* start(Effect.exit(program(ws)))
        let i = 0
        for (const chunk of chop(all, all.length > 2000 ? [700] : given.chunking)) {
          const hold = given.holds[i++ % given.holds.length]
          if (hold === "hold") transport.holding = true
          else if (hold === "take" && transport.isHeld) transport.take()
          else if (hold === "release") transport.release()
          transport.push(chunk)
          yield* turn
        }
        transport.release()
        yield* turn
        if (given.end === "reset") transport.resets()
        else if (given.end === "close") transport.closes()
        else if (given.end === "interrupt") yield* Fiber.interrupt(fiber)
        yield* turn
        const exit = fiber.pollUnsafe()
        return {
          // Which Pongs overtake which messages depends on what goes out in one write.
          said: said().filter((frame) => !frame.startsWith("pong")),
          waiting: transport.waiting,
          exit: exit === undefined
            ? "pending"
            : Exit.isSuccess(exit) && Exit.isExit(exit.value) && Exit.isFailure(exit.value)
            ? Cause.pretty(exit.value.cause).split("\n")[0]
            : exit._tag
        }
      })
      assert.deepStrictEqual(yield* run(echo), yield* run(slowEcho))
    }))

  it.effect("copies what it sends from memory that is used again", () =>
    Effect.gen(function*() {
      const { binary, sent, transport, ws } = yield* make()
      yield* start(echo(ws))
      transport.holding = true
      transport.push(concat([binary(bytes(1, 2, 3)), binary(bytes(4, 5))]))
      transport.push(binary(bytes(6)))
      transport.release()
      assert.deepStrictEqual(sent().map(({ data }) => [...data]), [[1, 2, 3], [4, 5], [6]])
    }))
})
