import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Inbox } from "../../../src/realtime/broker/Inbox.ts"
import type { Heard } from "../../../src/realtime/broker/Model.ts"

const published = (topic: string, offset: number, payload = "1"): Heard => ({
  _tag: "Published",
  topic,
  epoch: "e",
  entry: { offset, key: `${offset}`, payload }
})

const take = (inbox: Inbox, count: number) => Stream.runCollect(Stream.take(inbox.heard, count))

describe("Inbox", () => {
  it.effect("delivers what was offered before and while it is read, in order", () =>
    Effect.gen(function*() {
      const inbox = new Inbox()
      inbox.offer(published("a", 1))
      const reader = yield* Effect.forkChild(take(inbox, 3))
      yield* Effect.yieldNow
      inbox.offer(published("a", 2))
      yield* Effect.yieldNow
      inbox.offer({ _tag: "Missed", topic: "b" })
      assert.deepStrictEqual(yield* Fiber.join(reader), [published("a", 1), published("a", 2), { _tag: "Missed", topic: "b" }])
    }))

  it.effect("tells which topics a reader that is far behind has to read again", () =>
    Effect.gen(function*() {
      const inbox = new Inbox()
      for (let i = 1; i <= 10_000; i++) inbox.offer(published(i % 2 === 0 ? "a" : "b", i))
      assert.strictEqual(inbox.size, 10_000)
      inbox.offer({ _tag: "Signalled", topic: "c", from: "x", payload: "1" })
      inbox.offer(published("a", 10_001))
      assert.deepStrictEqual(yield* take(inbox, 3), [
        { _tag: "Missed", topic: "b" },
        { _tag: "Missed", topic: "a" },
        published("a", 10_001)
      ])
    }))

  it.effect("keeps no more than 32 Mi characters", () =>
    Effect.gen(function*() {
      const inbox = new Inbox()
      const payload = "x".repeat(1024 * 1024)
      for (let i = 1; i <= 32; i++) inbox.offer(published("a", i, payload))
      assert.deepStrictEqual(yield* take(inbox, 1), [{ _tag: "Missed", topic: "a" }])
      inbox.offer(published("a", 33, payload))
      assert.deepStrictEqual(yield* take(inbox, 1), [published("a", 33, payload)])
    }))

  it.effect("names no topic where there are too many", () =>
    Effect.gen(function*() {
      const inbox = new Inbox()
      for (let i = 0; i <= 10_000; i++) inbox.offer(published(`${i}`, 1))
      assert.deepStrictEqual(yield* take(inbox, 1), [{ _tag: "Missed", topic: undefined }])
    }))

  it.effect("wakes nobody where only signals were dropped", () =>
    Effect.gen(function*() {
      const inbox = new Inbox()
      for (let i = 0; i <= 10_000; i++) inbox.offer({ _tag: "Signalled", topic: "c", from: "x", payload: "1" })
      assert.strictEqual(inbox.size, 0)
      inbox.offer(published("a", 1))
      assert.deepStrictEqual(yield* take(inbox, 1), [published("a", 1)])
    }))
})
