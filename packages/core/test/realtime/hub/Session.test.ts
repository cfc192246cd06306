import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { type Peer, type Server, serve, serveAlone, settle, type ToClient } from "../../support/TopicsWire.ts"

const Texts = Topic.make("texts/:id", { publication: Schema.String, signal: Schema.Finite, history: { size: 1000 } })
const Short = Topic.make("short/:id", { publication: Schema.String, history: { size: 50 } })
const a = { id: "a" }

const route = Topics.handle([Topics.serve(Texts), Topics.serve(Short)], { outboundHighWaterMark: 4096 })
const limits = { recent: { count: 16 } }
const test = { link: { capacity: 4096 } }
const text = "x".repeat(1000)

const publishAll = (server: Server, topic: typeof Texts | typeof Short, count: number) =>
  server.run(Effect.forEach(Array.from({ length: count }), () => Topics.publish(topic, a, text), { discard: true }))

const subscribe = (peer: Peer, topic = "texts/a", more: object = {}) =>
  Effect.andThen(peer.say({ type: "subscribe", id: 1, topic, ...more }), peer.expect("subscribed"))

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Offsets, and the type of anything else. */
const seen = (messages: ReadonlyArray<ToClient>) =>
  messages.map((one) => one.type === "publication" ? one.offset : one.type === "gap" ? one.gap : one.type)

/** The link of a client, cut at the end of the test: no closing handshake waits for a clock that does not move. */
const linkOf = (server: Server, index: number) =>
  Effect.provideContext(TestServer, server.context).pipe(
    Effect.flatMap(({ links }) => links),
    Effect.map((links) => links[index]),
    Effect.tap((link) => Effect.addFinalizer(() => link.reset))
  )

describe("a subscriber that takes nothing for a while", () => {
  it.effect("misses nothing that is kept, holds up nobody, and is live again", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits, test })
      const [slow, quick] = [yield* server.connect, yield* server.connect]
      yield* subscribe(slow)
      yield* subscribe(quick)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* Effect.forEach(range(1, 30), () => Effect.andThen(publishAll(server, Texts, 10), settle), { discard: true })
      assert.deepStrictEqual(seen(yield* quick.arrived), range(1, 300))
      yield* link.resume("server")
      assert.deepStrictEqual(seen(yield* slow.arrived), range(1, 300))
      yield* publishAll(server, Texts, 1)
      assert.deepStrictEqual(seen(yield* slow.arrived), [301])
      assert.deepStrictEqual(seen(yield* quick.arrived), [301])
    }))

  it.effect("misses nothing where other connections of the program drop messages", () =>
    Effect.gen(function*() {
      const options = { outboundHighWaterMark: 4096, slowConsumer: "dropOldest" as const }
      const { server } = yield* serveAlone(Topics.handle([Topics.serve(Texts)], options), { limits, test })
      const slow = yield* server.connect
      yield* subscribe(slow)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 100)
      yield* settle
      yield* link.resume("server")
      assert.deepStrictEqual(seen(yield* slow.arrived), range(1, 100))
    }))

  it.effect("is told of what is no longer kept, once, and gets all the rest", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits, test })
      const slow = yield* server.connect
      const { position: { epoch } } = yield* subscribe(slow, "short/a")
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Short, 300)
      yield* settle
      yield* link.resume("server")
      const all = seen(yield* slow.arrived)
      // History goes on while the gap waits to be sent: what is missing then is a gap behind the gap.
      const gaps = all.filter((one) => typeof one === "object")
      const at = all.indexOf(gaps[0])
      assert.isAbove(at, 0)
      assert.deepStrictEqual(all.filter((one) => typeof one !== "object"), [...range(1, at), ...range(251, 300)])
      assert.deepStrictEqual([gaps[0].from.offset, ...gaps.map(({ to }) => to.offset)], [...gaps.map(({ from }) => from.offset), 250])
      assert.strictEqual(gaps[0].from.offset, at)
      for (const { from, reason, to } of gaps) assert.deepStrictEqual([reason, from.epoch, to.epoch], ["history", epoch, epoch])
    }))

  it.effect("hears of another epoch behind what it had", () =>
    Effect.gen(function*() {
      const { server, store } = yield* serveAlone(route, { limits, test })
      const slow = yield* server.connect
      const { position: { epoch } } = yield* subscribe(slow)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 10)
      yield* settle
      yield* store.lose
      yield* settle
      yield* publishAll(server, Texts, 2)
      yield* link.resume("server")
      const all = seen(yield* slow.arrived)
      const gap = all.find((one) => typeof one === "object")
      assert.deepInclude(gap, { reason: "epoch" })
      const at = all.indexOf(gap!)
      assert.deepStrictEqual([all.slice(0, at), all.slice(at + 1)], [range(1, at), [1, 2]])
      assert.deepStrictEqual(gap!.from, { epoch, offset: at })
      assert.strictEqual(gap!.to.offset, 0)
    }))

  it.effect("gets nothing behind the answer that ends its subscription, or moves it", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits, test })
      const slow = yield* server.connect
      const { position: { epoch } } = yield* subscribe(slow)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 100)
      yield* settle
      yield* slow.say({ type: "subscribe", id: 2, topic: "texts/a", since: { epoch, offset: 90 } })
      yield* settle
      yield* link.resume("server")
      const all = seen(yield* slow.arrived)
      const at = all.indexOf("subscribed")
      assert.deepStrictEqual([all.slice(0, at), all.slice(at + 1)], [range(1, at), range(91, 100)])

      yield* link.stall("server")
      yield* publishAll(server, Texts, 100)
      yield* settle
      yield* slow.say({ type: "unsubscribe", id: 3, topic: "texts/a" })
      yield* settle
      yield* link.resume("server")
      const rest = seen(yield* slow.arrived)
      assert.strictEqual(rest.at(-1), "done")
      assert.deepStrictEqual(rest.slice(0, -1), range(101, 99 + rest.length))
    }))

  it.effect("misses signals, which nobody keeps for it", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(route, { limits, test })
      const slow = yield* server.connect
      yield* subscribe(slow)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 20)
      yield* settle
      yield* server.run(Topics.signal(Texts, a, 1))
      yield* settle
      yield* link.resume("server")
      assert.deepStrictEqual(seen(yield* slow.arrived), range(1, 20))
    }))

  it.effect("waits for a broker that fails", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isDown = false
      const failing = Broker.Broker.of({
        ...broker,
        read: (topic, since, limit) =>
          Effect.suspend(() => isDown ? new Broker.BrokerError({ operation: "read", applied: "no" }) : broker.read(topic, since, limit))
      })
      const server = yield* serve(failing, route, { limits, test })
      const slow = yield* server.connect
      yield* subscribe(slow)
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 100)
      yield* settle
      isDown = true
      yield* link.resume("server")
      assert.isBelow((yield* slow.arrived).length, 80)
      yield* TestClock.adjust("3 seconds")
      assert.lengthOf(yield* slow.arrived, 0)
      isDown = false
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(seen(yield* slow.arrived).at(-1), 100)
    }))

  it.effect("waits for a part of the broker that fails with the topics of that part alone", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      let isDown = false
      let reads = 0
      const failing = Broker.Broker.of({
        ...broker,
        read: (topic, since, limit) =>
          Effect.suspend(() => {
            if (!isDown || topic !== "texts/a") return broker.read(topic, since, limit)
            reads++
            return new Broker.BrokerError({ operation: "read", applied: "no" })
          })
      })
      const server = yield* serve(failing, route, { limits, test })
      const peer = yield* server.connect
      const { position } = yield* subscribe(peer)
      yield* publishAll(server, Texts, 100)
      yield* server.run(Effect.forEach(range(1, 100), () => Topics.publish(Texts, { id: "b" }, text), { discard: true }))
      assert.deepStrictEqual(seen(yield* peer.arrived), range(1, 100))
      isDown = true
      // Behind in both: the first can be read until it is asked for, and not afterwards.
      const link = yield* linkOf(server, 0)
      yield* link.stall("server")
      yield* publishAll(server, Texts, 100)
      yield* settle
      yield* peer.say({ type: "subscribe", id: 2, topic: "texts/b", since: { ...position, offset: 0 } })
      yield* settle
      yield* link.resume("server")
      const about = (all: ReadonlyArray<ToClient>, topic: string) =>
        seen(all.filter((one) => one.type === "publication" && one.topic === topic))
      const all = yield* peer.arrived
      assert.isAbove(reads, 0)
      assert.isBelow(about(all, "texts/a").length, 100)
      assert.deepStrictEqual(about(all, "texts/b"), range(1, 100))
      // Live again, and asked for again with patience.
      yield* server.run(Topics.publish(Texts, { id: "b" }, text))
      assert.deepStrictEqual(about(yield* peer.arrived, "texts/b"), [101])
      yield* TestClock.adjust("1 minute")
      assert.isBelow(reads, 30)
      isDown = false
      yield* TestClock.adjust("5 seconds")
      const rest = about([...all, ...yield* peer.arrived], "texts/a")
      assert.deepStrictEqual(rest, range(101, 200))
      yield* publishAll(server, Texts, 1)
      assert.deepStrictEqual(about(yield* peer.arrived, "texts/a"), [201])
    }))
})

describe("a connection", () => {
  it.effect("that ends interrupts what the program does for it", () =>
    Effect.gen(function*() {
      const happened: Array<string> = []
      const waiting = (what: string) =>
        Effect.sync(() => happened.push(`${what} began`)).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => happened.push(`${what} was interrupted`)))
        )
      const served = Topics.serve(Texts, { subscribe: () => waiting("subscribe"), publish: () => waiting("publish") })
      const { broker, server } = yield* serveAlone(Topics.handle([served]))
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* server.connect
        yield* peer.say({ type: "subscribe", id: 1, topic: "texts/a" })
        yield* peer.say({ type: "publish", id: 2, topic: "texts/b", key: "k", value: "1" })
        yield* settle
      }))
      yield* settle
      assert.sameMembers(happened, ["subscribe began", "publish began", "subscribe was interrupted", "publish was interrupted"])
      assert.strictEqual((yield* broker.top("texts/b")).offset, 0)
    }))

  it.effect("that ends leaves none of its fibers, and its publication is applied", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const broker = yield* store.broker
      const slow = Broker.Broker.of({
        ...broker,
        publish: (topic, entry, history) => Effect.andThen(Effect.sleep("1 second"), broker.publish(topic, entry, history))
      })
      const server = yield* serve(slow, route)
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* server.connect
        yield* peer.say({ type: "publish", id: 1, topic: "texts/a", key: "k", value: "1" })
        yield* settle
      }))
      assert.strictEqual((yield* broker.top("texts/a")).offset, 0)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* broker.top("texts/a")).offset, 1)
    }))
})
