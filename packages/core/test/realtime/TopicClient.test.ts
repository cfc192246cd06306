import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as TopicClient from "../../src/realtime/TopicClient.ts"
import { eventually } from "../support/Scripted.ts"
import { at, make, Room, room, scriptedTopics, topic, withTopics } from "../support/ScriptedTopics.ts"
import { brief, publication, publications, reader, subscribed } from "../support/TopicReader.ts"

describe("a subscription", () => {
  it.effect("begins at the top, and delivers what follows in order", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      const asked = yield* server.next("subscribe")
      assert.deepStrictEqual(asked, { type: "subscribe", id: asked.id, topic })
      yield* server.send(publication(3), subscribed(asked.id, 4), ...publications(5, 7))
      assert.deepStrictEqual(yield* events.next(4), ["at e4 of 4", "e5", "e6", "e7"])
    })))

  it.effect("goes on behind a lost connection where it was, without a repetition", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const first = yield* visit
      yield* first.send(subscribed((yield* first.next("subscribe")).id, 0), ...publications(1, 2))
      yield* events.next(3)
      yield* first.cut
      const second = yield* visit
      const asked = yield* second.next("subscribe")
      assert.deepStrictEqual(asked.since, at(2))
      yield* second.send(subscribed(asked.id, 2, { top: 4 }), ...publications(2, 5))
      assert.deepStrictEqual(yield* events.next(3), ["e3", "e4", "e5"])
      // And once more, before anything was published.
      yield* second.cut
      const third = yield* visit
      const again = yield* third.next("subscribe")
      assert.deepStrictEqual(again.since, at(5))
      yield* third.send(subscribed(again.id, 5), publication(6))
      assert.deepStrictEqual(yield* events.next(1), ["e6"])
    })))

  it.effect("that had no answer yet is asked for again", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { since: at(3) })
      const first = yield* visit
      assert.deepStrictEqual((yield* first.next("subscribe")).since, at(3))
      yield* first.cut
      const second = yield* visit
      const { id, since } = yield* second.next("subscribe")
      assert.deepStrictEqual(since, at(3))
      yield* second.send(subscribed(id, 3, { top: 4 }), publication(4))
      assert.deepStrictEqual(yield* events.next(2), ["at e3 of 4", "e4"])
    })))

  it.effect("tells of gaps: history that is gone, another epoch, and a count that went back", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { since: at(3) })
      const first = yield* visit
      const { id } = yield* first.next("subscribe")
      yield* first.send(
        subscribed(id, 7, { top: 9, gap: { reason: "history", from: at(3), to: at(7) } }),
        ...publications(8, 9),
        { type: "gap", topic, gap: { reason: "history", from: at(9), to: at(20) } },
        publication(21)
      )
      assert.deepStrictEqual(yield* events.next(6), ["at e3 of 9", "history e3-e7", "e8", "e9", "history e9-e20", "e21"])
      yield* first.cut
      const second = yield* visit
      const again = yield* second.next("subscribe")
      yield* second.send(subscribed(again.id, 1, { epoch: "f", gap: { reason: "epoch", from: at(21), to: at(1, "f") } }), publication(2, "f"))
      assert.deepStrictEqual(yield* events.next(2), ["epoch e21-f1", "f2"])
      yield* second.send({ type: "gap", topic, gap: { reason: "epoch", from: at(2, "f"), to: at(0, "f") } }, publication(1, "f"))
      assert.deepStrictEqual(yield* events.next(2), ["epoch f2-f0", "f1"])
      // What says nothing new is none: the reader has it.
      yield* second.send({ type: "gap", topic, gap: { reason: "history", from: at(0, "f"), to: at(1, "f") } }, publication(2, "f"))
      assert.deepStrictEqual(yield* events.next(1), ["f2"])
    })))

  it.effect("asks for what a server left out, and tells of it if the server leaves it out again", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      yield* server.send(subscribed((yield* server.next("subscribe")).id, 0), publication(1), publication(4))
      const asked = yield* server.next("subscribe")
      assert.deepStrictEqual(asked.since, at(1))
      // What comes before the answer changes nothing.
      yield* server.send(publication(5), subscribed(asked.id, 1, { top: 5 }), ...publications(2, 5))
      assert.deepStrictEqual(yield* events.next(6), ["at e0 of 0", "e1", "e2", "e3", "e4", "e5"])
      yield* server.send(publication(8))
      const again = yield* server.next("subscribe")
      assert.deepStrictEqual(again.since, at(5))
      yield* server.send(subscribed(again.id, 5, { top: 8 }), ...publications(8, 9))
      assert.deepStrictEqual(yield* events.next(3), ["history e5-e7", "e8", "e9"])
      yield* server.send(publication(1, "f"))
      const third = yield* server.next("subscribe")
      assert.deepStrictEqual(third.since, at(9))
      yield* server.send(subscribed(third.id, 0, { epoch: "f" }), publication(1, "f"))
      assert.deepStrictEqual(yield* events.next(2), ["epoch e9-f0", "f1"])
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("of the oldest that is kept has no gap, and may have a snapshot", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { since: "start" })
      const server = yield* visit
      const asked = yield* server.next("subscribe")
      assert.strictEqual(asked.since, "start")
      yield* server.send(subscribed(asked.id, 4, { top: 6 }), ...publications(5, 6))
      assert.deepStrictEqual(yield* events.next(3), ["at e4 of 6", "e5", "e6"])

      const other = yield* reader(client, { snapshot: true })
      const second = yield* server.next("subscribe")
      assert.deepInclude(second, { snapshot: true, since: at(6) })
      yield* server.send(
        publication(7),
        subscribed(second.id, 6, { top: 7, snapshot: { position: at(7), value: { sum: 28 } } }),
        ...publications(7, 8)
      )
      assert.deepStrictEqual(yield* other.next(3), ["at e7 of 7", "28 at e7", "e8"])
      assert.deepStrictEqual(yield* events.next(2), ["e7", "e8"])
    })))

  it.effect("with snapshots gets one behind a gap, and nothing before it", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { since: at(1), snapshot: true })
      const server = yield* visit
      const asked = yield* server.next("subscribe")
      assert.isUndefined(asked.snapshot)
      const gap = { reason: "history" as const, from: at(1), to: at(9) }
      yield* server.send(subscribed(asked.id, 9, { gap, snapshot: { position: at(9), value: { sum: 45 } } }), publication(10))
      assert.deepStrictEqual(yield* events.next(4), ["at e1 of 9", "history e1-e9", "45 at e9", "e10"])
      // A gap in the stream has none with it: it is asked for.
      yield* server.send({ type: "gap", topic, gap: { reason: "history", from: at(10), to: at(20) } }, publication(21))
      const again = yield* server.next("subscribe")
      assert.strictEqual(again.snapshot, true)
      assert.isUndefined(again.since)
      yield* server.send(publication(22), subscribed(again.id, 22, { snapshot: { position: at(22), value: { sum: 1 } } }), ...publications(22, 23))
      assert.deepStrictEqual(yield* events.next(3), ["history e10-e20", "1 at e22", "e23"])
      // A server that has none is not asked again.
      yield* server.cut
      const second = yield* visit
      const third = yield* second.next("subscribe")
      yield* second.send(subscribed(third.id, 0, { epoch: "f" }))
      const fourth = yield* second.next("subscribe")
      assert.strictEqual(fourth.snapshot, true)
      yield* second.send(subscribed(fourth.id, 0, { epoch: "f" }), publication(1, "f"))
      assert.deepStrictEqual(yield* events.next(2), ["epoch e23-f0", "f1"])
      assert.lengthOf(yield* second.rest, 0)
    })))

  it.effect("of one reader's snapshot takes nothing from another", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const plain = yield* reader(client, { since: at(1) })
      const state = yield* reader(client, { snapshot: true })
      const server = yield* visit
      const asked = yield* server.next("subscribe")
      assert.deepInclude(asked, { since: at(1), snapshot: true })
      const gap = { reason: "history" as const, from: at(1), to: at(9) }
      yield* server.send(subscribed(asked.id, 9, { gap, snapshot: { position: at(9), value: { sum: 45 } } }))
      assert.deepStrictEqual(yield* state.next(2), ["at e9 of 9", "45 at e9"])
      // What is kept before the snapshot is for the one that has none.
      const again = yield* server.next("subscribe")
      assert.deepStrictEqual([again.since, again.snapshot], [at(1), undefined])
      yield* server.send(subscribed(again.id, 5, { top: 9, gap: { ...gap, to: at(5) } }), ...publications(6, 10))
      assert.deepStrictEqual(yield* plain.next(7), ["at e1 of 9", "history e1-e5", "e6", "e7", "e8", "e9", "e10"])
      assert.deepStrictEqual(yield* state.next(1), ["e10"])
    })))

  it.effect("that nobody reads any more is ended", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const one = yield* reader(client)
      const two = yield* reader(client)
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), publication(1))
      yield* one.next(2)
      yield* one.stop
      assert.lengthOf(yield* server.rest, 0)
      yield* two.stop
      yield* server.next("unsubscribe")
      // What is on its way concerns nobody, and a new reader begins anew.
      yield* server.send(publication(2))
      const three = yield* reader(client)
      const again = yield* server.next("subscribe")
      assert.isUndefined(again.since)
      yield* server.send(publication(3), subscribed(again.id, 3), publication(4))
      assert.deepStrictEqual(yield* three.next(2), ["at e3 of 3", "e4"])
    })))

  it.effect("fails at a publication that the family's Schema does not know, for its reader only", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), publication(1), { type: "publication", topic, ...at(2), key: "k", value: { n: "two" } })
      assert.deepStrictEqual(yield* events.next(2), ["at e0 of 0", "e1"])
      const error = yield* Effect.flip(Fiber.join(events.fiber))
      assert.deepInclude(error, { _tag: "InvalidValue", what: "publication", topic, position: at(2), key: "k" })
      assert.strictEqual((yield* client.status)._tag, "Open")
      // A reader can go on behind it.
      assert(error._tag === "InvalidValue")
      const behind = yield* reader(client, { since: error.position })
      yield* server.next("unsubscribe")
      const again = yield* server.next("subscribe")
      assert.deepStrictEqual(again.since, at(2))
      yield* server.send(subscribed(again.id, 2, { top: 3 }), publication(3))
      assert.deepStrictEqual(yield* behind.next(2), ["at e2 of 3", "e3"])
    })))

  it.effect("fails at a snapshot that the family's Schema does not know, with its position", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client, { snapshot: true })
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 4, { snapshot: { position: at(4), value: { sum: "four" } } }))
      const error = yield* Effect.flip(eventually(Fiber.join(events.fiber)))
      assert.deepInclude(error, { _tag: "InvalidValue", what: "snapshot", topic, position: at(4) })
    })))
})

/** A reader that takes what it is told to. */
const slow = <E>(client: TopicClient.TopicClient<E>, options: TopicClient.SubscribeOptions) =>
  Effect.gen(function*() {
    const turns = yield* Queue.unbounded<void>()
    const events = yield* Queue.unbounded<string>()
    yield* Effect.forkScoped(
      Stream.runForEach(client.subscribe(Room, room, options), (event) =>
        Effect.andThen(Queue.take(turns), Queue.offer(events, brief(event)))),
      { startImmediately: true }
    )
    return (count: number) =>
      Effect.gen(function*() {
        yield* Queue.offerAll(turns, Array.from({ length: count }, () => undefined))
        return yield* eventually(Queue.takeBetween(events, count, count))
      })
  })

describe("a slow reader", () => {
  it.effect("does not hold up the connection; it gets what it missed from history", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const take = yield* slow(client, { bufferSize: 3 })
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), ...publications(1, 50))
      // Nobody else reads, so the server need not send.
      yield* server.next("unsubscribe")
      const seen: Array<string> = []
      let since: unknown
      while (seen.length < 51) {
        seen.push(...yield* take(1))
        for (const message of yield* server.rest) {
          if (message.type !== "subscribe") continue
          since = message.since
          const { offset } = message.since as { offset: number }
          yield* server.send(subscribed(message.id, offset, { top: 50 }), ...publications(offset + 1, 50))
        }
      }
      assert.deepStrictEqual(seen, ["at e0 of 0", ...Array.from({ length: 50 }, (_, i) => `e${i + 1}`)])
      assert.isAtLeast((since as { offset: number }).offset, 45)
    })))

  it.effect("takes nothing from another reader of the topic, and gets a gap if history no longer reaches", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const fast = yield* reader(client)
      const server = yield* visit
      const first = yield* server.next("subscribe")
      yield* server.send(subscribed(first.id, 0))
      assert.deepStrictEqual(yield* fast.next(1), ["at e0 of 0"])
      const take = yield* slow(client, { bufferSize: 2 })
      const second = yield* server.next("subscribe")
      assert.deepStrictEqual(second.since, at(0))
      yield* server.send(subscribed(second.id, 0), ...publications(1, 20))
      assert.lengthOf(yield* fast.next(20), 20)
      assert.lengthOf(yield* server.rest, 0)
      const seen = yield* take(1)
      let asked: ReadonlyArray<unknown> = []
      while (asked.length === 0) {
        seen.push(...yield* take(1))
        asked = yield* server.rest
      }
      const last = Number(seen[seen.length - 1].slice(1))
      assert.deepInclude(asked[0], { type: "subscribe", since: at(last) })
      const { id } = asked[0] as { id: number }
      const gap = { reason: "history" as const, from: at(last), to: at(15) }
      yield* server.send(subscribed(id, 15, { top: 20, gap }), ...publications(16, 21))
      assert.deepStrictEqual(yield* take(2), [`history e${last}-e15`, "e16"])
      assert.deepStrictEqual(yield* fast.next(1), ["e21"])
    })))
})

describe("the end of a client", () => {
  it.effect("ends its subscriptions, at whatever moment its scope ends", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      for (const moment of ["at once", "open", "asked", "subscribed"] as const) {
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(make, scope)
        const events = yield* reader(client)
        if (moment !== "at once") {
          const server = yield* visit
          if (moment !== "open") {
            const { id } = yield* server.next("subscribe")
            if (moment === "subscribed") yield* server.send(subscribed(id, 0), publication(1))
            yield* events.rest
          }
        }
        yield* eventually(Scope.close(scope, Exit.void))
        assert.isTrue(Exit.isSuccess(yield* eventually(Fiber.await(events.fiber))), moment)
        // A subscription that begins afterwards ends at once.
        assert.deepStrictEqual(yield* Stream.runCollect(client.subscribe(Room, room)), [])
        assert.strictEqual((yield* client.status)._tag, "Ended")
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("by `close` delivers what had come", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      const { id } = yield* server.next("subscribe")
      yield* server.send(subscribed(id, 0), publication(1))
      yield* events.next(1)
      yield* eventually(client.close(1000))
      yield* eventually(Fiber.join(events.fiber))
      assert.deepStrictEqual(yield* events.rest, ["e1"])
    })))

  it.effect("by a loss that another attempt cannot mend fails its subscriptions with it", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      yield* Effect.forkScoped(server.close(4403, "not you"))
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(events.fiber))), { _tag: "ConnectionClosed" })
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(client.subscribe(Room, room))), { _tag: "ConnectionClosed" })
    })))

  it.effect("comes by a message that breaks the subprotocol", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const events = yield* reader(client)
      const server = yield* visit
      yield* server.sendRaw(`{"type":"publication","topic":"${topic}"}`)
      assert.deepInclude(yield* Effect.flip(eventually(Fiber.join(events.fiber))), { _tag: "InvalidMessage" })
      const status = yield* client.status
      assert.isTrue(status._tag === "Ended" && status.loss?._tag === "InvalidMessage")
    })))

  it.effect("does not come by a server that says nothing: it is tried again", () => {
    const { layer, visit } = scriptedTopics({ welcome: false })
    return Effect.gen(function*() {
      const client = yield* make
      yield* visit
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* client.status)._tag, "Connecting")
      yield* visit
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not come by a position that no server gave", () =>
    withTopics(Effect.fnUntraced(function*({ client }) {
      for (const since of [at(-1), at(0.5), at(0, ""), at(0, "e".repeat(65))]) {
        assert.isTrue(Exit.hasDies(yield* Effect.exit(Stream.runDrain(client.subscribe(Room, room, { since })))))
      }
    })))
})
