import { assert, describe, it } from "@effect/vitest"
import { Broker } from "@effect-ws/core/realtime"
import { BrokerLaws } from "@effect-ws/core/testing"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"

type Service = Broker.Broker["Service"]

const lawsOf = (store: Broker.MemoryStore, broken: (broker: Service, store: Broker.MemoryStore) => Partial<Service> = () => ({})) =>
  BrokerLaws.make({
    broker: Effect.map(store.broker, (broker) => ({ ...broker, ...broken(broker, store) })),
    lose: store.lose,
    pass: TestClock.adjust
  })

const names = BrokerLaws.make({ broker: Effect.never, lose: Effect.void }).map((law) => law.name)

describe("a broker in memory", () => {
  for (const [index, name] of names.entries()) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const store = yield* Broker.makeMemoryStore
        yield* lawsOf(store)[index].check
      }))
  }
})

const mangled = (text: string) => new TextDecoder().decode(new TextEncoder().encode(text))
const drop = (broker: Service, tag: Broker.Heard["_tag"]) => ({ heard: Stream.filter(broker.heard, (heard) => heard._tag !== tag) })
let unique = 0

// For each law a broker that breaks it.
const broken: Record<string, (broker: Service, store: Broker.MemoryStore) => Partial<Service>> = {
  "the publications of a topic are counted from 1, in one epoch": (broker) => ({
    top: (topic) => Effect.map(broker.top(topic), (top) => ({ ...top, offset: top.offset + 1 }))
  }),
  "a key that is known changes nothing, and answers where it was": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, { ...entry, key: `${unique++}` }, history)
  }),
  "a key is applied once, however many publish under it at once": (broker) => ({
    publish: (topic, entry, history) =>
      Effect.map(broker.publish(topic, entry, history), (published) => ({ ...published, duplicate: false }))
  }),
  "a key is forgotten after its time": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, entry, { ...history, keyTimeToLive: 1000 })
  }),
  "one process's publications are applied in the order in which they began": (broker) => ({
    publish: (topic, entry, history) =>
      Effect.andThen(entry.key === "7" ? Effect.yieldNow : Effect.void, broker.publish(topic, entry, history))
  }),
  "reading gives what is kept behind a position, in order, up to the limit": (broker) => ({
    read: (topic, since) => broker.read(topic, since, 1000)
  }),
  "the last publications are kept, as many as history says": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, entry, { ...history, size: history.size + 1 })
  }),
  "a publication is kept for its time, and the count for ever": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, entry, { ...history, timeToLive: 2000 })
  }),
  "a topic without history counts, and keeps nothing": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, entry, { ...history, size: Math.max(1, history.size) })
  }),
  "names and keys are any text, and payloads any JSON": (broker) => ({
    publish: (topic, entry, history) => broker.publish(topic, { ...entry, key: mangled(entry.key) }, history)
  }),
  "each subscribed process hears each publication once and in order, and no other one does": (broker) => ({
    heard: Stream.flatMap(broker.heard, (heard) => Stream.make(heard, heard))
  }),
  "what is published once subscribing has succeeded is heard": (broker) => ({
    subscribe: (topic) => Effect.asVoid(Effect.forkScoped(Effect.andThen(Effect.yieldNow, broker.subscribe(topic))))
  }),
  "publications of several processes have one order, for all": (broker) => ({
    heard: Stream.filter(broker.heard, (heard) => heard._tag !== "Published" || heard.entry.offset !== 5)
  }),
  "subscriptions are counted": (broker) => ({
    subscribe: (topic) => Scope.provide(broker.subscribe(topic), Scope.makeUnsafe())
  }),
  "a signal is heard by subscribed processes, and kept nowhere": (broker) => ({
    signal: (topic, _, payload) => broker.signal(topic, "somebody", payload)
  }),
  "where data was lost, the epoch is another one, and whoever is subscribed is told to read again": (broker) => drop(broker, "Missed"),
  "members are counted, each once, and listed by the presence that was entered last": (broker) => ({
    members: (topic) => broker.members(topic, 1000)
  }),
  "a connection that enters as another member is no longer the one before": (broker) => ({
    enter: (topic, presence) => broker.enter(topic, { ...presence, id: presence.id + presence.member })
  }),
  "subscribed processes hear that the members have changed": (broker) => drop(broker, "MembersChanged"),
  "what a process entered ends with it": (broker, store) => {
    const immortal = Effect.runSync(Scope.provide(store.broker, Scope.makeUnsafe()))
    return { enter: immortal.enter, leave: broker.leave }
  },
  "those who are present are there again after data was lost": (broker) => {
    let epoch: string | undefined
    return {
      members: (topic, limit) =>
        Effect.flatMap(broker.top(topic), (top) =>
          top.epoch === epoch ? broker.members(topic, limit) : Effect.succeed({ count: 0, members: [] })),
      enter: (topic, presence) =>
        Effect.andThen(broker.enter(topic, presence), Effect.map(broker.top(topic), (top) => void (epoch = top.epoch)))
    }
  }
}

describe("BrokerLaws", () => {
  it("leaves out losses that cannot be made", () => {
    const without = BrokerLaws.make({ broker: Effect.never }).map((law) => law.name)
    assert.deepStrictEqual(names.filter((name) => !without.includes(name)), [
      "where data was lost, the epoch is another one, and whoever is subscribed is told to read again",
      "those who are present are there again after data was lost"
    ])
  })

  for (const [index, name] of names.entries()) {
    it.effect(`notices: ${name}`, () =>
      Effect.gen(function*() {
        const store = yield* Broker.makeMemoryStore
        const error = yield* Effect.flip(lawsOf(store, broken[name])[index].check)
        assert.instanceOf(error, BrokerLaws.LawBroken)
        assert.strictEqual(error.law, name)
        assert.include(error.message, `"${name}" is broken: `)
      }))
  }
})
