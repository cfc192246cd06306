import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as WebSocketClient from "../../src/WebSocketClient.ts"

/** What a dial that does this and never comes to an end fails with. */
const timedOut = Effect.fnUntraced(function*(dial: Effect.Effect<unknown>) {
  const open = () => Effect.andThen(dial, Effect.never)
  const connecting = WebSocketClient.connect("ws://server.example/", { handshakeTimeout: 1000 }).pipe(
    Effect.scoped,
    Effect.provideService(WebSocketClient.Connector, WebSocketClient.Connector.of({ open })),
    Effect.flip
  )
  const fiber = yield* Effect.forkChild(connecting)
  yield* TestClock.adjust(1000)
  return (yield* Fiber.join(fiber)).message
})

describe("whom a dial waits for", () => {
  it.effect("is the server, unless it says otherwise, and only for that time", () =>
    Effect.gen(function*() {
      const gateway = () => "the gateway"
      assert.include(yield* timedOut(Effect.void), "longer than 1000 ms (handshakeTimeout): no answer from the server")
      assert.include(yield* timedOut(WebSocketClient.awaiting(Effect.never, gateway)), "longer than 1000 ms (handshakeTimeout): no answer from the gateway")
      assert.include(yield* timedOut(WebSocketClient.awaiting(Effect.void, gateway)), "no answer from the server")
      assert.include(yield* timedOut(WebSocketClient.awaiting(Effect.never, () => undefined)), "no answer from the server")
    }))

  it.effect("each dial waits for its own", () =>
    Effect.gen(function*() {
      const names = ["a", "b", undefined]
      const messages = yield* Effect.forEach(names, (name) =>
        timedOut(name === undefined ? Effect.void : WebSocketClient.awaiting(Effect.never, () => name)))
      assert.deepStrictEqual(messages.map((message) => message.split("no answer from ")[1]), ["a (TimedOut during handshake)", "b (TimedOut during handshake)", "the server (TimedOut during handshake)"])
    }))
})
