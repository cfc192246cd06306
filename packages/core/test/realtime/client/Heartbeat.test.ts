import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as TopicClient from "../../../src/realtime/TopicClient.ts"
import * as WebSocketClient from "../../../src/WebSocketClient.ts"
import { scriptedTopics, status, url, type Visit } from "../../support/ScriptedTopics.ts"

/** A client on a platform whose WebSocket cannot send Pings. */
const page = (options: Pick<TopicClient.Options, "heartbeat"> = {}) =>
  Effect.gen(function*() {
    const connector = yield* WebSocketClient.Connector
    return yield* Effect.provideService(
      TopicClient.make(url, options),
      WebSocketClient.Connector,
      WebSocketClient.Connector.of({
        open: (url, options) =>
          Effect.map(connector.open(url, options), (opened) => ({
            ...opened,
            make: (options) =>
              Effect.map(opened.make({ ...options, keepAlive: false }), (ws) =>
                Object.defineProperty(ws, "capabilities", { value: { ...ws.capabilities, ping: false } }))
          }))
      })
    )
  })

const answer = (server: Visit) => Effect.flatMap(server.next("unsubscribe"), ({ id }) => server.send({ type: "done", id }))

describe("the heartbeat of a platform without Pings", () => {
  it.effect("keeps a connection whose server answers, and gives one up whose server does not", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* page({ heartbeat: { interval: "20 seconds", timeout: "10 seconds" } })
      const first = yield* visit
      yield* status(client, "Open")
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust("20 seconds")
        yield* answer(first)
        yield* TestClock.adjust("10 seconds")
      }
      // What the server says by itself will do.
      yield* first.send({ type: "expiring", after: 1 })
      yield* TestClock.adjust("20 seconds")
      assert.lengthOf(yield* first.rest, 0)
      yield* TestClock.adjust("20 seconds")
      yield* first.next("unsubscribe")
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* client.status)._tag, "Open")
      yield* visit
    }).pipe(Effect.provide(layer))
  })

  it.effect("is off where the program says so", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      yield* page({ heartbeat: false })
      const server = yield* visit
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is not needed where there are Pings", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      yield* TopicClient.make(url)
      const server = yield* visit
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })
})
