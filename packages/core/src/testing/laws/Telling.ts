/** What subscribed processes hear. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type AnyLaw, history, law } from "./Bench.ts"

export const lawsOfTelling: ReadonlyArray<AnyLaw> = [
  law("each subscribed process hears each publication once and in order, and no other one does", function*(bench) {
    const [one, other, third] = [yield* bench.broker, yield* bench.broker, yield* bench.broker]
    const [topic, another] = [yield* bench.topic, yield* bench.topic]
    const [ears, others, thirds] = [yield* bench.listen(one), yield* bench.listen(other), yield* bench.listen(third)]
    yield* one.subscribe(topic)
    yield* other.subscribe(topic)
    yield* third.subscribe(another)
    const payloads = Array.from({ length: 100 }, (_, i) => `${i}`)
    for (const payload of payloads) yield* one.publish(topic, { key: payload, payload }, history)
    const { position } = yield* one.publish(topic, { key: "0", payload: "again" }, history)
    yield* one.publish(another, { key: "0", payload: "0" }, history)
    yield* bench.hears(ears, topic, payloads)
    yield* bench.hears(others, topic, payloads)
    yield* bench.hears(thirds, another, ["0"])
    yield* bench.equal("what the third hears", thirds.published(topic), [])
    yield* bench.equal("the first event", others.all.find((heard) => heard._tag === "Published"), {
      _tag: "Published",
      topic,
      epoch: position.epoch,
      entry: { offset: 1, key: "0", payload: "0" }
    })
  }),

  law("what is published once subscribing has succeeded is heard", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const ears = yield* bench.listen(other)
    for (let i = 0; i < 20; i++) {
      const topic = yield* bench.topic
      yield* other.subscribe(topic)
      yield* one.publish(topic, { key: "1", payload: "1" }, history)
      yield* bench.hears(ears, topic, ["1"])
    }
  }),

  law("publications of several processes have one order, for all", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    const [ears, others] = [yield* bench.listen(one), yield* bench.listen(other)]
    yield* one.subscribe(topic)
    yield* other.subscribe(topic)
    yield* Effect.forEach(
      Array.from({ length: 200 }, (_, i) => i),
      (i) => (i % 2 === 0 ? one : other).publish(topic, { key: `${i}`, payload: `${i}` }, history),
      { concurrency: "unbounded", discard: true }
    )
    const { epoch } = yield* one.top(topic)
    const log = (yield* one.read(topic, { epoch, offset: 0 }, 1000)).entries.map((entry) => entry.payload)
    yield* bench.equal("the length of the log", log.length, 200)
    yield* bench.hears(ears, topic, log)
    yield* bench.hears(others, topic, log)
    yield* bench.equal("the offsets", ears.offsets(topic), log.map((_, i) => i + 1))
  }),

  law("subscriptions are counted", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const [topic, marker] = [yield* bench.topic, yield* bench.topic]
    const ears = yield* bench.listen(other)
    const [first, second] = [yield* Scope.make(), yield* Scope.make()]
    yield* Scope.provide(other.subscribe(topic), first)
    yield* Scope.provide(other.subscribe(topic), second)
    yield* other.subscribe(marker)
    const publish = (key: string) =>
      Effect.andThen(
        one.publish(topic, { key, payload: key }, history),
        // What is heard of the marker tells that the topic would have been heard.
        one.publish(marker, { key, payload: key }, history)
      )
    yield* publish("1")
    yield* bench.hears(ears, topic, ["1"])
    yield* bench.hears(ears, marker, ["1"])
    yield* Scope.close(first, Exit.void)
    yield* publish("2")
    yield* bench.hears(ears, topic, ["1", "2"])
    yield* bench.hears(ears, marker, ["1", "2"])
    yield* Scope.close(second, Exit.void)
    yield* publish("3")
    yield* bench.hears(ears, marker, ["1", "2", "3"])
    yield* bench.equal("what is heard afterwards", ears.published(topic), ["1", "2"])
    yield* other.subscribe(topic)
    yield* publish("4")
    yield* bench.hears(ears, topic, ["1", "2", "4"])
  }),

  law("a signal is heard by subscribed processes, and kept nowhere", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    const [ears, others] = [yield* bench.listen(one), yield* bench.listen(other)]
    yield* one.subscribe(topic)
    yield* other.subscribe(topic)
    yield* one.signal(topic, "ann", "{\"x\":1}")
    const signal = { _tag: "Signalled", topic, from: "ann", payload: "{\"x\":1}" }
    for (const who of [ears, others]) {
      yield* bench.eventually("the signal is heard", Effect.sync(() => who.has("Signalled", topic)))
      yield* bench.equal("the signal", who.all.filter((heard) => heard._tag === "Signalled"), [signal])
    }
    yield* bench.equal("the top", (yield* one.top(topic)).offset, 0)
  }),

  law(
    "where data was lost, the epoch is another one, and whoever is subscribed is told to read again",
    function*(bench) {
      const [one, other] = [yield* bench.broker, yield* bench.broker]
      const [topic, idle] = [yield* bench.topic, yield* bench.topic]
      const ears = yield* bench.listen(other)
      yield* other.subscribe(topic)
      yield* other.subscribe(idle)
      const { position } = yield* one.publish(topic, { key: "1", payload: "1" }, history)
      yield* one.publish(idle, { key: "1", payload: "1" }, history)
      yield* bench.hears(ears, topic, ["1"])
      yield* bench.hears(ears, idle, ["1"])
      yield* bench.lose
      yield* bench.eventually(
        "Missed is heard, and the top has another epoch",
        Effect.gen(function*() {
          if (!ears.has("Missed", topic) || !ears.has("Missed", idle)) return false
          const [now, idleNow] = [yield* other.top(topic), yield* other.top(idle)]
          return now.epoch !== position.epoch && idleNow.epoch !== position.epoch
        }).pipe(Effect.catch(() => Effect.succeed(false)))
      )
      const before = ears.all.length
      const again = yield* one.publish(topic, { key: "2", payload: "2" }, history)
      yield* bench.claim("the epoch after the loss is that from before", again.position.epoch !== position.epoch)
      const read = yield* other.read(topic, position, 10)
      yield* bench.equal("the last of what is read by a position from before", read.entries.at(-1)?.payload, "2")
      yield* bench.equal("the epoch that is read", read.epoch, again.position.epoch)
      // Its own connection may still be on the way back.
      yield* bench.eventually(
        "the new publication is heard, or that something was missed",
        Effect.sync(() => ears.published(topic).includes("2") || ears.has("Missed", topic, before))
      )
    },
    "lose"
  )
]
