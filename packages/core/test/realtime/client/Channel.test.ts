import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { ToClient } from "../../../src/realtime/wire/Messages.ts"
import { eventually } from "../../support/Scripted.ts"
import { at, Room, room, topic, withTopics } from "../../support/ScriptedTopics.ts"
import { publication, publications, reader, subscribed } from "../../support/TopicReader.ts"

describe("a subscription", () => {
  it.effect("fails where the server refuses it, with the family's error or ours", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const server = yield* Effect.andThen(Effect.void, visit)
      const answers: ReadonlyArray<[Partial<Extract<ToClient, { type: "failed" }>>, object]> = [
        [{ code: "refused", error: { _tag: "NotMember", room: "1" } }, { _tag: "NotMember", room: "1" }],
        [{ code: "refused" }, { _tag: "TopicError", operation: "subscribe", code: "refused", topic }],
        [{ code: "refused", error: { room: 1 } }, { _tag: "InvalidValue", what: "refusal" }],
        [{ code: "unknown-topic" }, { _tag: "TopicError", code: "unknown-topic" }],
        [{ code: "limit", message: "100 subscriptions" }, { _tag: "TopicError", code: "limit", detail: "100 subscriptions" }]
      ]
      for (const [answer, error] of answers) {
        const events = yield* reader(client)
        const { id } = yield* server.next("subscribe")
        yield* server.send({ type: "failed", id, code: "refused", message: "", ...answer })
        assert.deepInclude(yield* Effect.flip(Fiber.join(events.fiber)), error)
      }
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("is asked for again where the server could not, after a while", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { since: at(1) })
      const server = yield* visit
      for (const answer of [{ code: "unavailable" }, { code: "unknown" }, { code: "limit", retryAfter: 700 }] as const) {
        const { id } = yield* server.next("subscribe")
        yield* server.send({ type: "failed", id, message: "", ...answer })
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("5 seconds")
      }
      const { id, since } = yield* server.next("subscribe")
      assert.deepStrictEqual(since, at(1))
      yield* server.send(subscribed(id, 1), publication(2))
      assert.deepStrictEqual(yield* events.next(2), ["at e1 of 1", "e2"])
    })))

  it.effect("that the server's program dies of is asked for four times more, and fails", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const server = yield* visit
      const die = (turns: number) =>
        Effect.gen(function*() {
          for (let turn = 0; turn < turns; turn++) {
            const { id } = yield* server.next("subscribe")
            yield* server.send({ type: "failed", id, code: "defect", message: "the server failed" })
            assert.lengthOf(yield* server.rest, 0)
            yield* TestClock.adjust("2 seconds")
          }
        })
      const events = yield* reader(client)
      yield* die(4)
      // One that succeeds is followed by four others that may fail.
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), { type: "gap", topic, gap: { reason: "history", from: at(0), to: at(2) } }, publication(5))
      assert.deepStrictEqual(yield* events.next(2), ["at e0 of 0", "history e0-e2"])
      yield* die(4)
      yield* server.send({ type: "failed", id: (yield* server.next("subscribe")).id, code: "defect", message: "the server failed" })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(events.fiber))), { _tag: "TopicError", operation: "subscribe", code: "defect", topic })
      // What stood on the server stands no more.
      yield* server.next("unsubscribe")
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("whose snapshot is refused fails alone: other readers go on", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const plain = yield* reader(client)
      const server = yield* visit
      yield* server.send(subscribed((yield* server.next("subscribe")).id, 0), publication(1))
      assert.deepStrictEqual(yield* plain.next(2), ["at e0 of 0", "e1"])
      const state = yield* reader(client, { snapshot: true })
      const asked = yield* server.next("subscribe")
      assert.strictEqual(asked.snapshot, true)
      yield* server.send({ type: "failed", id: asked.id, code: "refused", message: "", error: { _tag: "NotMember", room: "1" } }, publication(2))
      assert.deepInclude(yield* Effect.flip(Fiber.join(state.fiber)), { _tag: "NotMember" })
      assert.deepStrictEqual(yield* plain.next(1), ["e2"])
      // What it may have ignored while it waited for the answer is asked for.
      const again = yield* server.next("subscribe")
      assert.deepStrictEqual([again.since, again.snapshot], [at(1), undefined])
      yield* server.send(subscribed(again.id, 1, { top: 3 }), ...publications(2, 3))
      assert.deepStrictEqual(yield* plain.next(1), ["e3"])
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("that began beside a snapshot that is refused is asked for without it", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const state = yield* reader(client, { snapshot: true })
      const plain = yield* reader(client, { since: at(1) })
      const signals = yield* Effect.forkScoped(Stream.runHead(client.signals(Room, room)), { startImmediately: true })
      const server = yield* visit
      const asked = yield* server.next("subscribe")
      yield* server.send({ type: "failed", id: asked.id, code: "limit", message: "too large" })
      assert.deepInclude(yield* Effect.flip(Fiber.join(state.fiber)), { _tag: "TopicError", code: "limit", detail: "too large" })
      const again = yield* server.next("subscribe")
      assert.deepStrictEqual([again.since, again.snapshot], [at(1), undefined])
      yield* server.send(subscribed(again.id, 1), publication(2), { type: "signalled", topic, from: "x", value: "hi" })
      assert.deepStrictEqual(yield* plain.next(2), ["at e1 of 1", "e2"])
      assert.isTrue(Option.isSome(yield* eventually(Fiber.join(signals))))
      // If it is the subscription that is refused, all of them are.
      const last = yield* reader(client, { snapshot: true })
      yield* plain.stop
      const other = yield* reader(client)
      yield* server.send({ type: "failed", id: (yield* server.next("subscribe")).id, code: "refused", message: "" })
      assert.deepInclude(yield* Effect.flip(Fiber.join(last.fiber)), { _tag: "TopicError", code: "refused" })
      yield* server.send({ type: "failed", id: (yield* server.next("subscribe")).id, code: "refused", message: "" })
      assert.deepInclude(yield* Effect.flip(Fiber.join(other.fiber)), { _tag: "TopicError", code: "refused" })
    })))

  it.effect("whose snapshot the server's program dies of is asked for again, and holds up no other reader", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const state = yield* reader(client, { snapshot: true })
      const plain = yield* reader(client, { since: at(0) })
      const server = yield* visit
      let top = 0
      for (let turn = 0; turn < 5; turn++) {
        const dying = yield* server.next("subscribe")
        assert.strictEqual(dying.snapshot, true)
        yield* server.send({ type: "failed", id: dying.id, code: "defect", message: "the server failed" })
        const { id, since, snapshot } = yield* server.next("subscribe")
        assert.deepStrictEqual([since, snapshot], [at(top), undefined])
        yield* server.send(subscribed(id, top))
        if (turn === 0) yield* plain.next(1)
        yield* server.send(publication(++top))
        assert.deepStrictEqual(yield* plain.next(1), [`e${top}`])
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("2 seconds")
      }
      assert.deepInclude(yield* Effect.flip(Fiber.join(state.fiber)), { _tag: "TopicError", code: "defect" })
      yield* server.send(publication(++top))
      assert.deepStrictEqual(yield* plain.next(1), [`e${top}`])
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("that stands is ended on the server also where another was asked for in vain meanwhile", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const one = yield* reader(client)
      const server = yield* visit
      yield* server.send(subscribed((yield* server.next("subscribe")).id, 0))
      yield* one.next(1)
      const two = yield* reader(client)
      yield* server.send({ type: "failed", id: (yield* server.next("subscribe")).id, code: "unavailable", message: "" })
      yield* two.rest
      yield* one.stop
      yield* two.stop
      yield* server.next("unsubscribe")
    })))

  it.effect("that the server ends fails, behind what came before", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), publication(1), {
        type: "ended",
        topic,
        message: "",
        error: { _tag: "NotMember", room: "1" }
      })
      assert.deepStrictEqual(yield* events.next(2), ["at e0 of 0", "e1"])
      assert.deepInclude(yield* Effect.flip(Fiber.join(events.fiber)), { _tag: "NotMember" })
      const again = yield* reader(client)
      const second = yield* server.next("subscribe")
      yield* server.send(subscribed(second.id, 1), { type: "ended", topic, message: "enough" })
      assert.deepInclude(yield* Effect.flip(Fiber.join(again.fiber)), { _tag: "TopicError", code: "ended", detail: "enough" })
    })))
})
