/** Positions, keys, and what is kept. */
import * as Effect from "effect/Effect"
import { type AnyLaw, history, law } from "./Bench.ts"

/** Names and values that a backend may not take for something else. */
const texts = [
  "plain", "a b", "a:b*c?[d]", "{a}{b}", "ünïcödé", "😀", "\"quoted\"", "back\\slash", "line\nbreak\r\n", "nul\u0000", "%7B", "-1", "0",
  "", "\ud800 alone", "\udc00", "\\ud800"
]

export const lawsOfPublishing: ReadonlyArray<AnyLaw> = [
  law("the publications of a topic are counted from 1, in one epoch", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const [topic, another] = [yield* bench.topic, yield* bench.topic]
    const before = yield* one.top(topic)
    yield* bench.equal("the offset before the first one", before.offset, 0)
    for (let offset = 1; offset <= 3; offset++) {
      const broker = offset % 2 === 0 ? one : other
      const { duplicate, position } = yield* broker.publish(topic, { key: `${offset}`, payload: "1" }, history)
      yield* bench.equal("the position", position, { epoch: before.epoch, offset })
      yield* bench.equal("duplicate", duplicate, false)
    }
    const first = yield* one.publish(another, { key: "1", payload: "1" }, history)
    yield* bench.equal("the first offset of another topic", first.position.offset, 1)
    yield* bench.equal("the top", yield* other.top(topic), { epoch: before.epoch, offset: 3 })
  }),

  law("a key that is known changes nothing, and answers where it was", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const [topic, another] = [yield* bench.topic, yield* bench.topic]
    const { position } = yield* one.publish(topic, { key: "a", payload: "1" }, history)
    yield* one.publish(topic, { key: "b", payload: "2" }, history)
    yield* bench.equal("the answer", yield* other.publish(topic, { key: "a", payload: "3" }, history), { position, duplicate: true })
    yield* bench.equal("the top", (yield* one.top(topic)).offset, 2)
    const read = yield* one.read(topic, { ...position, offset: 0 }, 10)
    yield* bench.equal("what is kept", read.entries.map((entry) => entry.payload), ["1", "2"])
    const elsewhere = yield* one.publish(another, { key: "a", payload: "1" }, history)
    yield* bench.equal("duplicate in another topic", elsewhere.duplicate, false)
  }),

  law("a key is applied once, however many publish under it at once", function*(bench) {
    const brokers = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    const answers = yield* Effect.forEach(
      Array.from({ length: 20 }, (_, i) => brokers[i % 2]),
      (broker) => broker.publish(topic, { key: "a", payload: "1" }, history),
      { concurrency: "unbounded" }
    )
    yield* bench.equal("how many were applied", answers.filter((answer) => !answer.duplicate).length, 1)
    yield* bench.equal("their offsets", Array.from(new Set(answers.map((answer) => answer.position.offset))), [1])
    yield* bench.equal("the top", (yield* brokers[0].top(topic)).offset, 1)
  }),

  law("a key is forgotten after its time", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    const brief = { ...history, keyTimeToLive: 200 }
    yield* broker.publish(topic, { key: "a", payload: "1" }, brief)
    yield* bench.pass(300)
    const again = yield* broker.publish(topic, { key: "a", payload: "2" }, brief)
    yield* bench.equal("duplicate", again.duplicate, false)
    yield* bench.equal("the offset", again.position.offset, 2)
  }),

  law("one process's publications are applied in the order in which they began", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    const payloads = Array.from({ length: 300 }, (_, i) => `${i}`)
    const answers = yield* Effect.forEach(payloads, (payload) => broker.publish(topic, { key: payload, payload }, history), {
      concurrency: "unbounded"
    })
    yield* bench.equal("the offsets", answers.map((answer) => answer.position.offset), payloads.map((_, i) => i + 1))
    const read = yield* broker.read(topic, { ...answers[0].position, offset: 0 }, 1000)
    yield* bench.equal("what is kept", read.entries.map((entry) => entry.payload), payloads)
  }),

  law("reading gives what is kept behind a position, in order, up to the limit", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const topic = yield* bench.topic
    const { epoch } = yield* one.top(topic)
    yield* bench.equal("a topic without publications", yield* one.read(topic, { epoch, offset: 0 }, 10), {
      epoch,
      entries: [],
      oldest: 1,
      top: 0
    })
    for (let i = 1; i <= 5; i++) yield* one.publish(topic, { key: `k${i}`, payload: `${i}` }, history)
    const offsets = (offset: number, limit: number, of = epoch) =>
      Effect.map(other.read(topic, { epoch: of, offset }, limit), ({ entries }) => entries.map((entry) => entry.offset))
    yield* bench.equal("all", yield* other.read(topic, { epoch, offset: 3 }, 10), {
      epoch,
      entries: [{ offset: 4, key: "k4", payload: "4" }, { offset: 5, key: "k5", payload: "5" }],
      oldest: 1,
      top: 5
    })
    yield* bench.equal("from the start", yield* offsets(0, 10), [1, 2, 3, 4, 5])
    yield* bench.equal("two", yield* offsets(1, 2), [2, 3])
    yield* bench.equal("behind the top", yield* offsets(5, 10), [])
    yield* bench.equal("above the top", yield* offsets(9, 10), [])
    yield* bench.equal("of another epoch", yield* offsets(4, 3, "another"), [1, 2, 3])
  }),

  law("the last publications are kept, as many as history says", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    const { epoch } = yield* broker.top(topic)
    for (let i = 1; i <= 20; i++) yield* broker.publish(topic, { key: `${i}`, payload: `${i}` }, { ...history, size: 7 })
    const read = yield* broker.read(topic, { epoch, offset: 0 }, 100)
    yield* bench.equal("what is kept", read.entries.map((entry) => entry.offset), [14, 15, 16, 17, 18, 19, 20])
    yield* bench.equal("the oldest", read.oldest, 14)
    yield* bench.equal("from within", (yield* broker.read(topic, { epoch, offset: 18 }, 100)).entries.map((entry) => entry.offset), [19, 20])
  }),

  law("a publication is kept for its time, and the count for ever", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    const brief = { ...history, timeToLive: 400, keyTimeToLive: 100 }
    const { epoch } = yield* broker.top(topic)
    yield* broker.publish(topic, { key: "1", payload: "1" }, brief)
    yield* bench.pass(250)
    yield* broker.publish(topic, { key: "2", payload: "2" }, brief)
    yield* bench.pass(250)
    const half = yield* broker.read(topic, { epoch, offset: 0 }, 10)
    yield* bench.equal("what is kept for longer", half.entries.map((entry) => entry.offset), [2])
    yield* bench.equal("the oldest", half.oldest, 2)
    yield* bench.pass(400)
    const none = { epoch, entries: [], oldest: 3, top: 2 }
    yield* bench.equal("what is kept", yield* broker.read(topic, { epoch, offset: 0 }, 10), none)
    yield* bench.equal("what is behind the top", yield* broker.read(topic, { epoch, offset: 2 }, 10), none)
    yield* bench.equal("the top", yield* broker.top(topic), { epoch, offset: 2 })
    const next = yield* broker.publish(topic, { key: "3", payload: "3" }, brief)
    yield* bench.equal("the next position", next.position, { epoch, offset: 3 })
    yield* bench.equal("what is kept then", (yield* broker.read(topic, { epoch, offset: 2 }, 10)).entries.length, 1)
  }),

  law("a topic without history counts, and keeps nothing", function*(bench) {
    const broker = yield* bench.broker
    const topic = yield* bench.topic
    const none = { ...history, size: 0 }
    const { position } = yield* broker.publish(topic, { key: "1", payload: "1" }, none)
    yield* bench.equal("duplicate", (yield* broker.publish(topic, { key: "1", payload: "1" }, none)).duplicate, true)
    yield* broker.publish(topic, { key: "2", payload: "2" }, none)
    yield* bench.equal("what is kept", yield* broker.read(topic, { ...position, offset: 0 }, 10), {
      epoch: position.epoch,
      entries: [],
      oldest: 3,
      top: 2
    })
  }),

  law("names and keys are any text, and payloads any JSON", function*(bench) {
    const [one, other] = [yield* bench.broker, yield* bench.broker]
    const prefix = yield* bench.topic
    const ears = yield* bench.listen(other)
    for (const text of texts) {
      const topic = prefix + text
      yield* other.subscribe(topic)
      const payload = JSON.stringify({ text, long: "x".repeat(70_000) })
      const { position } = yield* one.publish(topic, { key: text, payload }, history)
      yield* bench.equal(`the offset in ${JSON.stringify(topic)}`, position.offset, 1)
      const { entries } = yield* other.read(topic, { ...position, offset: 0 }, 10)
      yield* bench.claim(
        `${JSON.stringify(topic)} keeps another key or payload than was published`,
        entries.length === 1 && entries[0].key === text && entries[0].payload === payload
      )
      yield* bench.equal("duplicate", (yield* one.publish(topic, { key: text, payload: "1" }, history)).duplicate, true)
      yield* bench.hears(ears, topic, [payload])
      const member = { id: `${topic}/id`, member: text, payload: JSON.stringify(text) }
      yield* one.enter(topic, member)
      yield* bench.equal("who is present", yield* other.members(topic, 10), { count: 1, members: [member] })
    }
  })
]
