import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../../../src/ReconnectingClient.ts"
import * as TopicClient from "../../../src/realtime/TopicClient.ts"
import { Room, room, scriptedTopics, status, url } from "../../support/ScriptedTopics.ts"

class SignedOut extends Schema.TaggedError<SignedOut>()("SignedOut", {}) {}

/** Tokens that are numbered. */
const numbered = (refreshAfter?: string) => {
  let count = 0
  return Effect.sync(() => {
    const token = `t${++count}`
    return refreshAfter === undefined ? token : { token, refreshAfter: refreshAfter as "1 minute" }
  })
}

describe("a token", () => {
  it.effect("is shown before anything else, a fresh one on each connection", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* TopicClient.make(url, { token: numbered() })
      yield* Effect.forkScoped(Stream.runDrain(client.subscribe(Room, room)), { startImmediately: true })
      for (const token of ["t1", "t2"]) {
        const server = yield* visit
        const asked = yield* server.next("authenticate")
        assert.strictEqual(asked.token, token)
        assert.lengthOf(yield* server.rest, 0)
        assert.strictEqual((yield* client.status)._tag, "Connecting")
        yield* server.send({ type: "done", id: asked.id })
        yield* server.next("subscribe")
        yield* status(client, "Open")
        yield* server.cut
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("that is refused is followed by one fresh one; another refusal ends the client", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* TopicClient.make(url, { token: numbered() })
      const server = yield* visit
      const first = yield* server.next("authenticate")
      yield* server.send({ type: "failed", id: first.id, code: "refused", message: "stale" })
      const second = yield* server.next("authenticate")
      assert.strictEqual(second.token, "t2")
      yield* server.send({ type: "failed", id: second.id, code: "refused", message: "stale" })
      const ended = yield* status(client, "Ended")
      assert.deepInclude(ended._tag === "Ended" && ended.loss, { _tag: "TopicError", operation: "authenticate", detail: "stale" })
      assert.include(yield* Effect.flip(Stream.runDrain(client.subscribe(Room, room))), { _tag: "TopicError" })
    }).pipe(Effect.provide(layer))
  })

  it.effect("that the server cannot check is no refusal: another connection is tried, and the status says why", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* TopicClient.make(url, { token: numbered() })
      for (const [turn, code] of (["defect", "defect", "unavailable"] as const).entries()) {
        const server = yield* visit
        const { id, token } = yield* server.next("authenticate")
        assert.strictEqual(token, `t${turn + 1}`)
        yield* server.send({ type: "failed", id, code, message: "the server failed" })
        const waiting = yield* status(client, "Waiting")
        assert(waiting._tag === "Waiting")
        assert.deepInclude(waiting.loss, {
          _tag: "IOError", phase: "handshake", detail: "The server could not check the token: the server failed"
        })
        yield* client.retryNow
      }
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("authenticate")).id })
      yield* status(client, "Open")
    }).pipe(Effect.provide(layer))
  })

  it.effect("is refreshed on the connection when the program says so", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      yield* TopicClient.make(url, { token: numbered("4 minutes"), keepAlive: false })
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("authenticate")).id })
      for (const token of ["t2", "t3"]) {
        yield* TestClock.adjust("239 seconds")
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("1 second")
        const asked = yield* server.next("authenticate")
        assert.strictEqual(asked.token, token)
        yield* server.send({ type: "done", id: asked.id })
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("is refreshed on the connection when the server says that it expires", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      yield* TopicClient.make(url, { token: numbered() })
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("authenticate")).id })
      for (const token of ["t2", "t3"]) {
        yield* server.send({ type: "expiring", after: 30_000 })
        // Not more than one a second, however often the server says so.
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("999 millis")
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("1 millis")
        const asked = yield* server.next("authenticate")
        assert.strictEqual(asked.token, token)
        yield* server.send({ type: "done", id: asked.id })
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("that is to be refreshed at once is refreshed once a second", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      yield* TopicClient.make(url, { token: numbered("0 millis") })
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("authenticate")).id })
      for (const token of ["t2", "t3"]) {
        yield* TestClock.adjust("999 millis")
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("1 millis")
        const asked = yield* server.next("authenticate")
        assert.strictEqual(asked.token, token)
        yield* server.send({ type: "done", id: asked.id })
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("that cannot be had ends the client, unless `retry` says otherwise", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* TopicClient.make(url, { token: Effect.fail(new SignedOut()) })
      const ended = yield* status(client, "Ended")
      assert.strictEqual(ended._tag === "Ended" && ended.loss?._tag, "SignedOut")
      let left = 2
      const other = yield* TopicClient.make(url, {
        token: Effect.suspend(() => left-- > 0 ? Effect.fail(new SignedOut()) : Effect.succeed("t")),
        retry: (loss) => loss._tag === "SignedOut" ? true : undefined
      })
      yield* visit
      yield* visit
      yield* visit
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("authenticate")).id })
      yield* status(other, "Open")
    }).pipe(Effect.provide(layer))
  })

  it.effect("knows why it is asked for again", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const token = Effect.map(ReconnectingClient.CurrentAttempt, ({ loss }) => loss === undefined ? "cached" : `fresh after ${loss._tag}`)
      yield* TopicClient.make(url, { token })
      const first = yield* visit
      const asked = yield* first.next("authenticate")
      assert.strictEqual(asked.token, "cached")
      yield* first.send({ type: "done", id: asked.id })
      yield* first.rest
      // The token has expired.
      yield* Effect.forkScoped(first.close(4401, "expired"))
      const second = yield* visit
      assert.strictEqual((yield* second.next("authenticate")).token, "fresh after ConnectionClosed")
    }).pipe(Effect.provide(layer))
  })
})
