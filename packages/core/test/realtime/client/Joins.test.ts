import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { eventually } from "../../support/Scripted.ts"
import { make, Room, room, scriptedTopics, topic } from "../../support/ScriptedTopics.ts"

const ada = { name: "Ada" }

describe("being present", () => {
  it.effect("is asked for on each connection, until the scope ends", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
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
    }).pipe(Effect.provide(layer))
  })

  it.effect("several times in one topic: the last one counts, and then the one before", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
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
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails where it is refused, and ends where it is refused later", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
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
    }).pipe(Effect.provide(layer))
  })

  it.effect("ends with the client", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const client = yield* make
      const joining = yield* Effect.forkScoped(client.join(Room, room, "ada", ada), { startImmediately: true })
      const server = yield* visit
      yield* server.send({ type: "done", id: (yield* server.next("join")).id })
      const { ended } = yield* eventually(Fiber.join(joining))
      yield* eventually(client.close())
      assert.deepInclude(yield* Effect.flip(eventually(ended)), { _tag: "NotConnected", reason: "Ended" })
      assert.deepInclude(yield* Effect.flip(client.join(Room, room, "ada", ada)), { _tag: "NotConnected", reason: "Ended" })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(client.join(Room, room, "", ada))))
    }).pipe(Effect.provide(layer))
  })
})
