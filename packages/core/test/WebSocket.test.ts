import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import type { Message } from "../src/Message.ts"
import * as TestLink from "../src/testing/TestLink.ts"
import * as WebSocket from "../src/WebSocket.ts"
import { turn } from "./support/Harness.ts"

const KiB = 1024

const connect = Effect.fnUntraced(function*(
  options: TestLink.Options = {},
  limits: Partial<WebSocket.Options> = {}
) {
  const link = yield* TestLink.make(options)
  const scope = yield* Scope.make()
  const server = yield* WebSocket.make(link.server, { ...limits, role: "server", subprotocol: "test.v1" }).pipe(
    Scope.provide(scope)
  )
  const client = yield* WebSocket.make(link.client, { ...limits, role: "client" }).pipe(Scope.provide(scope))
  return { link, client, server, scope }
})

const areClosed = ({ stats }: TestLink.TestLink): boolean => stats("client").isClosed && stats("server").isClosed

describe("WebSocket", () => {
  it.effect("shows little of itself where it is printed, and nothing of what it holds", () =>
    Effect.gen(function*() {
      const { client, server } = yield* connect()
      yield* server.send("secret")
      yield* turn
      for (const ws of [client, server]) {
        for (const shown of [JSON.stringify(ws), inspect(ws, { depth: 20 }), String(ws)]) {
          assert.include(shown, ws.role)
          assert.notInclude(shown, "secret")
          assert.isBelow(shown.length, 300)
        }
      }
    }))

  it.effect("knows its role and subprotocol", () =>
    Effect.gen(function*() {
      const { client, server } = yield* connect()
      assert.deepStrictEqual([client.role, client.subprotocol], ["client", undefined])
      assert.deepStrictEqual([server.role, server.subprotocol], ["server", "test.v1"])
    }))

  it.effect("two connections echo, close, and leave nothing open", () =>
    Effect.gen(function*() {
      const { client, link, server } = yield* connect()
      const echo = yield* Effect.forkChild(Stream.run(server.messages, server.sink))
      yield* client.sendAll(["hello", Uint8Array.of(1, 2, 3), ""])
      assert.deepStrictEqual(
        yield* Stream.runCollect(Stream.take(client.messages, 3)),
        ["hello", Uint8Array.of(1, 2, 3), ""]
      )
      const info = yield* client.close(1000, "bye")
      yield* Fiber.join(echo)
      assert.deepInclude(info, { code: 1000, reason: "bye", clean: true, initiator: "local" })
      assert.deepInclude(yield* server.closed, { code: 1000, reason: "bye", clean: true, initiator: "remote" })
      yield* turn
      assert.isTrue(areClosed(link))
    }))

  it.effect("both close at once", () =>
    Effect.gen(function*() {
      const { client, link, server } = yield* connect()
      const [mine, theirs] = yield* Effect.all([client.close(4000, "mine"), server.close(4001, "theirs")], {
        concurrency: 2
      })
      assert.deepInclude(mine, { code: 4000, clean: true, initiator: "local" })
      assert.deepInclude(theirs, { code: 4001, clean: true, initiator: "local" })
      yield* turn
      assert.isTrue(areClosed(link))
    }))

  it.effect("the scope's end closes, whatever is under way", () =>
    Effect.gen(function*() {
      const { client, link, scope, server } = yield* connect()
      const reading = yield* Effect.forkChild(Stream.runDrain(server.messages))
      const streaming = yield* Effect.forkChild(
        Effect.exit(client.sendTextStream(Stream.concat(Stream.make("a"), Stream.never)))
      )
      yield* turn
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(reading)
      assert.isTrue(areClosed(link))
      yield* Fiber.interrupt(streaming)
    }))

  it.effect("a large message passes through bounded memory, both ways", () =>
    Effect.gen(function*() {
      for (const way of ["up", "down"] as const) {
        const { client, link, scope, server } = yield* connect({ capacity: 64 * KiB })
        const [from, to] = way === "up" ? [client, server] : [server, client]
        const size = 16 * KiB
        const count = 2048
        const piece = Uint8Array.from({ length: size }, (_, i) => i)
        const sending = yield* Effect.forkChild(
          from.sendBinaryStream(Stream.map(Stream.rechunk(Stream.range(1, count), 1), () => piece))
        )
        const incoming = yield* to.receiveStream
        assert.strictEqual(incoming._tag, "Binary")
        let read = 0
        yield* Stream.runForEach(incoming.fragments as Stream.Stream<Uint8Array, unknown>, (bytes) =>
          Effect.suspend(() => {
            read += bytes.length
            // The reader is slow at times.
            return read % 7 === 0 ? Effect.yieldNow : Effect.void
          }))
        assert.strictEqual(read, size * count)
        yield* Fiber.join(sending)
        assert.isBelow(link.stats(from.role).mostInFlight, 256 * KiB)
        // Nobody reads on, so the Close is answered at its deadline.
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(closing)
      }
    }))

  it.effect.prop("what is sent arrives, in order, under any capacity and chunking, both ways at once", {
    messages: Arbitrary.array(
      Arbitrary.schema(Schema.Struct({
        how: Schema.Literals(["send", "sendAll", "stream", "ping"]),
        text: Schema.Boolean,
        size: Schema.Union([
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 })),
          Schema.Literals([9000, 70_000])
        ])
      })),
      { maxLength: 12 }
    ),
    capacity: Schema.Literals([0, 100, 20_000]),
    seed: Schema.Int,
    maxChunk: Schema.Literals([7, 1000, 65_536]),
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    mark: Schema.Literals([1, 5000])
  }, (given) =>
    Effect.gen(function*() {
      const maxChunk = given.messages.some(({ size }) => size > 300) ? Math.max(given.maxChunk, 500) : given.maxChunk
      const chop = { min: 1, max: maxChunk }
      const { client, scope, server } = yield* connect({ ...given, chop }, {
        inboundHighWaterMark: given.mark,
        outboundHighWaterMark: given.mark
      })
      const messages = given.messages.filter(({ how }) => how !== "ping").map(({ size, text }, i): Message =>
        text ? `${i} ${"aß€😀".repeat(size / 10)}` : new Uint8Array(size).fill(i)
      )
      const send = (ws: WebSocket.WebSocket) =>
        Effect.gen(function*() {
          let i = 0
          for (const { how } of given.messages) {
            if (how === "ping") {
              yield* ws.ping()
              continue
            }
            const message = messages[i++]
            if (how === "send") yield* ws.send(message)
            else if (how === "sendAll") yield* ws.sendAll([message])
            else if (typeof message === "string") {
              yield* ws.sendTextStream(Stream.fromIterable(message.match(/.{1,5}/gs) ?? []))
            } else {
              yield* ws.sendBinaryStream(Stream.make(message.subarray(0, 3), message.subarray(3)))
            }
          }
          yield* ws.close(1000)
        })
      const receive = (ws: WebSocket.WebSocket) => Stream.runCollect(ws.messages)
      const both = yield* Effect.all([receive(client), receive(server), send(client)], { concurrency: 3 })
      assert.deepStrictEqual(both[1], messages)
      assert.deepStrictEqual(both[0], [])
      yield* Scope.close(scope, Exit.void)

      const other = yield* connect({ ...given, chop }, { outboundHighWaterMark: given.mark })
      // An echo as its users write it.
      const echo = yield* Effect.forkChild(Stream.run(other.server.messages, other.server.sink))
      const back = yield* Effect.forkChild(Stream.runCollect(Stream.take(other.client.messages, messages.length)))
      yield* other.client.sendAll(messages)
      assert.deepStrictEqual(messages.length === 0 ? [] : yield* Fiber.join(back), messages)
      yield* other.client.close(1000)
      yield* Fiber.join(echo)
      yield* Scope.close(other.scope, Exit.void)
    }))
})
