/** The bytes of all connections together. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Connection } from "../src/connection/Connection.ts"
import * as Limits from "../src/Limits.ts"
import * as MemoryBudget from "../src/MemoryBudget.ts"
import { concat } from "./support/FakeTransport.ts"
import { bytes, make as makeConnection, type Options, start, turn } from "./support/Harness.ts"

const KiB = 1024

/** Connections that share a budget. */
const make = Effect.fnUntraced(function*(options: MemoryBudget.Options, connection: Options = {}) {
  const budget = MemoryBudget.make(options)
  const open = (more: Options = {}) =>
    makeConnection({ keepAlive: false, inboundHighWaterMark: 1024 * KiB, ...connection, ...more }).pipe(
      Effect.provideService(MemoryBudget.CurrentBudget, budget)
    )
  return { budget, open }
})

const declared = (size: number) =>
  bytes(0x82, 0xff, 0, 0, 0, 0, size >>> 24, size >>> 16, size >>> 8, size, 0, 0, 0, 0)

describe("MemoryBudget", () => {
  it.effect("one for the process by default, or one that a layer provides", () =>
    Effect.gen(function*() {
      const one = yield* MemoryBudget.CurrentBudget
      assert.strictEqual(yield* MemoryBudget.CurrentBudget, one)
      assert.strictEqual(one.maxBytes, 2 ** 30)
      assert.strictEqual(one.maxBytes, Limits.defaultMemoryBudget.bytes)
      const other = yield* Effect.provide(MemoryBudget.CurrentBudget, MemoryBudget.layer({ bytes: 1000 }))
      assert.strictEqual(other.maxBytes, 1000)
      assert.strictEqual(MemoryBudget.make({ bytes: 1000, processes: 3 }).maxBytes, 334)
      assert.strictEqual(MemoryBudget.make({ processes: 4 }).maxBytes, 2 ** 28)
      const both = yield* Effect.all([MemoryBudget.CurrentBudget, MemoryBudget.CurrentBudget]).pipe(
        Effect.provide(Layer.fresh(MemoryBudget.layer({})))
      )
      assert.strictEqual(both[0], both[1])
      const { ws } = yield* makeConnection().pipe(Effect.provideService(MemoryBudget.CurrentBudget, other))
      assert(ws instanceof Connection)
      assert.strictEqual(ws.link.budget, other)
    }))

  it.effect("counts what waits to be read and to be sent, and gives all of it back", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({})
      const one = yield* open()
      one.transport.push(one.binary(100 * KiB))
      assert.isAtLeast(budget.bytes, 100 * KiB)
      yield* one.ws.receive
      assert.strictEqual(budget.bytes, 0)
      one.transport.holding = true
      yield* one.ws.send("x".repeat(50 * KiB))
      yield* turn
      assert.isAtLeast(budget.bytes, 48 * KiB)
      yield* one.ws.send("x".repeat(50 * KiB))
      yield* turn
      assert.isAtLeast(budget.bytes, 96 * KiB)
      one.transport.release()
      assert.strictEqual(budget.bytes, 0)
      one.transport.push(one.binary(100 * KiB))
      one.transport.holding = true
      yield* one.ws.send("x".repeat(50 * KiB))
      yield* turn
      one.transport.resets()
      assert.strictEqual(budget.bytes, 0)
    }))

  it.effect("counts nothing any more of a connection that broke, though its messages can still be read", () =>
    Effect.gen(function*() {
      for (const closesLater of [true, false]) {
        const { budget, open } = yield* make({})
        const { binary, text, transport, ws } = yield* open({ closesLater })
        transport.push(binary(100 * KiB), text("last"))
        yield* ws.send("written at the end of this run of JavaScript")
        ;(ws as Connection).cut("enough")
        yield* turn
        assert.strictEqual(budget.bytes, 0)
        assert.lengthOf(yield* ws.receive, 100 * KiB)
        assert.strictEqual(budget.bytes, 0)
        assert.strictEqual(yield* ws.receive, "last")
      }
    }))

  it.effect("counts the room that a message takes before it has come", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({})
      const { transport } = yield* open()
      transport.push(concat([declared(512 * KiB), bytes(1)]))
      assert.isAtLeast(budget.bytes, 512 * KiB)
    }))

  it.effect("once it is exhausted nobody reads, until there is room", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB })
      const [a, b, idle] = [yield* open(), yield* open(), yield* open()]
      yield* start(Stream.runDrain(idle.ws.messages))
      a.transport.push(a.binary(100 * KiB))
      b.transport.push(b.binary(150 * KiB))
      assert.isFalse(budget.isExhausted)
      a.transport.push(a.binary(20 * KiB))
      yield* turn
      assert.isTrue(budget.isExhausted)
      assert.isTrue(a.transport.isPaused)
      assert.isTrue(b.transport.isPaused, "who holds something stops at once")
      idle.transport.push(idle.text("x"))
      assert.isTrue(idle.transport.isPaused, "and the others behind their next read, though their reader waits")
      idle.transport.push(idle.text("y"))
      assert.strictEqual(idle.transport.waiting, 1)
      yield* b.ws.receive
      yield* turn
      assert.isFalse(budget.isExhausted)
      for (const { transport } of [a, b, idle]) assert.isFalse(transport.isPaused)
      assert.strictEqual(idle.transport.waiting, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(budget.shed, 0)
      for (const { said } of [a, b, idle]) assert.deepStrictEqual(said(), [])
    }))

  it.effect("goes on at seven eighths, not sooner", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB })
      const { binary, transport, ws } = yield* open()
      transport.push(concat([binary(16 * KiB), binary(32 * KiB), ...Array.from({ length: 7 }, () => binary(30 * KiB))]))
      yield* turn
      assert.isTrue(budget.isExhausted)
      yield* ws.receive
      yield* turn
      assert.isTrue(budget.isExhausted && transport.isPaused)
      yield* ws.receive
      yield* turn
      assert.isFalse(budget.isExhausted || transport.isPaused)
    }))

  it.effect("where pausing does not help, the largest are closed with 1013 until the rest fits", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB })
      const sizes = [40, 90, 20, 100, 8]
      const all = yield* Effect.forEach(sizes, () => open())
      yield* Effect.forEach(all, (one, i) => Effect.sync(() => one.transport.push(one.binary(sizes[i] * KiB))))
      yield* TestClock.adjust(1999)
      assert.strictEqual(budget.shed, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(budget.shed, 1)
      assert.deepStrictEqual(all.map(({ said }) => said().at(-1)), [
        undefined,
        undefined,
        undefined,
        "close 1013 out of memory",
        undefined
      ])
      assert.deepInclude((all[3].ws as Connection).link.closeInfo, { code: 1013, initiator: "local" })
      const error = yield* Effect.flip(all[3].ws.send("x"))
      assert.strictEqual(error._tag, "ConnectionClosed")
      // It holds nothing any more at its close deadline at the latest, and then the others read on.
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(all[3].transport.isEnded)
      yield* turn
      assert.isFalse(budget.isExhausted)
      assert.isFalse(all[0].transport.isPaused)
      assert.strictEqual(budget.shed, 1, "nobody else is closed meanwhile")
    }))

  it.effect("or those that came last", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB, shed: "newest", grace: "10 seconds" })
      const sizes = [200, 10, 30, 20]
      const all = yield* Effect.forEach(sizes, () => open())
      // In another order than that in which they came.
      for (const i of [3, 1, 2, 0]) all[i].transport.push(all[i].binary(sizes[i] * KiB))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(budget.shed, 2)
      assert.deepStrictEqual(all.map(({ said }) => said().length), [0, 0, 1, 1])
    }))

  it.effect("half messages cannot lock it up: those who began them are closed", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 1024 * KiB })
      const all = yield* Effect.forEach([1, 2, 3, 4], () => open())
      for (const one of all) {
        yield* start(Effect.exit(Stream.runDrain(one.ws.messages)))
        one.transport.push(concat([declared(290 * KiB), bytes(1)]))
      }
      yield* turn
      assert.isTrue(budget.isExhausted)
      yield* TestClock.adjust("2 seconds")
      yield* turn
      assert.isFalse(budget.isExhausted)
      assert.strictEqual(budget.shed, 1)
      assert.strictEqual(all.filter(({ transport }) => !transport.isPaused).length, 4, "the closed one reads its Close")
    }))

  it.effect("a quarter too much is shed at once", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB })
      const [a, b] = [yield* open(), yield* open()]
      a.transport.push(a.binary(200 * KiB))
      b.transport.push(b.binary(100 * KiB))
      yield* turn
      assert.strictEqual(budget.shed, 0)
      const c = yield* open()
      c.transport.push(c.binary(100 * KiB))
      yield* turn
      assert.strictEqual(budget.shed, 1)
      assert.deepStrictEqual(a.said(), ["close 1013 out of memory"])
    }))

  it.effect("slow consumers are closed for what waits to be sent to them, and cut if they take nothing more", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB }, { outboundHighWaterMark: 200 * KiB })
      const [slow, slower] = [yield* open(), yield* open()]
      for (const [one, size] of [[slow, 100], [slower, 160]] as const) {
        one.transport.holding = true
        yield* one.ws.send("x".repeat(size * KiB))
      }
      yield* turn
      assert.isTrue(budget.isExhausted)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(budget.shed, 1)
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(slower.transport.isDestroyed)
      assert.isFalse(slow.transport.isDestroyed)
      assert.isFalse(budget.isExhausted)
    }))

  it.effect("messages kept back for a slow consumer count too", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({}, { outboundHighWaterMark: 64 * KiB, slowConsumer: "dropOldest" })
      const { transport, ws } = yield* open()
      transport.holding = true
      for (let i = 0; i < 20; i++) {
        yield* ws.send("x".repeat(20 * KiB))
        yield* turn
      }
      assert.isAtLeast(budget.bytes, 110 * KiB)
      transport.release()
      yield* turn
      assert.strictEqual(budget.bytes, 0)
    }))

  it.effect("keepalive and the message deadline stand still while nobody reads", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB, grace: "10 minutes" }, { keepAlive: {} })
      const hog = yield* open({ keepAlive: false })
      const { more, said, transport, ws, text } = yield* open()
      yield* start(Effect.exit(Stream.runDrain(ws.messages)))
      transport.push(text("begun", false))
      hog.transport.push(hog.binary(260 * KiB))
      yield* turn
      transport.push(more("", false))
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(budget.isExhausted)
      assert.isTrue(transport.isPaused)
      assert.isFalse(transport.isClosed)
      assert.isFalse(said().some((one) => one.startsWith("close")))
    }))

  it.effect("a connection that is closing is read on, whatever the budget says", () =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB, grace: "1 hour" })
      const hog = yield* open()
      const one = yield* open()
      hog.transport.push(hog.binary(260 * KiB))
      yield* turn
      assert.isTrue(budget.isExhausted)
      const closing = yield* start(one.ws.close(1000))
      one.transport.push(one.close(1000))
      yield* turn
      assert.deepInclude(yield* Fiber.join(closing), { clean: true })
    }))

  it.effect("leaves no alarm behind", () =>
    Effect.gen(function*() {
      const { open } = yield* make({ bytes: 256 * KiB })
      const one = yield* open()
      one.transport.push(one.binary(300 * KiB))
      yield* turn
      assert.strictEqual(one.alarms(), 1)
      yield* one.ws.receive
      assert.strictEqual(one.alarms(), 0)
    }))

  const operation = Schema.Struct({
    who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    what: Schema.Literals(["push", "declare", "read", "send", "hold", "take", "reset", "close", "wait"]),
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100_000 }))
  })

  it.effect.prop("accounts never leak, whatever happens to connections", {
    operations: Arbitrary.array(Arbitrary.schema(operation), { maxLength: 40 })
  }, ({ operations }) =>
    Effect.gen(function*() {
      const { budget, open } = yield* make({ bytes: 256 * KiB }, { outboundHighWaterMark: 100_000, slowConsumer: "dropOldest" })
      const all = yield* Effect.forEach([0, 1, 2, 3], () => open())
      for (const { size, what, who } of operations) {
        const { binary, transport, ws } = all[who]
        const isClosed = transport.isClosed
        if (what === "push" && !isClosed) transport.push(binary(size))
        else if (what === "declare" && !isClosed) transport.push(concat([declared(Math.max(size, 65536)), bytes(1)]))
        else if (what === "read") yield* start(Effect.exit(Effect.timeoutOption(ws.receive, 1)))
        else if (what === "send") yield* Effect.exit(ws.send("x".repeat(size)))
        else if (what === "hold") transport.holding = true
        else if (what === "take" && !isClosed) transport.release()
        else if (what === "reset" && !isClosed) transport.resets()
        else if (what === "close") yield* start(Effect.exit(ws.close(1000)))
        else if (what === "wait") yield* TestClock.adjust(size / 10)
        yield* turn
        let held = 0
        for (const { ws } of all) held += (ws as Connection).link.accounted
        assert.strictEqual(budget.bytes, held * 4096)
      }
      for (const { transport } of all) if (!transport.isClosed) transport.resets()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(budget.bytes, 0)
      assert.isFalse(budget.isExhausted)
      assert.strictEqual(budget["holders"].size + budget["paused"].size, 0)
      assert.strictEqual(all[0].alarms(), 0)
    }))
})
