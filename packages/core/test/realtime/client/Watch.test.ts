import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as TopicClient from "../../../src/realtime/TopicClient.ts"
import type { ToClient } from "../../../src/realtime/wire/Messages.ts"
import { eventually } from "../../support/Scripted.ts"
import { make, Room, room, scriptedTopics, status, topic, withTopics } from "../../support/ScriptedTopics.ts"

const member = (name: string, value = name) => ({ member: name, value: { name: value } })

const presence = (fields: Partial<Extract<ToClient, { type: "presence" }>>): ToClient => ({
  type: "presence",
  topic,
  count: 0,
  full: false,
  listed: true,
  members: [],
  left: [],
  ...fields
})

const brief = ({ count, isListed, members }: TopicClient.Present<{ readonly name: string }>) =>
  `${count}${isListed ? "" : " counted"}: ${Array.from(members, ([key, { name }]) => `${key}=${name}`).join(" ")}`

const watch = <E>(client: TopicClient.TopicClient<E>) =>
  Effect.gen(function*() {
    const states = yield* Queue.unbounded<string>()
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(client.presence(Room, room), (state) => Queue.offer(states, brief(state))),
      { startImmediately: true }
    )
    return { fiber, next: eventually(Queue.take(states)) }
  })

describe("who is present", () => {
  it.effect("is told at first and after each change, to all who ask", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const one = yield* watch(client)
      const server = yield* visit
      const asked = yield* server.next("watch")
      assert.strictEqual(asked.topic, topic)
      yield* server.send({ type: "done", id: asked.id }, presence({ count: 2, full: true, members: [member("ada"), member("bob")] }))
      assert.strictEqual(yield* one.next, "2: ada=ada bob=bob")
      const two = yield* watch(client)
      assert.strictEqual(yield* two.next, "2: ada=ada bob=bob")
      assert.lengthOf(yield* server.rest, 0)
      yield* server.send(presence({ count: 2, members: [member("eve"), member("bob", "Bob")], left: ["ada"] }))
      assert.strictEqual(yield* one.next, "2: bob=Bob eve=eve")
      assert.strictEqual(yield* two.next, "2: bob=Bob eve=eve")
      // Too many to be listed, and then no longer.
      yield* server.send(presence({ count: 2000, listed: false }))
      assert.strictEqual(yield* one.next, "2000 counted: ")
      yield* server.send(presence({ count: 1, full: true, members: [member("eve")] }))
      assert.strictEqual(yield* one.next, "1: eve=eve")
      yield* Fiber.interrupt(one.fiber)
      assert.lengthOf(yield* server.rest, 0)
      yield* Fiber.interrupt(two.fiber)
      assert.strictEqual((yield* server.next("unwatch")).topic, topic)
    })))

  it.effect("is asked for again on the next connection, which knows better", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const states = yield* watch(client)
      const first = yield* visit
      yield* first.send({ type: "done", id: (yield* first.next("watch")).id }, presence({ count: 1, full: true, members: [member("ada")] }))
      assert.strictEqual(yield* states.next, "1: ada=ada")
      yield* first.cut
      const second = yield* visit
      yield* second.send({ type: "done", id: (yield* second.next("watch")).id }, presence({ count: 1, full: true, members: [member("bob")] }))
      assert.strictEqual(yield* states.next, "1: bob=bob")
    })))

  it.effect("is not told where the server refuses it, or sends what the family does not know", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const refused = yield* watch(client)
      const server = yield* visit
      yield* server.send({ type: "failed", id: (yield* server.next("watch")).id, code: "refused", message: "no" })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(refused.fiber))), { _tag: "TopicError", operation: "watch", detail: "no" })
      const invalid = yield* watch(client)
      yield* server.send(
        { type: "done", id: (yield* server.next("watch")).id },
        presence({ count: 1, full: true, members: [{ member: "ada", value: 1 }] })
      )
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(invalid.fiber))), { _tag: "InvalidValue", what: "member" })
      yield* server.next("unwatch")
      yield* eventually(client.close())
      assert.deepStrictEqual(yield* Stream.runCollect(client.presence(Room, room)), [])
    })))
})

describe("signals", () => {
  it.effect("are those of the topics that are subscribed, with who sent them", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const signals = yield* Queue.unbounded<string>()
      const fiber = yield* Effect.forkScoped(
        Stream.runForEach(client.signals(Room, room), ({ from, value }) => Queue.offer(signals, `${from}: ${value}`)),
        { startImmediately: true }
      )
      const first = yield* visit
      const { id, ...asked } = yield* first.next("subscribe")
      assert.deepStrictEqual(asked, { type: "subscribe", topic })
      yield* first.send(
        { type: "subscribed", id, topic, position: { epoch: "e", offset: 1 }, top: 1 },
        { type: "signalled", topic, from: "c1", value: "typing" },
        { type: "publication", topic, epoch: "e", offset: 2, key: "k", value: { n: 2 } },
        { type: "signalled", topic: "room/2", from: "c1", value: "elsewhere" },
        { type: "signalled", topic, from: "c2", value: "typing" }
      )
      assert.deepStrictEqual(yield* eventually(Queue.takeN(signals, 2)), ["c1: typing", "c2: typing"])
      yield* first.cut
      const second = yield* visit
      yield* second.next("subscribe")
      yield* second.send({ type: "signalled", topic, from: "c1", value: 7 })
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(fiber))), { _tag: "InvalidValue", what: "signal" })
      yield* second.next("unsubscribe")
    })))

  it.effect("are sent if there is a connection, and the last one counts where they cannot leave at once", () => {
    const { layer, visit } = scriptedTopics({ link: { delay: 10, capacity: 10_000 } })
    return Effect.gen(function*() {
      const client = yield* make
      yield* client.signal(Room, room, "too early")
      const server = yield* visit
      yield* status(client, "Open")
      yield* Effect.forEach(Array.from({ length: 300 }, (_, i) => i), (i) =>
        Effect.andThen(client.signal(Room, room, `${i}${" ".repeat(1000)}`), client.signal(Room, { id: "2" }, "other")), { discard: true })
      const seen: Array<string> = []
      while (!seen.includes("299")) {
        const signal = yield* eventually(server.next("signal"))
        if (signal.topic === topic) seen.push(String(signal.value).trim())
      }
      assert.isBelow(seen.length, 300)
      assert.strictEqual(seen[0], "0")
      assert.deepStrictEqual(seen, seen.toSorted((a, b) => Number(a) - Number(b)))
      const error = yield* Effect.flip(client.signal(Room, room, 7 as never))
      assert.strictEqual(error._tag, "SchemaError")
    }).pipe(Effect.provide(layer))
  })
})
