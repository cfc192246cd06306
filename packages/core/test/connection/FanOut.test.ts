/** What many connections are told at once: it waits for its turn, and what is promised of a message holds meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Message from "../../src/Message.ts"
import { done, isPending, make, type Options, start, turn } from "../support/Harness.ts"

/** The end of a run of JavaScript, in the same turn of the event loop. */
const runEnds = Effect.promise(() => Promise.resolve())

/** So many turns pass. */
const turns = (count: number) => Effect.repeat(turn, { times: count - 1 })

const makeRoom = Effect.fnUntraced(function*(size: number, options: Options = {}) {
  const members = yield* Effect.all(Array.from({ length: size }, () => make(options)))
  return {
    members,
    /** Sends to all in one run of JavaScript, by the way that is asked for. */
    tell: (text: string, way: "send" | "offer" = "send") => {
      const prepared = Message.prepare(text)
      return way === "send"
        ? Effect.forEach(members, ({ ws }) => Effect.ignore(ws.send(prepared)), { discard: true })
        : Effect.sync(() => members.map(({ ws }) => ws.offerUnsafe(prepared)))
    },
    writes: () => members.reduce((sum, { transport }) => sum + transport.writes.length, 0)
  }
})

describe("a fan-out", () => {
  it.effect("reaches everybody in order, several messages in one write", () =>
    Effect.gen(function*() {
      const { members, tell, writes } = yield* makeRoom(200)
      for (const text of ["a", "b", "c"]) {
        yield* tell(text, text === "b" ? "offer" : "send")
        yield* runEnds
      }
      assert.strictEqual(writes(), 0)
      yield* turn
      assert.strictEqual(writes(), 200)
      for (const { said } of members) assert.deepStrictEqual(said(), ["text a", "text b", "text c"])
    }))

  it.effect("needs nothing but offers", () =>
    Effect.gen(function*() {
      const { members, tell, writes } = yield* makeRoom(8)
      for (const text of ["a", "b"]) yield* tell(text, "offer")
      yield* turn
      assert.strictEqual(writes(), 8)
      for (const { said } of members) assert.deepStrictEqual(said(), ["text a", "text b"])
    }))

  it.effect("is not split by what its receivers say meanwhile", () =>
    Effect.gen(function*() {
      const { members, tell, writes } = yield* makeRoom(8)
      for (const { ws } of members) yield* start(Stream.runForEach(ws.messages, () => Effect.void))
      yield* tell("a")
      yield* runEnds
      for (const { text, transport } of members) transport.push(text("no answer to this"))
      assert.strictEqual(writes(), 0)
      yield* tell("b")
      yield* turn
      assert.strictEqual(writes(), 8)
      for (const { said } of members) assert.deepStrictEqual(said(), ["text a", "text b"])
    }))

  it.effect("holds up no answer, by whatever way it is given", () =>
    Effect.gen(function*() {
      const { members, tell, writes } = yield* makeRoom(8)
      const [reader, pinged, ponged, relayed] = members
      yield* start(Stream.runForEach(reader.ws.messages, reader.ws.send))
      yield* start(Stream.run(relayed.ws.messages, relayed.ws.sink))
      yield* tell("a")
      yield* runEnds
      reader.transport.push(reader.text("echo"))
      assert.deepStrictEqual(reader.said(), ["text a", "text echo"])
      relayed.transport.push(relayed.text("echo"))
      assert.deepStrictEqual(relayed.said(), ["text a", "text echo"])
      ponged.transport.push(ponged.ping("?"))
      assert.deepStrictEqual(ponged.said(), ["pong ?", "text a"])
      yield* pinged.ws.send("later")
      yield* runEnds
      assert.deepStrictEqual(pinged.said(), ["text a", "text later"])
      assert.strictEqual(writes(), 4)
      // They are in the next one like the others.
      yield* tell("b")
      yield* turn
      assert.deepStrictEqual(members.map(({ said }) => said().at(-1)), members.map(() => "text b"))
    }))

  it.effect("holds up no answer that takes its place, since both together are too much", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(8, { outboundHighWaterMark: 3 })
      const [reader] = members
      yield* start(Stream.runForEach(reader.ws.messages, reader.ws.send))
      yield* tell("a")
      yield* runEnds
      reader.transport.push(reader.text("b"))
      assert.deepStrictEqual(reader.said(), ["text a", "text b"])
    }))

  it.effect("is written by flush", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(100)
      yield* tell("a")
      for (const { said, ws } of members) {
        yield* ws.flush
        assert.deepStrictEqual(said(), ["text a"])
      }
    }))

  it.effect("arrives before a Close that follows at once", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(100)
      yield* tell("a")
      yield* runEnds
      yield* tell("b")
      const closing = yield* start(Effect.forEach(members, ({ ws }) => ws.close(1001, "bye"), { concurrency: "unbounded" }))
      for (const { close, said, transport } of members) {
        assert.deepStrictEqual(said(), ["text a", "text b", "close 1001 bye"])
        transport.push(close(1001))
        transport.peerEnds()
      }
      yield* turn
      yield* done(closing)
    }))

  it.effect("arrives where its connections' scopes end at once", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(100)
      yield* tell("a")
      const ending = yield* start(Effect.forEach(members, ({ scope }) => Scope.close(scope, Exit.void), { concurrency: "unbounded" }))
      for (const { close, said, transport } of members) {
        assert.deepStrictEqual(said(), ["text a", "close 1000"])
        transport.push(close(1000))
        transport.peerEnds()
      }
      yield* turn
      yield* done(ending)
    }))

  it.effect("arrives before the answer to the peer's Close", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(8)
      for (const { ws } of members) yield* start(Stream.runDrain(ws.messages))
      yield* tell("a")
      yield* runEnds
      for (const { close, transport } of members) transport.push(close(1000))
      yield* turn
      for (const { said, transport } of members) {
        assert.deepStrictEqual(said(), ["text a", "close 1000"])
        assert.isTrue(transport.isEnded)
      }
    }))

  it.effect("keeps backpressure: above the mark it is written at once, then senders wait", () =>
    Effect.gen(function*() {
      const { members, tell, writes } = yield* makeRoom(8, { outboundHighWaterMark: 12 })
      const [slow] = members
      slow.transport.holding = true
      for (const text of ["12345678", "b"]) {
        yield* tell(text)
        yield* runEnds
      }
      assert.strictEqual(writes(), 0)
      // 13 bytes wait. What is accepted beyond the mark is written first.
      const waiting = yield* Effect.forkChild(tell("c"), { startImmediately: true })
      yield* runEnds
      assert.isTrue(isPending(waiting), "the slow one takes nothing")
      assert.isTrue(slow.transport.isHeld)
      assert.isFalse(slow.ws.offerUnsafe("refused"))
      slow.transport.release()
      yield* turn
      yield* done(waiting)
      yield* turn
      for (const { said } of members) assert.deepStrictEqual(said(), ["text 12345678", "text b", "text c"])
    }))

  it.effect("whose sender is interrupted arrives as far as it was accepted, and whole", () =>
    Effect.gen(function*() {
      const { members } = yield* makeRoom(100)
      const prepared = Message.prepare("a")
      const telling = yield* start(Effect.forEach(members, ({ ws }, i) =>
        Effect.andThen(i === 70 ? Effect.never : Effect.void, ws.send(prepared)), { discard: true }))
      yield* Fiber.interrupt(telling)
      yield* turns(2)
      members.forEach(({ said }, i) => assert.deepStrictEqual(said(), i < 70 ? ["text a"] : []))
    }))

  it.effect("reaches the others where some break before their turn", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(200)
      yield* tell("a")
      yield* runEnds
      members.forEach(({ transport }, i) => i % 3 === 0 && transport.resets())
      yield* turn
      members.forEach(({ said }, i) => assert.deepStrictEqual(said(), i % 3 === 0 ? [] : ["text a"]))
    }))

  it.effect("leaves nothing behind", () =>
    Effect.gen(function*() {
      const { members, tell } = yield* makeRoom(100)
      for (const text of ["a", "b"]) {
        yield* tell(text)
        yield* turn
      }
      for (const { said, ws } of members) {
        assert.deepStrictEqual(said(), ["text a", "text b"])
        assert.strictEqual((yield* ws.stats).bytesUnsent, 0)
      }
      // One alone is written at the end of the run again.
      yield* members[0].ws.send("alone")
      yield* runEnds
      assert.deepStrictEqual(members[0].said(), ["text alone"])
    }))
})
