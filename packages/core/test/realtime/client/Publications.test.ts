import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Topic from "../../../src/realtime/Topic.ts"
import type * as TopicClient from "../../../src/realtime/TopicClient.ts"
import { Calls } from "../../../src/realtime/client/Calls.ts"
import { Link } from "../../../src/realtime/client/Link.ts"
import { Pending, Publications } from "../../../src/realtime/client/Publications.ts"
import { type ToClient, Welcome } from "../../../src/realtime/wire/Messages.ts"
import * as TestWebSocket from "../../../src/testing/TestWebSocket.ts"
import { eventually } from "../../support/Scripted.ts"
import { at, make, Room, room, scriptedTopics, topic, withTopics } from "../../support/ScriptedTopics.ts"

const published = (id: number, offset: number, duplicate = false): ToClient => ({ type: "published", id, position: at(offset), duplicate })

const publish = <E>(client: TopicClient.TopicClient<E>, n: number, options?: TopicClient.PublishOptions) =>
  Effect.forkScoped(client.publish(Room, room, { n }, options), { startImmediately: true })

const outcome = <A, E>(fiber: Fiber.Fiber<A, E>) => eventually(Fiber.join(fiber))

describe("a publication", () => {
  it.effect("is acknowledged with its position, under a key that is its own", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const one = yield* publish(client, 1)
      const two = yield* publish(client, 2, { key: "mine" })
      const server = yield* visit
      const first = yield* server.next("publish")
      const second = yield* server.next("publish")
      assert.deepInclude(first, { topic, value: { n: 1 } })
      assert.lengthOf(first.key, 24)
      assert.deepInclude(second, { topic, key: "mine", value: { n: 2 } })
      yield* server.send(published(second.id, 8, true), published(first.id, 7))
      assert.deepStrictEqual(yield* outcome(one), { ...at(7), key: first.key, duplicate: false })
      assert.deepStrictEqual(yield* outcome(two), { ...at(8), key: "mine", duplicate: true })
    })))

  it.effect("that was not acknowledged is sent again under its key, in order, and once", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const fibers = yield* Effect.forEach([1, 2, 3], (n) => publish(client, n))
      const first = yield* visit
      const sent = [yield* first.next("publish"), yield* first.next("publish"), yield* first.next("publish")]
      yield* first.send(published(sent[1].id, 2))
      yield* outcome(fibers[1])
      yield* first.cut
      const second = yield* visit
      const again = [yield* second.next("publish"), yield* second.next("publish")]
      assert.deepStrictEqual(again.map(({ key }) => key), [sent[0].key, sent[2].key])
      assert.lengthOf(yield* second.rest, 0)
      // An answer to the lost connection's ids would be somebody else's.
      yield* second.send(...again.map(({ id }, i) => published(id, i === 0 ? 1 : 3, i === 0)))
      assert.deepInclude(yield* outcome(fibers[0]), { offset: 1, duplicate: true })
      assert.deepInclude(yield* outcome(fibers[2]), { offset: 3, duplicate: false })
      yield* second.cut
      assert.lengthOf(yield* (yield* visit).rest, 0)
    })))

  it.effect("is one of as many under way as the server takes", () => {
    const { layer, visit } = scriptedTopics({ calls: 2 })
    return Effect.gen(function*() {
      const client = yield* make
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) => publish(client, n))
      const server = yield* visit
      const sent = [yield* server.next("publish"), yield* server.next("publish")]
      assert.lengthOf(yield* server.rest, 0)
      // Nobody waits for it any more, but the server is still at it.
      yield* Fiber.interrupt(fibers[0])
      assert.lengthOf(yield* server.rest, 0)
      yield* server.send(published(sent[0].id, 1))
      assert.deepStrictEqual((yield* server.next("publish")).value, { n: 3 })
      // One that is given up before it is sent is not sent.
      yield* Fiber.interrupt(fibers[3])
      yield* server.send(published(sent[1].id, 2))
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("fails as refused, by the family's error or ours", () => {
    const { layer, visit } = scriptedTopics({ size: 20 })
    return Effect.gen(function*() {
      const client = yield* make
      const server = yield* visit
      const answers: ReadonlyArray<[Partial<Extract<ToClient, { type: "failed" }>>, object]> = [
        [{ code: "refused", error: { _tag: "NotMember", room: "1" } }, { _tag: "NotMember", room: "1" }],
        [{ code: "invalid", message: "at n" }, { _tag: "TopicError", operation: "publish", code: "invalid", detail: "at n", topic }],
        [{ code: "limit", message: "too fast" }, { _tag: "TopicError", code: "limit" }]
      ]
      for (const [answer, error] of answers) {
        const fiber = yield* publish(client, 1)
        const { id } = yield* server.next("publish")
        yield* server.send({ type: "failed", id, code: "refused", message: "", ...answer })
        assert.deepInclude(yield* Effect.flip(outcome(fiber)), error)
      }
      // Larger than the server takes: it would close the connection, and the next one.
      const large = yield* publish(client, 1e15 + 1)
      assert.deepInclude(yield* Effect.flip(outcome(large)), { _tag: "TopicError", code: "limit" })
      assert.lengthOf(yield* server.rest, 0)
      // Deeper than the subprotocol allows: likewise.
      const Tree = Topic.make("tree", { publication: Schema.Json, signal: Schema.Json, member: Schema.Json })
      const tree = JSON.parse(`${"[".repeat(97)}${"]".repeat(97)}`) as Schema.Json
      const tooDeep = { _tag: "TopicError", code: "invalid", topic: "tree" } as const
      assert.deepInclude(yield* Effect.flip(client.publish(Tree, {}, tree)), { ...tooDeep, operation: "publish" })
      assert.deepInclude(yield* Effect.flip(client.signal(Tree, {}, tree)), { ...tooDeep, operation: "signal" })
      assert.deepInclude(yield* Effect.flip(client.join(Tree, {}, "m", tree)), { ...tooDeep, operation: "join" })
      assert.lengthOf(yield* server.rest, 0)
      const broken = yield* Effect.flip(client.publish(Room, room, { n: 1.5 }))
      assert.strictEqual(broken._tag, "SchemaError")
      for (const key of ["", "k".repeat(129)]) {
        assert.deepInclude(yield* Effect.flip(client.publish(Room, room, { n: 1 }, { key })), {
          _tag: "TopicError", operation: "publish", code: "invalid", topic, detail: `a key has 1 to 128 characters, and not ${key.length}`
        })
        assert.deepInclude(yield* Effect.flip(client.join(Room, room, key, { name: "ada" })), {
          _tag: "TopicError", operation: "join", code: "invalid", topic
        })
      }
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("waits where the server or its broker cannot, and keeps its place", () => {
    const { layer, visit } = scriptedTopics({ calls: 1 })
    return Effect.gen(function*() {
      const client = yield* make
      const one = yield* publish(client, 1)
      const two = yield* publish(client, 2)
      const server = yield* visit
      for (const answer of [{ code: "unavailable" }, { code: "unknown" }, { code: "limit", retryAfter: 700 }] as const) {
        const { id, value } = yield* server.next("publish")
        assert.deepStrictEqual(value, { n: 1 })
        yield* server.send({ type: "failed", id, message: "", ...answer })
        assert.lengthOf(yield* server.rest, 0)
        yield* TestClock.adjust("5 seconds")
      }
      const { id, value } = yield* server.next("publish")
      assert.deepStrictEqual(value, { n: 1 })
      yield* server.send(published(id, 1))
      yield* outcome(one)
      assert.deepStrictEqual((yield* server.next("publish")).value, { n: 2 })
      yield* Fiber.interrupt(two)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that the server's program dies of is sent again four times, and fails", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const server = yield* visit
      const dying = yield* publish(client, 1)
      for (let turn = 0; turn < 5; turn++) {
        const { id } = yield* server.next("publish")
        yield* server.send({ type: "failed", id, code: "defect", message: "the server failed" })
        assert.lengthOf(yield* server.rest, 0)
        // Others go on meanwhile.
        const other = yield* publish(client, 2 + turn)
        yield* server.send({ type: "published", id: (yield* server.next("publish")).id, position: at(1 + turn), duplicate: false })
        yield* outcome(other)
        yield* TestClock.adjust("2 seconds")
      }
      assert.deepInclude(yield* Effect.flip(outcome(dying)), { _tag: "TopicError", operation: "publish", code: "defect", detail: "the server failed" })
      assert.lengthOf(yield* server.rest, 0)
    })))

  it.effect("that is given up was certainly not applied if it was not sent, or the server said so", () => {
    const { layer, visit } = scriptedTopics({ calls: 1 })
    return Effect.gen(function*() {
      const client = yield* make
      const early = yield* publish(client, 1, { timeout: 0 })
      assert.deepInclude(yield* Effect.flip(outcome(early)), { _tag: "NotConnected", reason: "Away" })
      const server = yield* visit
      const one = yield* publish(client, 1, { timeout: "3 seconds" })
      const two = yield* publish(client, 2, { timeout: "3 seconds" })
      const { id } = yield* server.next("publish")
      yield* server.send({ type: "failed", id, code: "unavailable", message: "", retryAfter: 60_000 })
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Effect.flip(outcome(one)), { _tag: "NotConnected" })
      assert.deepInclude(yield* Effect.flip(outcome(two)), { _tag: "NotConnected" })
      assert.lengthOf(yield* server.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that is given up is unknown if it was sent", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const server = yield* visit
      const slow = yield* publish(client, 1, { timeout: "3 seconds" })
      const { key } = yield* server.next("publish")
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Effect.flip(outcome(slow)), { _tag: "PublishUnknown", topic, key })
      // The broker has not said.
      const unsaid = yield* publish(client, 2, { timeout: "3 seconds" })
      const { id } = yield* server.next("publish")
      yield* server.send({ type: "failed", id, code: "unknown", message: "", retryAfter: 60_000 })
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Effect.flip(outcome(unsaid)), { _tag: "PublishUnknown" })
    })))

  it.effect("that is refused when it is sent again may have been applied the first time", () =>
    withTopics(Effect.fnUntraced(function*({ client, visit }) {
      const fiber = yield* publish(client, 1)
      const first = yield* visit
      yield* first.next("publish")
      yield* first.cut
      const second = yield* visit
      const { id } = yield* second.next("publish")
      yield* second.send({ type: "failed", id, code: "refused", message: "no longer" })
      assert.deepInclude(yield* Effect.flip(outcome(fiber)), { _tag: "PublishUnknown", topic })
    })))

  it.effect("is not sent again when the server may have forgotten its key", () => {
    const { layer, visit } = scriptedTopics()
    const Brief = Topic.make("brief", { publication: Schema.Int, history: { keyTimeToLive: "10 seconds" } })
    return Effect.gen(function*() {
      const client = yield* make
      const first = yield* visit
      const fiber = yield* Effect.forkScoped(client.publish(Brief, {}, 1, { timeout: "1 hour" }), { startImmediately: true })
      yield* first.next("publish")
      yield* TestClock.adjust("6 seconds")
      yield* first.cut
      const second = yield* visit
      assert.deepInclude(yield* Effect.flip(outcome(fiber)), { _tag: "PublishUnknown", topic: "brief" })
      assert.lengthOf(yield* second.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is not sent again after the machine has slept so long that the server may have forgotten its key", () => {
    const { layer, visit } = scriptedTopics()
    return Effect.gen(function*() {
      const clock: Clock.Clock = yield* Clock.Clock
      let asleep = 0
      // Its monotonic clock stands still meanwhile.
      const ofLaptop: Clock.Clock = Object.create(clock, { currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() + asleep } })
      const client = yield* Effect.provideService(make, Clock.Clock, ofLaptop)
      const first = yield* visit
      const fiber = yield* publish(client, 1, { timeout: "1 hour" })
      const { key } = yield* first.next("publish")
      asleep = Room.history.keyTimeToLive / 2 + 1
      yield* first.cut
      const second = yield* visit
      assert.deepInclude(yield* Effect.flip(outcome(fiber)), { _tag: "PublishUnknown", topic, key })
      assert.lengthOf(yield* second.rest, 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("ends with the client: unknown if it was sent", () => {
    const { layer, visit } = scriptedTopics({ calls: 1 })
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(make, scope)
      const server = yield* visit
      const sent = yield* publish(client, 1)
      const waiting = yield* publish(client, 2)
      yield* server.next("publish")
      yield* eventually(Scope.close(scope, Exit.void))
      assert.deepInclude(yield* Effect.flip(outcome(sent)), { _tag: "PublishUnknown" })
      assert.deepInclude(yield* Effect.flip(outcome(waiting)), { _tag: "NotConnected", reason: "Ended" })
      const late = yield* publish(client, 3)
      assert.deepInclude(yield* Effect.flip(outcome(late)), { _tag: "NotConnected", reason: "Ended" })
    }).pipe(Effect.provide(layer))
  })
})

describe("a publication that waits for room on the connection", () => {
  const filler = "x".repeat(70_000)

  /** A connection whose next messages wait until the server has read the fillers. */
  const full = Effect.gen(function*() {
    const { client, server } = yield* TestWebSocket.pair({ link: { capacity: 1000 } })
    const link = new Link(client)
    yield* Effect.forkScoped(link.run, { startImmediately: true })
    for (let i = 0; i < 4; i++) link.push({ text: filler })
    yield* Effect.repeat(Effect.yieldNow, { times: 50 })
    /** Of the fillers nothing, of a publication its value, else the message. */
    const read = Effect.map(server.receive, (message) => {
      const text = String(message)
      return text === filler ? "filler" : text.startsWith("{\"type\":\"publish\"") ? (JSON.parse(text) as { value: number }).value : text
    })
    return { link, read }
  })

  it.effect("is given up if it has become too old meanwhile", () =>
    Effect.gen(function*() {
      let millis = 0
      const now = () => ({ monotonic: millis, calendar: millis })
      const calls = new Calls({ later: (_, run) => queueMicrotask(run), random: () => 0, now })
      const publications = new Publications(calls, 10)
      const welcome = Welcome.make({ calls: 10, subscriptions: 10, size: 1000 })
      const { client } = yield* TestWebSocket.pair()
      calls.opened(new Link(client), welcome)
      const sent = new Pending("t", "k", "1", 5000)
      publications.add(sent)
      calls.lost()
      publications.lost()
      const { link, read } = yield* full
      calls.opened(link, welcome)
      publications.opened()
      const fresh = new Pending("t", "l", "2", 5000)
      publications.add(fresh)
      millis = 5001
      const all = yield* Effect.all(Array.from({ length: 5 }, () => read))
      assert.deepStrictEqual(all, ["filler", "filler", "filler", "filler", 2])
      assert.deepInclude(yield* Effect.flip(Deferred.await(sent.outcome)), { _tag: "PublishUnknown", key: "k" })
    }))

  it.effect("makes room for the next one when nobody waits for it any more", () =>
    Effect.gen(function*() {
      const now = () => ({ monotonic: 0, calendar: 0 })
      const calls = new Calls({ later: (_, run) => queueMicrotask(run), random: () => 0, now })
      const publications = new Publications(calls, 10)
      const { link, read } = yield* full
      calls.opened(link, Welcome.make({ calls: 1, subscriptions: 10, size: 1000 }))
      const given = new Pending("t", "k", "1", 5000)
      publications.add(given)
      publications.add(new Pending("t", "l", "2", 5000))
      publications.remove(given)
      const all = yield* Effect.all(Array.from({ length: 4 }, () => read))
      assert.deepStrictEqual(all, ["filler", "filler", "filler", "filler"])
      yield* Effect.repeat(Effect.yieldNow, { times: 50 })
      link.push({ text: "end" })
      assert.strictEqual(yield* read, 2)
    }))
})
