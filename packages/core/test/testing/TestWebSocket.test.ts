import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as TestWebSocket from "../../src/testing/TestWebSocket.ts"
import type { WebSocket } from "../../src/WebSocket.ts"

const echo = (ws: WebSocket) => Stream.run(ws.messages, ws.sink)

/** Lets time pass until a fiber is done, so that nothing may hang. */
const finish = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function*() {
    for (let minutes = 0; fiber.pollUnsafe() === undefined && minutes < 10; minutes++) yield* TestClock.adjust("1 minute")
    assert.isDefined(fiber.pollUnsafe(), "hangs")
    return yield* Fiber.await(fiber)
  })

describe("TestWebSocket", () => {
  it.effect("pair: both ends talk, and close", () =>
    Effect.gen(function*() {
      const { client, link, server } = yield* TestWebSocket.pair({ subprotocol: "chat", link: { seed: 1, chop: true } })
      assert.deepStrictEqual([client.role, client.subprotocol, server.role, server.subprotocol], ["client", "chat", "server", "chat"])
      yield* client.send("hello")
      assert.strictEqual(yield* server.receive, "hello")
      const reading = yield* Effect.forkChild(Stream.runDrain(server.messages))
      const info = yield* client.close(1000, "bye")
      assert.deepInclude(info, { code: 1000, clean: true })
      yield* Fiber.join(reading)
      assert.isAbove(link.stats("client").delivered, 0)
    }))

  it.effect("serve: the handler's end is the connection's", () =>
    Effect.gen(function*() {
      const good = yield* TestWebSocket.serve((ws) => ws.send("hi"))
      assert.deepStrictEqual(yield* Stream.runCollect(good.client.messages), ["hi"])
      assert.deepInclude(yield* good.client.closed, { code: 1000, initiator: "remote" })
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(good.handler)))

      const bad = yield* TestWebSocket.serve(() => Effect.fail("no"))
      yield* Stream.runDrain(bad.client.messages)
      assert.deepInclude(yield* bad.client.closed, { code: 1011 })
      assert.deepStrictEqual(yield* Fiber.await(bad.handler), Exit.fail("no"))
    }))

  it.effect("serve: a client that vanishes is noticed", () =>
    Effect.gen(function*() {
      const { client, handler, link } = yield* TestWebSocket.serve(echo)
      yield* client.send("hello")
      assert.strictEqual(yield* client.receive, "hello")
      yield* link.drop
      const error = yield* Effect.flip(Effect.flatten(finish(handler)))
      assert.deepInclude(error, { _tag: "IOError", phase: "keepalive", reason: "TimedOut" })
    }))

  it.effect("the test's end waits for nothing, however slow the link", () =>
    Effect.gen(function*() {
      yield* TestWebSocket.pair({ link: { delay: "1 hour" } })
      yield* TestWebSocket.serve(() => Effect.never, { link: { delay: "1 hour" } })
    }))

  it.effect.prop("whatever goes wrong, what arrives is the start of what was sent, and everything ends", {
    seed: Schema.Int,
    size: Schema.Literals([1, 20, 300, 5000]),
    count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
    delay: Schema.Literals([0, 3, 3000]),
    capacity: Schema.Literals([0, 100, 65_536]),
    mark: Schema.Literals([1, 1000]),
    chunks: Schema.Literals(["borrowed", "scratch", "owned"]),
    faults: Arbitrary.array(
      Arbitrary.schema(Schema.Struct({
        type: Schema.Literals(["reset", "drop", "halfClose", "stall"]),
        from: Schema.Literals(["client", "server"]),
        after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
      })),
      { maxLength: 2 }
    )
  }, ({ capacity, chunks, count, delay, faults, mark, seed, size }) =>
    Effect.gen(function*() {
      const limits = { inboundHighWaterMark: mark, outboundHighWaterMark: mark }
      const { client, handler } = yield* TestWebSocket.serve(echo, {
        link: { seed, chop: { min: 1, max: Math.max(3, size >> 2) }, delay: { min: 0, max: delay }, capacity, faults, chunks },
        client: limits,
        server: limits
      })
      const sent = Array.from({ length: count }, (_, i) => i % 2 === 0 ? `${i} ${"aß€😀".repeat(size / 10)}` : new Uint8Array(size).fill(i))
      const received: Array<string | Uint8Array> = []
      const reading = yield* Effect.forkChild(Stream.runForEach(Stream.take(client.messages, count), (message) =>
        Effect.sync(() => {
          received.push(message)
        })))
      const sending = yield* Effect.forkChild(client.sendAll(sent))
      const read = yield* finish(reading)
      yield* finish(sending)
      assert.deepStrictEqual(received, sent.slice(0, received.length))
      if (faults.length === 0) assert.strictEqual(received.length, count)
      else if (received.length < count && Exit.isSuccess(read)) assert.deepInclude(yield* client.closed, { clean: false })
      const closing = yield* Effect.forkChild(client.close(1000))
      yield* finish(closing)
      yield* finish(handler)
    }).pipe(Effect.scoped))
})
