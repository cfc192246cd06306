import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { eventually } from "../../support/Scripted.ts"
import { make, Room, room, scriptedTopics, status, topic, withTopics } from "../../support/ScriptedTopics.ts"

const ada = { name: "Ada" }

describe("being present", () => {
  it.effect("is asked for on each connection, until the scope ends", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const scope = yield* Scope.make()
      const joining = yield* Effect.forkScoped(Scope.provide(client.join(Room, room, "ada", ada), scope), { startImmediately: true })
      const first = yield* visit
      const { id, ...join } = yield* first.next("join")
      assert.deepStrictEqual(join, { type: "join", topic, member: "ada", value: ada })
      assert.isUndefined(joining.pollUnsafe())
      yield* first.send({ type: "done", id })
      const { ended } = yield* eventually(Fiber.join(joining))
      yield* first.cut
      const second = yield* visit
      yield* second.send({ type: "done", id: (yield* second.next("join")).id })
      yield* second.rest
      const over = yield* Effect.forkChild(ended, { startImmediately: true })
      assert.isUndefined(over.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* second.next("leave"), { topic })
      yield* second.cut
      assert.lengthOf(yield* (yield* visit).rest, 0)
    })))

  it.effect("several times in one topic: the last one counts, and then the one before", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const server = yield* visit
      const join = (name: string) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const joining = yield* Effect.forkScoped(Scope.provide(client.join(Room, room, "ada", { name }), scope), { startImmediately: true })
          const asked = yield* server.next("join")
          assert.deepStrictEqual(asked.value, { name })
          yield* server.send({ type: "done", id: asked.id })
          yield* eventually(Fiber.join(joining))
          return Scope.close(scope, Exit.void)
        })
      const leaveOne = yield* join("one")
      const leaveTwo = yield* join("two")
      const leaveThree = yield* join("three")
      yield* leaveTwo
      assert.lengthOf(yield* server.rest, 0)
      yield* leaveThree
      assert.deepStrictEqual((yield* server.next("join")).value, { name: "one" })
      yield* leaveOne
      yield* server.next("leave")
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("fails where it is refused, and ends where it is refused later", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const joining = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      const first = yield* visit
      yield* first.send({ type: "failed", id: (yield* first.next("join")).id, code: "refused", message: "", error: { _tag: "NotMember", room: "1" } })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(joining))), { _tag: "NotMember" })

      const again = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      yield* first.send({ type: "failed", id: (yield* first.next("join")).id, code: "unavailable", message: "" })
      assert.lengthOf(yield* first.rest, 0)
      yield* TestClock.adjust("5 seconds")
      yield* first.send({ type: "done", id: (yield* first.next("join")).id })
      const { ended } = yield* eventually(Fiber.join(again))
      yield* first.cut
      const second = yield* visit
      yield* second.send({ type: "failed", id: (yield* second.next("join")).id, code: "refused", message: "full" })
      assert.deepInclude(yield* Effect.flip(eventually(ended)), { _tag: "TopicError", operation: "join", detail: "full" })
      yield* second.cut
      assert.lengthOf(yield* (yield* visit).rest, 0)
    })))

  it.effect("fails where the server's program dies each time that it is asked, on however many connections", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const joining = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      for (const turns of [2, 3]) {
        const server = yield* visit
        for (let turn = 0; turn < turns; turn++) {
          yield* server.send({ type: "failed", id: (yield* server.next("join")).id, code: "defect", message: "the server failed" })
          assert.lengthOf(yield* server.rest, 0)
          if (turns === 3 || turn === 0) yield* TestClock.adjust("2 seconds")
        }
        if (turns === 2) yield* server.cut
      }
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(joining))), { _tag: "TopicError", operation: "join", code: "defect" })
    })))

  it.effect("fails where what is told of the member is larger than the server takes", () => {
    const { layer, visit } = scriptedTopics({ size: 100 })
    return Effect.gen(function*() {
      const client = yield* make
      const server = yield* visit
      yield* status(client, "Open")
      const large = { name: "x".repeat(2000) }
      assert.deepInclude(yield* Effect.flip(client.join(Room, room, "ada", large)), { _tag: "TopicError", operation: "join", code: "limit" })
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("ends where the server ends it, with what else there is of the topic", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const joining = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      const watching = yield* Effect.forkScoped(Stream.runDrain(client.presence(Room, room)), { startImmediately: true })
      const reading = yield* Effect.forkScoped(Stream.runDrain(client.subscribe(Room, room)), { startImmediately: true })
      const first = yield* visit
      yield* first.send({ type: "subscribed", id: (yield* first.next("subscribe")).id, topic, position: { epoch: "e", offset: 0 }, top: 0 })
      yield* first.send({ type: "done", id: (yield* first.next("watch")).id })
      yield* first.send({ type: "done", id: (yield* first.next("join")).id })
      const { ended } = yield* eventually(Fiber.join(joining))
      yield* first.send({ type: "ended", topic, message: "banned" })
      const why = { _tag: "TopicError", code: "ended", detail: "banned" } as const
      assert.deepInclude(yield* Effect.flip(eventually(ended)), { ...why, operation: "join" })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(watching))), { ...why, operation: "watch" })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(reading))), { ...why, operation: "subscribe" })
      yield* first.cut
      assert.lengthOf(yield* (yield* visit).rest, 0)
    })))

  it.effect("ends with the client", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const joining = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("join")).id })
      const { ended } = yield* eventually(Fiber.join(joining))
      yield* eventually(client.close())
      assert.deepInclude(yield* Effect.flip(eventually(ended)), { _tag: "NotConnected", reason: "Ended" })
      assert.deepInclude(yield* Effect.flip(client.join(Room, room, "ada", ada)), { _tag: "NotConnected", reason: "Ended" })
    })))
})
