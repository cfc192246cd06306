import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import * as Inspectable from "effect/Inspectable"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { TestClock } from "effect/testing"
import type { Connection } from "../../src/connection/Connection.ts"
import { endedWithoutClose } from "../../src/connection/LinkHooks.ts"
import { acquiring } from "../../src/connection/TransportScope.ts"
import * as Opcode from "../../src/Opcode.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import { FakeTransport } from "../support/FakeTransport.ts"
import { isPending, make, start, turn } from "../support/Harness.ts"
import * as RunLength from "../support/RunLength.ts"

type Open = Effect.Success<ReturnType<typeof make>>

const texts = (...sent: ReadonlyArray<string>) => sent.map((text) => `text ${text}`)

describe("The messages of a connection", () => {
  it.effect("are a stream like any other", () =>
    Effect.gen(function*() {
      const { close, text, transport, ws } = yield* make()
      const { messages } = ws
      assert.isTrue(Stream.isStream(messages))
      assert.isTrue(Channel.isChannel(messages.channel))
      assert.isTrue(Channel.isChannel(Stream.toChannel(messages)))
      const some = yield* start(messages.pipe(
        Stream.map((message) => `${message}!`),
        Stream.merge(Stream.make("mine")),
        Stream.take(3),
        Stream.runCollect
      ))
      transport.push(text("a"))
      transport.push(text("b"))
      assert.sameMembers([...yield* Fiber.join(some)], ["mine", "a!", "b!"])
      // The same once more: each run begins anew.
      const rest = yield* start(Stream.runCollect(messages))
      transport.push(text("c"))
      transport.push(close(1000))
      assert.deepStrictEqual([...yield* Fiber.join(rest)], ["c"])
    }))

  it.effect("fail in the pull of a second stream, not in its making", () =>
    Effect.gen(function*() {
      const { text, transport, ws } = yield* make()
      const first = yield* start(Stream.runCollect(Stream.take(ws.messages, 1)))
      const second = yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* Stream.toPull(ws.messages)
        return yield* Effect.exit(pull)
      }))
      assert.isTrue(Exit.isFailure(second) && Cause.hasDies(second.cause))
      const third = yield* Effect.exit(Stream.runDrain(Stream.catchCause(ws.messages, () => Stream.empty)))
      assert.isTrue(Exit.isSuccess(third), "as any stream's failure it can be caught")
      transport.push(text("a"))
      assert.deepStrictEqual([...yield* Fiber.join(first)], ["a"])
    }))
})

describe("What a connection was opened over", () => {
  it.effect("is released once its transport is closed, which may be later than its scope is", () =>
    Effect.gen(function*() {
      const transport = new FakeTransport()
      let released = 0
      const acquire = Effect.acquireRelease(Effect.succeed(transport), () => Effect.sync(() => released++))
      const scope = yield* Scope.make()
      yield* acquiring(acquire, (transport) => WebSocket.make(transport, { role: "server", closeTimeout: "1 second" })).pipe(
        Scope.provide(scope)
      )
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      assert.isFalse(isPending(closing))
      assert.isFalse(transport.isClosed)
      assert.strictEqual(released, 0)
      transport.closes()
      assert.strictEqual(released, 1)
    }))

  it.effect("is released with its scope where the connection is not of this kind", () =>
    Effect.gen(function*() {
      let released = 0
      const acquire = Effect.acquireRelease(Effect.void, () => Effect.sync(() => released++))
      yield* Effect.scoped(Effect.andThen(acquiring(acquire, () => Effect.succeed({})), Effect.sync(() => assert.strictEqual(released, 0))))
      assert.strictEqual(released, 1)
    }))

  it("ended without a Close: the error has what the platform said of it", () => {
    const cause = new Error("of the platform")
    assert.strictEqual(endedWithoutClose(cause).cause, cause)
    assert.isUndefined(endedWithoutClose().cause)
  })

  it.effect("compresses: both ways are counted", () =>
    Effect.gen(function*() {
      const { transport, ws } = yield* make({ extension: () => RunLength.open() })
      yield* ws.send("aaaaaaaaaa")
      transport.push(RunLength.message(Opcode.Text, "bbbbbbbbbbbbbbbbbbbb"))
      assert.strictEqual(yield* ws.receive, "bbbbbbbbbbbbbbbbbbbb")
      assert.deepInclude(yield* ws.stats, {
        compression: { received: { compressed: 5, uncompressed: 20 }, sent: { compressed: 5, uncompressed: 10 } }
      })
    }))

  it.effect("answered with headers, which it shows", () =>
    Effect.gen(function*() {
      const { ws } = yield* make({ role: "client", responseHeaders: [["x-a", "1"]] })
      assert.deepStrictEqual(ws.responseHeaders, [["x-a", "1"]])
    }))
})

describe("A connection as a sink", () => {
  it.effect("is one like any other", () =>
    Effect.gen(function*() {
      const { said, ws } = yield* make()
      const { sink } = ws
      assert.isTrue(Sink.isSink(sink))
      yield* Stream.run(Stream.make("a", "b"), sink)
      yield* Stream.run(Stream.make(1, 2), sink.pipe(Sink.mapInput((value: number) => String(value)), Sink.as("done")))
      yield* Stream.make("c").pipe(Stream.rechunk(1), Stream.run(sink))
      const { transform } = sink
      yield* Stream.run(Stream.make("d"), Sink.fromTransform(transform))
      yield* turn
      assert.deepStrictEqual(said(), texts("a", "b", "1", "2", "c", "d"))
    }))
})

it.effect("Neither shows what waits in the connection to who looks at it", () =>
  Effect.gen(function*() {
    const { text, transport, ws } = yield* make()
    transport.push(text("a secret"))
    assert.include(inspect((ws as Connection).link, { depth: 9 }), "secret")
    for (const end of [ws.messages, ws.sink]) {
      for (const shown of [inspect(end, { depth: 9, showHidden: true }), Inspectable.toStringUnknown(end), JSON.stringify(end)]) {
        assert.notInclude(shown, "secret")
      }
    }
  }))

it.effect("One connection's are told from another's", () =>
  Effect.gen(function*() {
    const [{ ws: a }, { ws: b }] = [yield* make(), yield* make()]
    for (const end of ["messages", "sink"] as const) {
      assert.isFalse(Equal.equals(a[end], b[end]))
      assert.strictEqual(HashSet.size(HashSet.make(...[a[end], b[end]] as Array<unknown>)), 2)
    }
  }))

describe("offerUnsafe", () => {
  it.effect("sends at once where there is room, and says where there is none", () =>
    Effect.gen(function*() {
      const { close, said, sent, transport, ws } = yield* make({ outboundHighWaterMark: 10 })
      assert.isTrue(ws.offerUnsafe("a"))
      assert.isTrue(ws.offerUnsafe("b"))
      yield* turn
      assert.deepStrictEqual(said(), texts("a", "b"))
      transport.holding = true
      const payload = new Uint8Array(20 * 1024).fill(1)
      assert.isTrue(ws.offerUnsafe(payload))
      payload.fill(2)
      yield* turn
      assert.isFalse(ws.offerUnsafe("no room"))
      const waiting = yield* start(ws.send("its turn comes first"))
      transport.release()
      yield* turn
      yield* Fiber.join(waiting)
      assert.isTrue(ws.offerUnsafe("room again"))
      yield* turn
      const [large, ...others] = sent()
      assert.isTrue(large!.data.every((byte) => byte === 1), "it is copied")
      assert.strictEqual(others.length, 2)
      transport.push(close(1000))
      yield* turn
      assert.isFalse(ws.offerUnsafe("after the end"))
    }))

  it.effect("overtakes no sender that waits, nor a streamed message", () =>
    Effect.gen(function*() {
      const { ws } = yield* make()
      const streaming = yield* start(ws.sendTextStream(Stream.concat(Stream.make("a"), Stream.never)))
      assert.isFalse(ws.offerUnsafe("b"))
      yield* Fiber.interrupt(streaming)
    }))
})

it.effect("every function of a connection can be handed on without it", () =>
  Effect.gen(function*() {
    const { close: peerCloses, said, transport, ws } = yield* make()
    const { close, closeAs, offerUnsafe, ping, send, sendAll, sendBinary, sendBinaryStream, sendPing, sendText, sendTextStream } = ws
    const functions = Object.entries({ close, closeAs, offerUnsafe, ping, send, sendAll, sendBinary, sendBinaryStream, sendPing, sendText, sendTextStream })
    // A new function of the interface belongs in this test.
    const names = Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(ws)))
    const inherited = new Set(["constructor", "toJSON", "onEnding", "handlerEnds", "goAway", "cut", "release", "finish", "when"])
    const all = names.filter((name) => !inherited.has(name) && typeof (ws as unknown as Record<string, unknown>)[name] === "function")
    assert.sameMembers(functions.map(([name]) => name), all)
    yield* sendText("a")
    yield* sendBinary(new Uint8Array(1))
    yield* send("b")
    yield* sendAll(["c"])
    yield* sendTextStream(Stream.make("d"))
    yield* sendBinaryStream(Stream.make(new Uint8Array(2)))
    yield* sendPing()
    yield* start(ping())
    assert.isTrue(offerUnsafe("e"))
    yield* turn
    assert.lengthOf(said(), 11)
    yield* start(Effect.flatMap(ws.closed, closeAs))
    const closing = yield* start(close(1000))
    transport.push(peerCloses(1000))
    yield* turn
    assert.deepInclude(yield* Fiber.join(closing), { code: 1000, clean: true })
  }))

describe("closeAs", () => {
  const info = (code: number, reason = "") => ({ code, reason, initiator: "remote", clean: true }) as const

  it.effect("hands on a code and a reason, or an empty Close", () =>
    Effect.gen(function*() {
      for (const [given, expected] of [[info(4001, "done"), "close 4001 done"], [info(1005), "close"], [info(1010), "close 1011"]] as const) {
        const { close, said, transport, ws } = yield* make()
        const closing = yield* start(ws.closeAs(given))
        assert.deepStrictEqual(said(), [expected])
        transport.push(close(1000))
        yield* turn
        yield* Fiber.join(closing)
      }
    }))

  it.effect("drops the connection where the other one ended without a Close", () =>
    Effect.gen(function*() {
      for (const code of [1006, 1015]) {
        const { said, transport, ws } = yield* make()
        assert.deepInclude(yield* ws.closeAs(info(code)), { code: 1006, clean: false })
        assert.isTrue(transport.isDestroyed)
        assert.deepStrictEqual(said(), [])
      }
    }))
})

it.effect("An extension that cannot be made is the caller's defect, and leaves no transport behind", () =>
  Effect.gen(function*() {
    const transport = new FakeTransport()
    const extension = () => {
      throw new Error("out of windows")
    }
    const exit = yield* Effect.exit(Effect.scoped(WebSocket.make(transport, { role: "client", extension })))
    assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    assert.isTrue(transport.isDestroyed)
  }))

describe("closing", () => {
  it.effect("tells at once, before the reader comes to the end", () =>
    Effect.gen(function*() {
      const ends = {
        "the peer's Close": (open: Open) => Effect.sync(() => open.transport.push(open.close(4000, "later"))),
        "the end of the stream": (open: Open) => Effect.sync(() => open.transport.peerEnds()),
        "a reset": (open: Open) => Effect.sync(() => open.transport.resets()),
        "a broken rule": (open: Open) => Effect.sync(() => open.transport.push(Uint8Array.of(0x83, 0x80, 0, 0, 0, 0))),
        "a Close of ours": (open: Open) => start(open.ws.close(1000))
      }
      for (const [name, end] of Object.entries(ends)) {
        const open = yield* make()
        open.transport.push(open.text("unread"))
        const closing = yield* start(open.ws.closing)
        assert.isTrue(isPending(closing), name)
        yield* end(open)
        yield* turn
        assert.isFalse(isPending(closing), name)
        assert.strictEqual(yield* open.ws.receive, "unread")
        yield* open.ws.closing
      }
    }))
})

describe("clean", () => {
  it.effect("is false where the answer to the peer's Close was never taken", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      transport.holding = true
      yield* ws.send("in flight")
      yield* turn
      transport.push(close(1000))
      transport.resets()
      assert.deepInclude(yield* ws.closed, { code: 1000, clean: false })
    }))
})

it.effect("isWebSocket knows a connection", () =>
  Effect.gen(function*() {
    const { ws } = yield* make()
    assert.isTrue(WebSocket.isWebSocket(ws))
    for (const other of [undefined, null, {}, "ws", () => ws]) assert.isFalse(WebSocket.isWebSocket(other))
  }))
