import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { FromServer } from "../chat/Protocol.ts"
import { Room, type Seat } from "../chat/Room.ts"

const inbox = (seat: Seat) => seat.inbox.pipe(Stream.map(({ value }) => value))

const take = (seat: Seat, count: number) => inbox(seat).pipe(Stream.take(count), Stream.runCollect)

const tags = (messages: ReadonlyArray<FromServer>) => messages.map(({ _tag }) => _tag)

describe("Room", () => {
  it.effect("welcomes first, and tells everybody who comes and goes", () =>
    Effect.gen(function*() {
      const room = yield* Room
      const ada = yield* room.join("Ada")
      const scope = yield* Scope.make()
      const bob = yield* Scope.provide(room.join("Bob"), scope)
      assert.deepStrictEqual(tags(yield* take(bob, 2)), ["Welcome", "People"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(tags(yield* take(ada, 6)), ["Welcome", "People", "Joined", "People", "Left", "People"])
    }).pipe(Effect.scoped, Effect.provide(Room.layer)))

  it.effect("shows the last fifty messages to who comes later", () =>
    Effect.gen(function*() {
      const room = yield* Room
      const ada = yield* room.join("Ada")
      for (let i = 0; i < 60; i++) yield* ada.say(`${i}`)
      const [welcome] = yield* take(yield* room.join("Bob"), 1)
      assert.strictEqual(welcome._tag, "Welcome")
      if (welcome._tag !== "Welcome") return
      assert.deepStrictEqual(welcome.history.map(({ text }) => text), Array.from({ length: 50 }, (_, i) => `${i + 10}`))
      assert.strictEqual(new Set(welcome.history.map(({ id }) => id)).size, 50)
      assert.strictEqual(DateTime.toEpochMillis(welcome.history[0].at), 0)
    }).pipe(Effect.scoped, Effect.provide(Room.layer)))

  it.effect("keeps no more than an inbox holds for somebody who does not read", () =>
    Effect.gen(function*() {
      const room = yield* Room
      const lazy = yield* room.join("Lazy")
      const ada = yield* room.join("Ada")
      for (let i = 0; i < 1000; i++) yield* ada.say(`${i}`)
      const kept = yield* take(lazy, 256)
      assert.deepStrictEqual(
        kept.map((message) => message._tag === "Said" && message.text),
        Array.from({ length: 256 }, (_, i) => `${i + 744}`)
      )
      // And nothing is left behind these.
      const more = yield* Effect.forkChild(take(lazy, 1))
      yield* ada.say("later")
      assert.deepStrictEqual(tags(yield* Fiber.join(more)), ["Said"])
    }).pipe(Effect.scoped, Effect.provide(Room.layer)))

  it.effect("says every two seconds how far away everybody is", () =>
    Effect.gen(function*() {
      const room = yield* Room
      const ada = yield* room.join("Ada")
      yield* take(ada, 2)
      yield* ada.measured(Duration.millis(12.34))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* take(ada, 1), [{ _tag: "People", people: [{ name: "Ada", latencyMillis: 12.3 }] }])
    }).pipe(Effect.scoped, Effect.provide(Room.layer)))

  it.effect("is full at 200 people, until one leaves", () =>
    Effect.gen(function*() {
      const room = yield* Room
      const scope = yield* Scope.make()
      yield* Scope.provide(room.join("Somebody"), scope)
      for (let i = 1; i < 200; i++) yield* room.join("Somebody")
      const error = yield* Effect.flip(room.join("Late"))
      assert.strictEqual(error._tag, "RoomFull")
      yield* Scope.close(scope, Exit.void)
      const seat = yield* room.join("Somebody")
      assert.strictEqual(seat.name, "Somebody")
    }).pipe(Effect.scoped, Effect.provide(Room.layer)))
})
