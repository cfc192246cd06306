import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, type TopicEvent, Topics } from "@effect-ws/core/realtime"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { serve, serveAlone, settle, type Peer } from "../support/TopicsWire.ts"

const Numbers = Topic.make("numbers/:id", { publication: Schema.Finite, signal: Schema.String, history: { size: 10 } })
const Boards = Topic.make("board/:id", {
  publication: Schema.Struct({ at: Schema.DateTimeUtcFromMillis }),
  snapshot: Schema.Struct({ sum: Schema.Finite })
})

const Trees = Topic.make("tree/:id", { publication: Schema.Json })
const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`

const memory = Topics.layer().pipe(Layer.provideMerge(Broker.layerMemory))
const a = { id: "a" }

const publishAll = (from: number, to: number) =>
  Effect.forEach(Array.from({ length: to - from + 1 }, (_, i) => from + i), (n) => Topics.publish(Numbers, a, n), { discard: true })

/** What a subscriber sees, short. */
const short = (event: TopicEvent.TopicEvent<number>): string =>
  event._tag === "Publication"
    ? `${event.position.offset}:${event.value}`
    : event._tag === "Gap"
    ? `gap ${event.reason} ${event.from.offset}-${event.to.offset}`
    : `${event._tag} ${event.position.offset}`

const collect = (count: number, since?: Broker.Position | "start") =>
  Topics.subscribe(Numbers, a, { since }).pipe(Stream.take(count), Stream.map(short), Stream.runCollect)

describe("in the program", () => {
  it.effect("a publication has the next position, and reaches who is subscribed", () =>
    Effect.gen(function*() {
      const events = yield* Effect.forkChild(collect(3), { startImmediately: true })
      yield* settle
      const one = yield* Topics.publish(Numbers, a, 7)
      const two = yield* Topics.publish(Numbers, a, 8)
      assert.deepStrictEqual([one.offset, two.offset], [1, 2])
      assert.strictEqual(one.epoch, two.epoch)
      assert.deepStrictEqual(yield* Fiber.join(events), ["Subscribed 0", "1:7", "2:8"])
    }).pipe(Effect.provide(memory)))

  it.effect("a key is applied once", () =>
    Effect.gen(function*() {
      const first = yield* Topics.publish(Numbers, a, 7, { key: "k" })
      assert.deepStrictEqual(yield* Topics.publish(Numbers, a, 9, { key: "k" }), first)
      yield* Topics.publish(Numbers, a, 8)
      assert.deepStrictEqual(yield* collect(3, "start"), ["Subscribed 0", "1:7", "2:8"])
    }).pipe(Effect.provide(memory)))

  it.effect("a value is no larger than clients take it", () =>
    Effect.gen(function*() {
      const Words = Topic.make("words/:id", { publication: Schema.String, signal: Schema.String, member: Schema.String })
      const heard = yield* Effect.forkChild(Stream.runCollect(Stream.take(Topics.subscribe(Words, a), 2)), { startImmediately: true })
      yield* settle
      const word = (length: number) => "x".repeat(length - 2)
      const refused = Effect.map(Effect.all([
        Effect.flip(Topics.publish(Words, a, word(11))),
        Effect.flip(Topics.signal(Words, a, word(11))),
        Effect.flip(Topics.join(Words, a, "bot", word(6)))
      ]), (errors) => errors.map((error) => error._tag === "ValueTooLarge" && [error.what, error.size, error.limit]))
      assert.deepStrictEqual(yield* refused, [["publication", 11, 10], ["signal", 11, 10], ["member", 6, 5]])
      assert.strictEqual((yield* Topics.members(Words, a)).count, 0)
      assert.strictEqual((yield* Topics.publish(Words, a, word(10))).offset, 1)
      yield* Topics.signal(Words, a, word(10))
      yield* Topics.join(Words, a, "bot", word(5))
      assert.lengthOf(yield* Fiber.join(heard), 2)
    }).pipe(Effect.scoped, Effect.provide(Topics.layer({ publish: { size: 10 }, presence: { size: 5 } }).pipe(Layer.provide(Broker.layerMemory)))))

  it.effect("a name is no longer than clients may make it", () =>
    Effect.gen(function*() {
      const Words = Topic.make("words/:id", { publication: Schema.String, signal: Schema.String, member: Schema.String })
      for (const name of ["", "n".repeat(129)]) {
        const refused = yield* Effect.all([
          Effect.flip(Topics.publish(Words, a, "x", { key: name })),
          Effect.flip(Topics.join(Words, a, name, "x")),
          Effect.flip(Topics.signal(Words, a, "x", { from: name }))
        ])
        assert.deepStrictEqual(refused.map((error) => error._tag === "InvalidArgument" && error.argument), ["key", "member", "from"])
        assert.include(refused[0].message, `1 to 128 characters, and not ${name.length}`)
      }
      const longest = "n".repeat(128)
      assert.strictEqual((yield* Topics.publish(Words, a, "x", { key: longest })).offset, 1)
      yield* Topics.join(Words, a, longest, "x")
      assert.deepStrictEqual(Array.from((yield* Topics.members(Words, a)).members.keys()), [longest])
    }).pipe(Effect.scoped, Effect.provide(memory)))

  it.effect("who comes back gets what is behind its position", () =>
    Effect.gen(function*() {
      const { epoch } = yield* Topics.publish(Numbers, a, 1)
      yield* publishAll(2, 5)
      assert.deepStrictEqual(yield* collect(3, { epoch, offset: 3 }), ["Subscribed 3", "4:4", "5:5"])
      assert.deepStrictEqual(yield* collect(1, { epoch, offset: 5 }), ["Subscribed 5"])
    }).pipe(Effect.provide(memory)))

  it.effect("a gap says what history does not reach, an unknown epoch, and an offset that nothing has", () =>
    Effect.gen(function*() {
      const { epoch } = yield* Topics.publish(Numbers, a, 1)
      yield* publishAll(2, 15)
      assert.deepStrictEqual(yield* collect(3, { epoch, offset: 2 }), ["Subscribed 2", "gap history 2-5", "6:6"])
      assert.deepStrictEqual(yield* collect(2, { epoch, offset: 5 }), ["Subscribed 5", "6:6"])
      assert.deepStrictEqual(yield* collect(3, { epoch: "other", offset: 9 }), ["Subscribed 9", "gap epoch 9-5", "6:6"])
      assert.deepStrictEqual(yield* collect(3, { epoch, offset: 16 }), ["Subscribed 16", "gap epoch 16-5", "6:6"])
      assert.deepStrictEqual(yield* collect(2, "start"), ["Subscribed 5", "6:6"])
    }).pipe(Effect.provide(memory)))

  it.effect("a reader that is slow misses nothing that is kept, and is told of the rest", () =>
    Effect.gen(function*() {
      const seen = yield* Queue.bounded<string>(1)
      yield* Topics.subscribe(Numbers, a).pipe(
        Stream.runForEach((event) => Queue.offer(seen, short(event))),
        Effect.forkChild({ startImmediately: true })
      )
      yield* settle
      yield* publishAll(1, 3)
      yield* settle
      yield* publishAll(4, 30)
      yield* settle
      const all: Array<string> = []
      while (all.at(-1) !== "30:30") all.push(yield* Queue.take(seen))
      const gap = all.findIndex((one) => one.startsWith("gap"))
      const before = gap - 1
      const expected = Array.from({ length: before }, (_, i) => `${i + 1}:${i + 1}`)
      assert.isBelow(before, 4)
      assert.deepStrictEqual(all, [
        "Subscribed 0",
        ...expected,
        `gap history ${before}-20`,
        ...[21, 22, 23, 24, 25, 26, 27, 28, 29, 30].map((n) => `${n}:${n}`)
      ])
    }).pipe(Effect.provide(memory)))

  it.effect("a broker that loses its data means another epoch and a gap", () =>
    Effect.gen(function*() {
      const { server, store } = yield* serveAlone(Topics.handle([Topics.serve(Numbers)]))
      yield* server.run(Effect.gen(function*() {
        yield* publishAll(1, 3)
        const events = yield* Effect.forkChild(collect(6, "start"), { startImmediately: true })
        yield* settle
        yield* store.lose
        yield* settle
        yield* publishAll(10, 10)
        assert.deepStrictEqual(yield* Fiber.join(events), ["Subscribed 0", "1:1", "2:2", "3:3", "gap epoch 3-0", "1:10"])
      }))
    }))

  it.effect("a value that is nested too deeply for clients is not published", () =>
    Effect.gen(function*() {
      const tree = (levels: number) => Topics.publish(Trees, a, JSON.parse(deep(levels)))
      assert.strictEqual((yield* tree(96)).offset, 1)
      for (const levels of [97, 100_000]) assert.isTrue(Exit.hasDies(yield* Effect.exit(tree(levels))))
    }).pipe(Effect.provide(memory)))

  it.effect("a topic that nobody needs is given up after a while", () =>
    Effect.gen(function*() {
      const { size } = yield* Topics.Topics
      const reading = yield* Effect.forkChild(collect(9), { startImmediately: true })
      yield* settle
      assert.strictEqual(yield* size, 1)
      yield* Fiber.interrupt(reading)
      assert.strictEqual(yield* size, 1)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* size, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* size, 0)
    }).pipe(Effect.provide(memory)))
})

const subscribe = (peer: Peer, more: object = {}) =>
  Effect.andThen(peer.say({ type: "subscribe", id: 1, topic: "numbers/a", ...more }), peer.expect("subscribed"))

const publishNumber = (peer: Peer, value: unknown, more: object = {}) =>
  peer.say({ type: "publish", id: 9, topic: "numbers/a", key: `k${String(value)}`, value, ...more })

const alone = serveAlone(Topics.handle([Topics.serve(Numbers), Topics.serve(Boards)]))

describe("over the wire", () => {
  it.effect("a server says first what it allows", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Numbers)], { limits: { calls: 5 } }), {
        limits: { subscriptions: 7 }
      })
      const ws = yield* server.dial()
      assert.deepStrictEqual(JSON.parse(String(yield* ws.receive)), { type: "welcome", calls: 5, subscriptions: 7, size: 65_536 })
    }))

  it.effect("a publication is acknowledged, and delivered to all with its position", () =>
    Effect.gen(function*() {
      const { server } = yield* alone
      const [one, other] = [yield* server.connect, yield* server.connect]
      const { position, top } = yield* subscribe(one)
      assert.deepStrictEqual([position.offset, top], [0, 0])
      yield* subscribe(other)
      yield* publishNumber(one, 5)
      const answers = [yield* one.next, yield* one.next]
      const delivered = {
        type: "publication" as const, topic: "numbers/a", epoch: position.epoch, offset: 1, key: "k5", value: 5
      }
      assert.sameDeepMembers(answers, [
        { type: "published", id: 9, position: { epoch: position.epoch, offset: 1 }, duplicate: false },
        delivered
      ])
      assert.deepStrictEqual(yield* other.next, delivered)
      yield* publishNumber(one, 5)
      assert.deepInclude(yield* one.expect("published"), { duplicate: true })
      assert.deepStrictEqual(yield* other.arrived, [])
    }))

  it.effect("a subscription begins where it asks, with a gap where that is not kept", () =>
    Effect.gen(function*() {
      const { server } = yield* alone
      yield* server.run(publishAll(1, 15))
      const peer = yield* server.connect
      const { position: { epoch } } = yield* subscribe(peer)
      const ask = (since: unknown) => subscribe(peer, { since })
      const offsets = Effect.map(peer.arrived, (all) => all.map((one) => one.type === "publication" ? one.offset : one.type))

      const near = yield* ask({ epoch, offset: 12 })
      assert.deepInclude(near, { position: { epoch, offset: 12 }, top: 15 })
      assert.isUndefined(near.gap)
      assert.deepStrictEqual(yield* offsets, [13, 14, 15])

      const far = yield* ask({ epoch, offset: 1 })
      assert.deepStrictEqual(far.gap, { reason: "history", from: { epoch, offset: 1 }, to: { epoch, offset: 5 } })
      assert.deepStrictEqual(far.position, { epoch, offset: 5 })
      assert.deepStrictEqual(yield* offsets, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15])

      const lost = yield* ask({ epoch: "x", offset: 3 })
      assert.deepStrictEqual(lost.gap, { reason: "epoch", from: { epoch: "x", offset: 3 }, to: { epoch, offset: 5 } })
      assert.lengthOf(yield* offsets, 10)

      assert.isUndefined((yield* ask("start")).gap)
      assert.lengthOf(yield* offsets, 10)
      yield* server.run(publishAll(16, 16))
      assert.deepStrictEqual(yield* offsets, [16])
    }))

  it.effect("a snapshot comes at the first join and behind a gap, if it is asked for", () =>
    Effect.gen(function*() {
      let taken = 0
      const { server, store } = yield* serveAlone(Topics.handle([
        Topics.serve(Boards, { snapshot: ({ params, position }) => Effect.sync(() => ({ sum: params.id.length * 100 + position.offset * 10 + ++taken })) })
      ]))
      const peer = yield* server.connect
      const ask = (more: object) =>
        Effect.andThen(peer.say({ type: "subscribe", id: 1, topic: "board/b", ...more }), peer.expect("subscribed"))
      yield* server.run(Topics.publish(Boards, { id: "b" }, { at: DateTime.makeUnsafe(0) }))
      const first = yield* ask({ snapshot: true })
      assert.deepStrictEqual(first.snapshot, { position: first.position, value: { sum: 111 } })
      assert.strictEqual(first.position.offset, 1)
      assert.isUndefined((yield* ask({})).snapshot)
      // Whoever has a position and asks anyway has a reason: another reader, or a gap that came before.
      const again = yield* ask({ snapshot: true, since: { ...first.position, offset: 0 } })
      assert.deepStrictEqual([again.position.offset, again.snapshot], [0, { position: first.position, value: { sum: 112 } }])
      yield* store.lose
      yield* peer.arrived
      const behind = yield* ask({ snapshot: true, since: first.position })
      assert.deepStrictEqual(behind.gap, { reason: "epoch", from: first.position, to: behind.position })
      assert.deepStrictEqual(behind.snapshot, { position: behind.position, value: { sum: 103 } })
    }))

  it.effect("nothing is delivered behind the answer to unsubscribe", () =>
    Effect.gen(function*() {
      const { server } = yield* alone
      const peer = yield* server.connect
      yield* subscribe(peer)
      yield* peer.say({ type: "unsubscribe", id: 2, topic: "numbers/a" })
      assert.deepStrictEqual(yield* peer.expect("done"), { type: "done", id: 2 })
      yield* server.run(publishAll(1, 3))
      assert.deepStrictEqual(yield* peer.arrived, [])
    }))

  it.effect("two servers share their topics", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const route = Topics.handle([Topics.serve(Numbers)])
      const [one, other] = [yield* serve(yield* store.broker, route), yield* serve(yield* store.broker, route)]
      const [here, there] = [yield* one.connect, yield* other.connect]
      const { position } = yield* subscribe(here)
      yield* publishNumber(there, 1)
      yield* there.expect("published")
      assert.deepInclude(yield* here.expect("publication"), { offset: 1, value: 1, epoch: position.epoch })
      // Who comes from a server that has heard more gets no gap.
      yield* subscribe(there, { since: { epoch: position.epoch, offset: 0 } })
      assert.deepInclude(yield* there.expect("publication"), { offset: 1, value: 1 })
    }))

  it.effect("a signal reaches the others who are subscribed, and nobody later", () =>
    Effect.gen(function*() {
      const { server } = yield* alone
      const [one, other] = [yield* server.connect, yield* server.connect]
      yield* subscribe(one)
      yield* subscribe(other)
      yield* one.say({ type: "signal", id: 3, topic: "numbers/a", value: "typing" })
      assert.deepInclude(yield* other.expect("signalled"), { topic: "numbers/a", value: "typing" })
      yield* server.run(Topics.signal(Numbers, a, "bye", { from: "server" }))
      assert.deepStrictEqual(yield* one.arrived, [{ type: "signalled", topic: "numbers/a", from: "server", value: "bye" }])
      assert.lengthOf(yield* other.arrived, 1)
    }))

  it.effect.each([
    ["a topic of no family", { type: "subscribe", id: 4, topic: "nothing/a" }, "unknown-topic"],
    ["a name that no parameters have", { type: "publish", id: 4, topic: "numbers/a b", key: "k", value: 1 }, "unknown-topic"],
    ["a value that its Schema refuses", { type: "publish", id: 4, topic: "numbers/a", key: "k", value: "one" }, "invalid"],
    ["a value that is too large", { type: "publish", id: 4, topic: "numbers/a", key: "k", value: 1e300 }, "limit"],
    ["a value that is nested as deep as only a message may be", `{"type":"publish","id":4,"topic":"tree/a","key":"k","value":${deep(97)}}`, "invalid"],
    ["a signal that its Schema refuses", { type: "signal", id: 4, topic: "numbers/a", value: 5 }, "invalid"],
    ["a signal where there are none", { type: "signal", id: 4, topic: "board/a", value: 5 }, "invalid"]
  ] as const)("%s is answered", ([, message, code]) =>
    Effect.gen(function*() {
      const route = Topics.handle([Topics.serve(Numbers), Topics.serve(Boards), Topics.serve(Trees)], { limits: { publish: { size: 4 } } })
      const { server } = yield* serveAlone(route)
      const peer = yield* server.connect
      yield* peer.say(message)
      assert.deepInclude(yield* peer.expect("failed"), { id: 4, code })
      yield* publishNumber(peer, 2)
      yield* peer.expect("published")
    }))

  it.effect.each([
    ["no JSON", "{", 1007],
    ["bytes", new Uint8Array(3), 1007],
    ["another type", `{"type":"shout","id":1}`, 1008],
    ["no id", `{"type":"subscribe","topic":"numbers/a"}`, 1008],
    ["a value that is nested too deeply", `{"type":"publish","id":1,"topic":"numbers/a","key":"k","value":${deep(100)}}`, 1007]
  ] as const)("%s closes the connection with a reason", ([, text, code]) =>
    Effect.gen(function*() {
      const { server } = yield* alone
      const peer = yield* server.connect
      yield* peer.ws.send(text)
      yield* Effect.ignore(peer.ws.drain)
      const info = yield* peer.ws.closed
      assert.strictEqual(info.code, code)
      assert.notStrictEqual(info.reason, "")
    }))

  it.effect("a connection has only so many subscriptions", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Numbers)], { limits: { subscriptions: 2 } }))
      const peer = yield* server.connect
      const ask = (id: number, topic: string) => peer.say({ type: "subscribe", id, topic })
      yield* Effect.forEach([1, 2, 3, 4], (n) => ask(n, `numbers/${n}`))
      const answers = yield* Effect.forEach([1, 2, 3, 4], () => peer.next)
      assert.sameMembers(answers.map((one) => one.type), ["subscribed", "subscribed", "failed", "failed"])
      // One that it has may be asked for again, and one that has ended makes room.
      yield* ask(5, "numbers/1")
      yield* peer.expect("subscribed")
      yield* peer.say({ type: "unsubscribe", id: 6, topic: "numbers/1" })
      yield* peer.expect("done")
      yield* ask(7, "numbers/9")
      yield* peer.expect("subscribed")
    }))

  it.effect("what is left of a connection that has ended is nothing", () =>
    Effect.gen(function*() {
      const { server } = yield* alone
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* server.connect
        yield* subscribe(peer)
        assert.strictEqual(yield* server.run(Effect.flatMap(Topics.Topics, ({ size }) => size)), 1)
      }))
      yield* settle
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(yield* server.run(Effect.flatMap(Topics.Topics, ({ size }) => size)), 0)
    }))
})
