/**
 * How a service is tested without sockets: the chat's own route on a server in memory. Clients are those that a program
 * would use; the links go wrong on purpose, and an hour passes in no time.
 */
import { Contract, WebSocketClient } from "@effect-ws/core"
import { TestServer } from "@effect-ws/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"
import { Chat } from "../chat/Protocol.ts"
import { ChatRoute } from "../chat/Visit.ts"

/** The chat behind links that behave as `options` say. */
const chat = (options?: TestServer.Options) =>
  HttpRouter.serve(ChatRoute, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer(options))
  )

const join = Effect.fnUntraced(function*(name: string) {
  const { client, link } = yield* TestServer.connect("/chat", { subprotocols: Chat.subprotocols })
  const connection = yield* Contract.client(Chat, client)
  yield* connection.send({ _tag: "Join", name })
  const heard: Array<string> = []
  yield* connection.messages.pipe(
    Stream.runForEach((message) =>
      Effect.sync(() => {
        if (message._tag === "Said") heard.push(`${message.name}: ${message.text}`)
        else if (message._tag === "Joined" || message._tag === "Left") heard.push(`${message._tag} ${message.name}`)
      })
    ),
    Effect.ignore,
    Effect.forkScoped
  )
  return { client, link, heard, say: (text: string) => connection.send({ _tag: "Say", text }) }
})

describe("visit", () => {
  it.effect("what one says the others hear, however the network cuts it", () =>
    Effect.gen(function*() {
      const ada = yield* join("Ada")
      yield* TestClock.adjust("1 second")
      const bob = yield* join("Bob")
      yield* TestClock.adjust("1 second")
      yield* ada.say("hello")
      yield* bob.say("жук ♥ 🐞")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(ada.heard, ["Joined Bob", "Ada: hello", "Bob: жук ♥ 🐞"])
    }).pipe(Effect.provide(chat({ link: (index) => ({ seed: index, chop: { min: 1, max: 3 }, delay: { min: 1, max: 50 } }) }))))

  it.effect("who joins and says nothing is shown out", () =>
    Effect.gen(function*() {
      const ws = yield* WebSocketClient.connect("/chat")
      const reading = yield* Effect.forkChild(Stream.runDrain(ws.messages))
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(reading.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(reading)
      assert.deepInclude(yield* ws.closed, { code: 1008, reason: "nobody joined", clean: true })
    }).pipe(Effect.provide(chat())))

  it.effect("whose network went away leaves the room within fifteen seconds", () =>
    Effect.gen(function*() {
      const ada = yield* join("Ada")
      yield* TestClock.adjust("1 second")
      const bob = yield* join("Bob")
      yield* TestClock.adjust("1 second")
      yield* bob.link.drop
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(ada.heard, ["Joined Bob"], "nobody could know yet")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(ada.heard, ["Joined Bob", "Left Bob"])
    }).pipe(Effect.provide(chat())))

  it.effect("a flood slows down who floods, and nobody else", () =>
    Effect.gen(function*() {
      const ada = yield* join("Ada")
      const flooder = yield* join("Flooder")
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(Effect.forEach(Array.from({ length: 500 }, (_, i) => i), (i) => flooder.say(`${i}`)))
      yield* TestClock.adjust("1 second")
      yield* ada.say("still here")
      yield* TestClock.adjust("1 second")
      assert.include(ada.heard, "Ada: still here")
      const flood = () => ada.heard.filter((line) => line.startsWith("Flooder: ")).length
      assert.isBelow(flood(), 60)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(flood(), 500, "ten a second, and nothing lost")
    }).pipe(Effect.provide(chat())))
})
