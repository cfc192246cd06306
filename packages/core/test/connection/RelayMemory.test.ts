/** A relay uses the memory of its messages again, and nobody ever sees that. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { restMillis, spareBytes } from "../../src/memory/SpareMemory.ts"
import * as Opcode from "../../src/Opcode.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { makeOnMessages } from "../support/FakeMessages.ts"
import { concat } from "../support/FakeTransport.ts"
import { done, isPending, make, type Options, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"
import { chop } from "../support/Sequences.ts"
import { block, counting, freeSpare, scribble } from "../support/Spare.ts"

const KiB = 1024
const MiB = 1024 * KiB

type Connected = Effect.Success<ReturnType<typeof make>>

/** Bytes of their own for each message. */
const payload = (size: number, seed: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i * 31 + seed * 17)

/** The frames of a binary message in so many fragments. */
const framesOf = ({ from }: Pick<Connected, "from">, message: Uint8Array, fragments: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: fragments }, (_, i) => {
    const at = (part: number) => Math.floor(message.length * part / fragments)
    return from(i === 0 ? Opcode.Binary : Opcode.Continuation, message.subarray(at(i), at(i + 1)), i === fragments - 1)
  })

/** What arrived at the other end: the payloads of whole messages. */
const arrived = ({ sent }: Pick<Connected, "sent">): Array<Uint8Array> => sent().map(({ data }) => new Uint8Array(data))

/** Not as a difference of all bytes, which nobody could read. */
const assertSame = (found: ReadonlyArray<Uint8Array>, expected: ReadonlyArray<Uint8Array>): void => {
  assert.deepStrictEqual(found.map(({ length }) => length), expected.map(({ length }) => length))
  found.forEach((message, i) => assert.isTrue(message.every((byte, at) => byte === expected[i]![at]), `message ${i} was altered`))
}

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Given = Schema.Struct({
  size: Schema.Union([int(0, 3 * KiB), int(2 * KiB, 40 * KiB), Schema.Literals([2047, 2048, 8192, 8193, 16384, 65536])]),
  fragments: Schema.Literals([1, 1, 1, 2, 5]),
  chunk: Schema.Literals([700, 9000, 65536, 1e9]),
  hold: Schema.Literals(["go on", "go on", "hold", "take", "release"]),
  which: Schema.Literals([0, 1])
})

describe("the memory of relayed messages", () => {
  beforeEach(freeSpare)

  it.effect("is used again: 64 MiB take less than one, whatever the target masks, and however they arrive", () =>
    Effect.gen(function*() {
      for (const role of ["server", "client"] as const) {
        for (const [size, fragments, chunk] of [[3 * KiB, 1, Infinity], [16 * KiB, 1, Infinity], [MiB, 1, 64 * KiB], [MiB, 16, 64 * KiB]] as const) {
          freeSpare()
          const { bytes, primitives } = counting()
          const from = yield* make({ primitives, maxMessageSize: 2 * MiB })
          const to = yield* make({ role, primitives })
          const relaying = yield* start(WebSocket.relay(from.ws, to.ws))
          const all = concat(framesOf(from, payload(size, 1), fragments))
          const count = 4 * MiB / size
          const before = bytes()
          for (let i = 0; i < count; i++) {
            for (const part of chop(all, [chunk])) from.transport.push(part)
            if (i % 16 === 0) yield* turn
          }
          yield* turn
          assert.strictEqual(to.transport.writes.reduce((sum, { length }) => sum + length, 0) > 4 * MiB, true)
          const what = `${role} ${size} in ${fragments}`
          assert.isBelow(bytes() - before, fragments > 1 ? 8 * MiB : size === MiB ? 2.6 * MiB : 100 * KiB, what)
          const warm = bytes()
          for (let i = 0; i < count; i++) {
            for (const part of chop(all, [chunk])) from.transport.push(part)
            yield* turn
          }
          assert.strictEqual(bytes(), warm, what)
          yield* Fiber.interrupt(relaying)
        }
      }
    }))

  it.effect("is each message's own for every other reader", () =>
    Effect.gen(function*() {
      const { bytes, primitives } = counting()
      const { binary, transport, ws } = yield* make({ primitives })
      const echoing = yield* start(Stream.runForEach(ws.batches, ws.sendAll))
      for (let i = 0; i < 100; i++) {
        transport.push(binary(16 * KiB))
        yield* turn
      }
      assert.strictEqual(bytes(), 100 * 16 * KiB)
      yield* Fiber.interrupt(echoing)
    }))

  it.effect("is each message's own where the target may keep it: an extension, a platform's own WebSocket", () =>
    Effect.gen(function*() {
      const extended = yield* make({ extension: () => RunLength.open({ compress: () => false }) })
      const platform = yield* makeOnMessages()
      for (const to of [extended.ws, platform.ws]) {
        const { bytes, primitives } = counting()
        const { binary, transport, ws } = yield* make({ primitives })
        const relaying = yield* start(WebSocket.relay(ws, to))
        for (let i = 0; i < 10; i++) {
          transport.push(binary(4 * KiB))
          yield* turn
        }
        assert.strictEqual(bytes(), 10 * 4 * KiB)
        assert.strictEqual(spareBytes(), 0)
        yield* Fiber.interrupt(relaying)
      }
    }))

  it.effect("returns once the transport has taken the message, not before", () =>
    Effect.gen(function*() {
      for (const role of ["server", "client"] as const) {
        freeSpare()
        const from = yield* make()
        const to = yield* make({ role })
        yield* start(WebSocket.relay(from.ws, to.ws))
        to.transport.holding = true
        from.transport.push(from.binary(16 * KiB))
        yield* turn
        assert.strictEqual(spareBytes(), 0)
        to.transport.take()
        assert.strictEqual(spareBytes(), block(16 * KiB))
      }
    }))

  it.effect("is left to the collector where the transport closes before it has taken all", () =>
    Effect.gen(function*() {
      for (const end of ["closes", "resets"] as const) {
        freeSpare()
        const from = yield* make()
        const to = yield* make()
        const relaying = yield* start(Effect.exit(WebSocket.relay(from.ws, to.ws)))
        to.transport.holding = true
        from.transport.push(from.binary(16 * KiB), from.binary(20 * KiB))
        yield* turn
        to.transport[end]()
        yield* turn
        assert.isTrue(Exit.isFailure(yield* done(relaying)))
        assert.strictEqual(spareBytes(), 0)
      }
    }))

  it.effect("returns where a message is dropped, or kept as a copy, for a slow peer", () =>
    Effect.gen(function*() {
      for (const slowConsumer of ["dropNewest", "dropOldest", { close: 1013, after: "1 minute", maxBytes: MiB }] as const) {
        freeSpare()
        const { bytes, primitives } = counting()
        const from = yield* make({ primitives })
        const to = yield* make({ slowConsumer, outboundHighWaterMark: KiB })
        yield* start(WebSocket.relay(from.ws, to.ws))
        to.transport.holding = true
        const all = Array.from({ length: 30 }, (_, i) => payload(16 * KiB, i))
        for (const message of all) {
          from.transport.push(from.binary(message))
          yield* turn
          scribble()
        }
        assert.strictEqual(bytes(), block(16 * KiB))
        to.transport.release()
        yield* turn
        for (const message of arrived(to)) assert.isTrue(all.some((one) => one.every((byte, i) => byte === message[i])))
      }
    }))

  it.effect("becomes the reader's own where the relay ends, and what is relayed then leaves it alone", () =>
    Effect.gen(function*() {
      for (const fragments of [1, 3]) {
        const from = yield* make({ outboundHighWaterMark: 30 })
        const to = yield* make({ outboundHighWaterMark: 30 })
        const other = yield* make()
        yield* start(WebSocket.relay(other.ws, other.ws))
        to.transport.holding = true
        const relaying = yield* start(WebSocket.relay(from.ws, to.ws))
        const all = Array.from({ length: 8 }, (_, i) => payload(16 * KiB + i, i))
        const input = concat(all.flatMap((message) => framesOf(from, message, fragments)))
        // Up to the middle of the last one.
        from.transport.push(input.subarray(0, input.length - 5000))
        yield* turn
        yield* Fiber.interrupt(relaying)
        from.transport.push(input.subarray(input.length - 5000))
        const rest: Array<Uint8Array> = []
        for (let i = 0; i < 20; i++) other.transport.push(other.binary(payload(16 * KiB, 100 + i)))
        to.transport.release()
        yield* turn
        const sent = arrived(to)
        while (sent.length + rest.length < all.length) {
          rest.push((yield* from.ws.receive) as Uint8Array)
          for (let i = 0; i < 20; i++) other.transport.push(other.binary(payload(16 * KiB + 5, 100 + i)))
          scribble()
        }
        assert.isAtLeast(rest.length, 6)
        assertSame([...sent, ...rest], all)
        // Nothing else is under it.
        for (const message of rest) assert.strictEqual(message.buffer.byteLength, message.length)
      }
    }))

  it.effect("of a message that is read in pieces after the relay is the reader's own", () =>
    Effect.gen(function*() {
      const { from, transport, ws } = yield* make()
      const relaying = yield* start(WebSocket.relay(ws, ws))
      const message = payload(40 * KiB, 3)
      const frame = from(Opcode.Binary, message)
      transport.push(frame.subarray(0, 30 * KiB))
      yield* Fiber.interrupt(relaying)
      const incoming = yield* ws.receiveStream
      assert.strictEqual(incoming._tag, "Binary")
      transport.push(frame.subarray(30 * KiB))
      const pieces = (yield* Stream.runCollect(incoming.fragments as Stream.Stream<Uint8Array>)) as ReadonlyArray<Uint8Array>
      scribble()
      assert.deepStrictEqual(concat(pieces), message)
      for (const piece of pieces) assert.isAtMost(piece.buffer.byteLength, 40 * KiB)
    }))

  it.effect("repeats and alters nothing where the fiber is interrupted by what it sends", () =>
    Effect.gen(function*() {
      for (const role of ["server", "client"] as const) {
        const from = yield* make()
        const to = yield* make({ role, outboundHighWaterMark: 30 })
        const relaying = yield* start(WebSocket.relay(from.ws, to.ws))
        const write = to.transport.write.bind(to.transport)
        let written = 0
        to.transport.write = (chunks) => {
          const taken = write(chunks)
          // Within the write: a fiber that waits is interrupted at once.
          if (++written === 2) relaying.interruptUnsafe()
          scribble()
          return taken
        }
        const all = Array.from({ length: 5 }, (_, i) => payload(12 * KiB, i))
        from.transport.push(concat(all.map((message) => from.binary(message))))
        yield* turn
        assert.isFalse(isPending(relaying))
        const rest: Array<Uint8Array> = []
        const next = yield* start(Effect.forever(Effect.map(from.ws.receive, (message) => rest.push(message as Uint8Array))))
        yield* turn
        scribble()
        assertSame([...arrived(to), ...rest], all)
        yield* Fiber.interrupt(next)
      }
    }))

  it.effect("is not that of a message for a reader that begins where the fiber was interrupted by what it sends", () =>
    Effect.gen(function*() {
      const from = yield* make()
      const to = yield* make()
      const relaying = yield* start(WebSocket.relay(from.ws, to.ws))
      const all = Array.from({ length: 5 }, (_, i) => payload(12 * KiB + 5, i))
      const rest: Array<Uint8Array> = []
      const write = to.transport.write.bind(to.transport)
      to.transport.write = (chunks) => {
        to.transport.write = write
        relaying.interruptUnsafe()
        from.transport.push(from.binary(all[4]!))
        Effect.runFork(Effect.forever(Effect.map(from.ws.receive, (message) => rest.push(message as Uint8Array))))
        assert.strictEqual(rest.length, 1, "begins at once")
        to.transport.holding = true
        return write(chunks)
      }
      from.transport.push(concat(all.slice(0, 4).map((message) => from.binary(message))))
      yield* turn
      scribble()
      assertSame(rest, [all[4]!, ...all.slice(1, 4)])
      for (const message of rest) assert.strictEqual(message.buffer.byteLength, message.length)
      to.transport.release()
      assertSame(arrived(to), all.slice(0, 1))
    }))

  it.effect("returns where a message had to wait before it was sent or copied", () =>
    Effect.gen(function*() {
      const { bytes, primitives } = counting()
      const from = yield* make({ primitives })
      const to = yield* make({ role: "client", outboundHighWaterMark: 30 })
      yield* start(WebSocket.relay(from.ws, to.ws))
      let before = 0
      for (let round = 0; round < 5; round++) {
        to.transport.holding = true
        for (let i = 0; i < 8; i++) from.transport.push(from.binary(i % 2 === 0 ? 16 * KiB : 5 * KiB))
        yield* turn
        to.transport.release()
        yield* turn
        if (round > 0) assert.strictEqual(bytes(), before)
        before = bytes()
      }
    }))

  it.effect("is freed in a process that rests", () =>
    Effect.gen(function*() {
      for (const holding of [false, true]) {
        const { binary, transport, ws } = yield* make()
        const relaying = yield* start(WebSocket.relay(ws, ws))
        transport.holding = holding
        transport.push(binary(16 * KiB))
        transport.release()
        yield* turn
        assert.strictEqual(spareBytes(), block(16 * KiB))
        yield* TestClock.adjust(2 * restMillis)
        assert.strictEqual(spareBytes(), 0)
        yield* Fiber.interrupt(relaying)
      }
    }))

  it.effect("is not altered by a transport that throws", () =>
    Effect.gen(function*() {
      const from = yield* make()
      const to = yield* make()
      const relaying = yield* start(Effect.exit(WebSocket.relay(from.ws, to.ws)))
      const { write } = to.transport
      const all = Array.from({ length: 3 }, (_, i) => payload(12 * KiB, i))
      let kept: ReadonlyArray<Uint8Array> = []
      to.transport.write = (chunks) => {
        kept = chunks
        throw new Error("of the transport")
      }
      from.transport.push(concat(all.map((message) => from.binary(message))))
      yield* turn
      assert.isTrue(Exit.hasDies(yield* done(relaying)))
      to.transport.write = write
      yield* to.ws.send("next")
      yield* turn
      scribble()
      assert.deepStrictEqual(kept.at(-1), all[0])
      const rest = [yield* from.ws.receive, yield* from.ws.receive]
      scribble()
      assert.deepStrictEqual(rest, all.slice(1))
    }))

  it.effect.prop("never shows: two relays, slow targets, interruptions, readers after them", {
    steps: Arbitrary.array(Arbitrary.schema(Given), { minLength: 1, maxLength: 14 }),
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    roles: Schema.Array(Schema.Literals(["client", "server"])).check(Schema.isMinLength(2), Schema.isMaxLength(2)),
    marks: Schema.Literals([30, 20 * KiB, 65536]),
    interrupts: int(0, 15),
    again: Schema.Boolean,
    echo: Schema.Boolean
  }, (given) =>
    Effect.gen(function*() {
      const relays = yield* Effect.forEach([0, 1], (which) =>
        Effect.gen(function*() {
          const marks: Options = { inboundHighWaterMark: given.marks, outboundHighWaterMark: given.marks, maxMessageSize: MiB }
          const from = yield* make({ chunks: given.chunks, ...marks })
          const to = given.echo ? from : yield* make({ role: given.roles[which]!, chunks: given.chunks, ...marks })
          const fiber = yield* start(WebSocket.relay(from.ws, to.ws))
          return { from, to, fiber, messages: Array<Uint8Array>(), reader: undefined as Fiber.Fiber<unknown, unknown> | undefined, rest: Array<Uint8Array>() }
        }))
      for (const [i, { chunk, fragments, hold, size, which }] of given.steps.entries()) {
        const { from, messages, to } = relays[which]!
        if (hold === "hold") to.transport.holding = true
        else if (hold === "take" && to.transport.isHeld) to.transport.take()
        else if (hold === "release") to.transport.release()
        const message = payload(size, i)
        messages.push(message)
        for (const part of chop(concat(framesOf(from, message, fragments)), [chunk])) {
          from.transport.push(part)
          if (chunk < 9000) continue
          scribble()
          yield* turn
        }
        if (i === given.interrupts) {
          const first = relays[0]!
          yield* Fiber.interrupt(first.fiber)
          if (given.again) first.fiber = yield* start(WebSocket.relay(first.from.ws, first.to.ws))
          else {
            first.reader = yield* start(
              Effect.forever(Effect.map(first.from.ws.receive, (message) => first.rest.push(message as Uint8Array)))
            )
          }
        }
        scribble()
      }
      for (const { from, messages, rest, to } of relays) {
        for (let i = 0; i < 40; i++) {
          to.transport.release()
          yield* turn
          scribble()
        }
        assert.strictEqual(from.transport.waiting, 0)
        assertSame([...arrived(to), ...rest], messages)
        if (given.chunks !== "owned") for (const own of rest) assert.strictEqual(own.buffer.byteLength, own.length)
      }
    }), { arbitrary: { runs: 150 } })
})
