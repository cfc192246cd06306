/**
 * Two servers on one store, through brokers that delay, fail, lose, tell twice and are cut off; subscribers of both kinds; and a
 * log of what was applied. Each stream must be the log, with a gap only where history was cut or data was lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, type TopicEvent, Topics } from "@effect-ws/core/realtime"
import * as Message from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { LiveTopic, type Peer as TopicPeer, Subscription } from "../../../src/realtime/hub/LiveTopic.ts"
import { RecentBudget } from "../../../src/realtime/hub/Recent.ts"
import { Choose } from "../../../src/testing/Choose.ts"
import * as TestBroker from "../../../src/testing/TestBroker.ts"
import { TestServer } from "../../../src/testing/TestServer.ts"
import { type Peer, serve, type Server, settle, type ToClient } from "../../support/TopicsWire.ts"

const size = 30
const Log = Topic.make("log/:id", { publication: Schema.String, history: { size, timeToLive: "1 hour" } })
const a = { id: "a" }
const route = Topics.handle([Topics.serve(Log)], { outboundHighWaterMark: 2048 })
/** At the end of the run of JavaScript. */
const soon = (task: () => void): void => void Promise.resolve().then(task)


type Position = Broker.Position
type Seen = TopicEvent.TopicEvent<string>

/** What was applied, by epoch. */
class Applied {
  readonly epochs: Array<string> = []
  readonly values = new Map<string, Array<string>>()
  readonly keys = new Set<string>()

  add({ epoch, offset }: Position, key: string, payload: string): void {
    if (!this.values.has(epoch)) {
      this.epochs.push(epoch)
      this.values.set(epoch, [])
    }
    const values = this.values.get(epoch)!
    assert.strictEqual(offset, values.length + 1)
    values.push(JSON.parse(payload))
    assert.isFalse(this.keys.has(`${epoch} ${key}`), `${key} was applied twice`)
    this.keys.add(`${epoch} ${key}`)
  }

  top(epoch: string): number {
    return this.values.get(epoch)?.length ?? 0
  }
}

const recording = (broker: Broker.Broker["Service"], applied: Applied) =>
  Broker.Broker.of({
    ...broker,
    publish: (topic, entry, history) =>
      Effect.tap(broker.publish(topic, entry, history), ({ duplicate, position }) =>
        Effect.sync(() => duplicate || applied.add(position, entry.key, entry.payload)))
  })

/** Checks a stream against the log; where it stands at its end. */
const follow = (events: ReadonlyArray<Seen>, applied: Applied): Position => {
  let at: Position | undefined
  for (const event of events) {
    switch (event._tag) {
      case "Subscribed":
        at = event.position
        break
      case "Publication": {
        const { position: { epoch, offset } } = event
        assert.deepStrictEqual({ epoch, offset }, { epoch: at!.epoch, offset: at!.offset + 1 })
        assert.strictEqual(event.value, applied.values.get(epoch)![offset - 1])
        at = event.position
        break
      }
      case "Gap":
        assert.deepStrictEqual(event.from, at)
        if (event.reason === "epoch") assert.notStrictEqual(event.from.epoch, event.to.epoch)
        else {
          assert.strictEqual(event.from.epoch, event.to.epoch)
          assert.isAbove(event.to.offset, event.from.offset)
          // Those that are kept are not left out.
          assert.isAtMost(event.to.offset, applied.top(event.to.epoch) - size)
        }
        at = event.to
        break
      case "Snapshot":
        assert.fail("there is none")
    }
  }
  return at!
}

const eventOf = (message: ToClient): Seen | undefined => {
  switch (message.type) {
    case "publication": {
      const { epoch, key, offset, value } = message
      return { _tag: "Publication", position: { epoch, offset }, key, value: String(value) }
    }
    case "gap":
      return { _tag: "Gap", ...message.gap }
    default:
      return undefined
  }
}

/** A client that remembers what it saw, and comes back where it was. */
class Client {
  readonly events: Array<Seen> = []
  private peer: Peer | undefined
  private readonly server: Server

  constructor(server: Server) {
    this.server = server
  }

  get position(): Position | undefined {
    const last = this.events.at(-1)
    return last === undefined ? undefined : last._tag === "Gap" ? last.to : last.position
  }

  readonly subscribe = Effect.suspend(() => {
    const since = this.position
    const peer = this.peer!
    return peer.say({ type: "subscribe", id: 1, topic: "log/a", ...(since && { since }) })
  })

  readonly come = Effect.gen({ self: this }, function*() {
    this.peer = yield* this.server.connect
    yield* this.subscribe
  })

  readonly read = Effect.gen({ self: this }, function*() {
    if (this.peer === undefined) return
    for (const message of yield* this.peer.arrived) {
      if (message.type === "subscribed") {
        if (this.events.length === 0) this.events.push({ _tag: "Subscribed", position: message.position, top: message.top })
        else if (message.gap !== undefined) this.events.push({ _tag: "Gap", ...message.gap })
        assert.deepStrictEqual(message.position, this.position)
      } else if (message.type === "failed") {
        // The broker failed: nothing is subscribed.
        yield* Effect.andThen(TestClock.adjust("100 millis"), this.subscribe)
      } else {
        const event = eventOf(message)
        if (event !== undefined) this.events.push(event)
      }
    }
  })
}

const run = (seed: number) =>
  Effect.gen(function*() {
    const choose = new Choose(seed)
    const applied = new Applied()
    const store = yield* Broker.makeMemoryStore
    const chance = (rate: number) => choose.below(100) < rate * 100
    const brokers = yield* Effect.forEach([1, 2], (n) =>
      TestBroker.make(Effect.map(store.broker, (broker) => recording(broker, applied)), {
        seed: seed * 2 + n,
        delay: chance(0.5) ? "200 millis" : 0,
        fail: 0.1,
        interrupt: 0.1,
        lose: 0.1,
        double: 0.1
      }))
    const servers = yield* Effect.forEach(brokers, ({ broker }) =>
      serve(broker, route, { limits: { recent: { count: choose.between(0, 40) } }, test: { link: { capacity: 2048 } } }))
    const clients = servers.flatMap((server) => [new Client(server), new Client(server)])
    yield* Effect.forEach(clients, ({ come }) => come)
    const local: Array<Seen> = []
    yield* Topics.subscribe(Log, a).pipe(
      Stream.runForEach((event) => Effect.sync(() => local.push(event))),
      // The broker may fail at its beginning.
      Effect.retry(Schedule.spaced("1 second")),
      servers[0].run,
      Effect.forkScoped({ startImmediately: true })
    )
    let serial = 0
    const publish = (server: Server) => {
      const n = serial++
      const attempt = server.run(Topics.publish(Log, a, `${n} ${"x".repeat(200)}`, { key: String(n) }))
      return Effect.forkChild(Effect.ignore(Effect.retry(attempt, { times: 3 })), { startImmediately: true })
    }
    for (let step = 0; step < 60; step++) {
      const at = choose.between(0, 1)
      const server = servers[at]
      switch (choose.between(0, 9)) {
        case 0:
          yield* Effect.forEach(clients, ({ read }) => read)
          break
        case 1:
          yield* brokers[at].cut
          break
        case 2:
          yield* brokers[at].mend
          break
        case 3: {
          const { links } = yield* Effect.provideContext(TestServer, server.context)
          const [link] = yield* links
          yield* chance(0.5) ? link.stall("server") : link.resume("server")
          break
        }
        case 4:
          if (chance(0.2)) yield* store.lose
          break
        default:
          for (let n = choose.between(1, 12); n > 0; n--) yield* publish(server)
      }
      yield* TestClock.adjust(choose.between(0, 300))
    }
    for (const { calm, mend } of brokers) yield* Effect.andThen(calm, mend)
    for (const { context } of servers) {
      const { links } = yield* Effect.provideContext(TestServer, context)
      for (const link of yield* links) yield* link.resume("server")
    }
    yield* publish(servers[0])
    for (let round = 0; round < 20; round++) {
      yield* Effect.forEach(clients, ({ read }) => read)
      yield* TestClock.adjust("1 second")
      yield* settle
    }
    const { epoch, offset } = yield* brokers[0].broker.top("log/a")
    for (const client of clients) assert.deepStrictEqual(follow(client.events, applied), { epoch, offset })
    assert.deepStrictEqual(follow(local, applied), { epoch, offset })
  })

describe("a topic on several servers, whatever goes wrong", () => {
  it.effect.each(Array.from({ length: 8 }, (_, seed) => seed))("is one log for all: seed %d", (seed) => run(seed))
})

describe("what is heard of a topic", () => {
  const entry = (offset: number) => ({ offset, key: String(offset), payload: `"${offset}"` })

  /** A topic whose broker answers what the test says. */
  const heardBy = (answer: Broker.Read, ask: (question: Effect.Effect<void>) => void = Effect.runSync) => {
    const asked: Array<Position> = []
    const topic = new LiveTopic("log/a", Log.history, {
      budget: new RecentBudget(1e6),
      windowCount: 100,
      now: () => 0,
      soon,
      read: (_, since) => Effect.sync(() => {
        asked.push(since)
        return answer
      }),
      ask,
      askLater: () => {},
      counts: { deliveries: 0, publications: 0, behind: 0 }
    })
    topic.open({ epoch: "e", offset: 0 })
    return { topic, asked }
  }
  const known = (topic: LiveTopic, position: Position) => topic.known(position, 10)?.entries.map(({ offset }) => offset)

  it("is taken where it is next, and nothing else", () => {
    const { asked, topic } = heardBy({ epoch: "e", entries: [], oldest: 1, top: 2 })
    for (const offset of [1, 1, 2, 1]) topic.hear("e", entry(offset))
    assert.deepStrictEqual(topic.position, { epoch: "e", offset: 2 })
    assert.deepStrictEqual(known(topic, { epoch: "e", offset: 0 }), [1, 2])
    assert.deepStrictEqual(asked, [])
  })

  it("of another epoch is a reason to ask, whether that is newer or was late", () => {
    const late = heardBy({ epoch: "e", entries: [], oldest: 1, top: 0 })
    late.topic.hear("older", entry(1))
    assert.deepStrictEqual(late.asked, [{ epoch: "e", offset: 0 }])
    assert.deepStrictEqual(late.topic.position, { epoch: "e", offset: 0 })

    const newer = heardBy({ epoch: "f", entries: [entry(4), entry(5)], oldest: 4, top: 5 })
    newer.topic.hear("f", entry(1))
    assert.deepStrictEqual(newer.topic.position, { epoch: "f", offset: 5 })
    const gap = newer.topic.known({ epoch: "e", offset: 0 }, 10)?.gap
    assert.deepStrictEqual(gap, { _tag: "Gap", reason: "epoch", from: { epoch: "e", offset: 0 }, to: { epoch: "f", offset: 3 } })
  })

  it("behind a hole is read, and what is missing for good is a gap", () => {
    const { asked, topic } = heardBy({ epoch: "e", entries: [entry(8), entry(9)], oldest: 8, top: 9 })
    topic.hear("e", entry(1))
    topic.hear("e", entry(9))
    assert.deepStrictEqual(asked, [{ epoch: "e", offset: 1 }])
    assert.deepStrictEqual(topic.position, { epoch: "e", offset: 9 })
    assert.strictEqual(topic.known({ epoch: "e", offset: 1 }, 10)?.gap?.to.offset, 7)
    assert.deepStrictEqual(known(topic, { epoch: "e", offset: 7 }), [8, 9])
  })

  it("does not end with a broker that tells of what it cannot show", () => {
    const { asked, topic } = heardBy({ epoch: "e", entries: [], oldest: 1, top: 0 })
    topic.hear("e", entry(5))
    assert.lengthOf(asked, 1)
    assert.deepStrictEqual(topic.position, { epoch: "e", offset: 0 })
    const lying = heardBy({ epoch: "e", entries: [], oldest: 1, top: 5 })
    lying.topic.hear("e", entry(5))
    assert.lengthOf(lying.asked, 1)
    assert.deepStrictEqual(lying.topic.position, { epoch: "e", offset: 0 })
  })

  it.effect("is asked for where somebody who comes back shows that it is missing", () =>
    Effect.gen(function*() {
      const questions: Array<Effect.Effect<void>> = []
      const answer = { epoch: "e", entries: [entry(1), entry(2), entry(3)], oldest: 1, top: 3 }
      const { asked, topic } = heardBy(answer, (question) => questions.push(question))
      topic.open({ epoch: "e", offset: 2 })
      const { entries } = yield* topic.after({ epoch: "e", offset: 0 }, 10)
      assert.deepStrictEqual(entries.map(({ offset }) => offset), [1, 2])
      assert.lengthOf(questions, 1)
      yield* questions[0]
      assert.deepStrictEqual(topic.position, { epoch: "e", offset: 3 })
      assert.deepStrictEqual(asked, [{ epoch: "e", offset: 0 }, { epoch: "e", offset: 2 }])
      // What was read is held.
      assert.deepStrictEqual(known(topic, { epoch: "e", offset: 0 }), [1, 2, 3])
    }))

  it.effect("who comes from a server that knows of the next epoch gets no gap", () =>
    Effect.gen(function*() {
      const { asked, topic } = heardBy({ epoch: "f", entries: [entry(1), entry(2)], oldest: 1, top: 2 })
      assert.deepStrictEqual(yield* topic.resolve({ epoch: "f", offset: 1 }), { position: { epoch: "f", offset: 1 }, gap: undefined })
      assert.lengthOf(asked, 1)
      // Those who come from the epoch before are many, and known by now.
      for (let n = 0; n < 3; n++) {
        const { gap, position } = yield* topic.resolve({ epoch: "e", offset: 1 })
        assert.deepStrictEqual([gap?.reason, position], ["epoch", { epoch: "f", offset: 0 }])
      }
      for (let n = 0; n < 3; n++) yield* topic.resolve({ epoch: "older", offset: 1 })
      assert.lengthOf(asked, 2)
    }))

  it.effect("who asks for what is known here costs no question", () =>
    Effect.gen(function*() {
      const { asked, topic } = heardBy({ epoch: "e", entries: [], oldest: 1, top: 2 })
      for (const offset of [1, 2]) topic.hear("e", entry(offset))
      for (const offset of [0, 1, 2]) {
        assert.deepStrictEqual(yield* topic.resolve({ epoch: "e", offset }), { position: { epoch: "e", offset }, gap: undefined })
      }
      assert.deepStrictEqual(yield* topic.resolve("start"), { position: { epoch: "e", offset: 0 }, gap: undefined })
      assert.deepStrictEqual(asked, [])
      yield* topic.resolve({ epoch: "e", offset: 3 })
      assert.lengthOf(asked, 1)
    }))

  it("is doubted once at a time", () => {
    const questions: Array<Effect.Effect<void>> = []
    const { asked, topic } = heardBy({ epoch: "e", entries: [], oldest: 1, top: 0 }, (question) => questions.push(question))
    for (let n = 0; n < 5; n++) topic.doubt()
    assert.lengthOf(questions, 1)
    Effect.runSync(questions[0])
    assert.lengthOf(asked, 1)
    topic.doubt()
    assert.lengthOf(questions, 2)
  })

  it.effect("those who wait for a broker that fails fail together, and read it when it is back", () =>
    Effect.gen(function*() {
      let isDown = true
      let reads = 0
      const nothing = { epoch: "e", top: 9, oldest: 1, entries: [{ offset: 1, key: "k", payload: "1" }] }
      const around = {
        budget: new RecentBudget(1000),
        windowCount: 5,
        now: () => 0,
        soon,
        read: () =>
          Effect.suspend(() => {
            reads++
            const failure = new Broker.BrokerError({ operation: "read", applied: "no" })
            return Effect.andThen(Effect.sleep("5 seconds"), isDown ? failure : Effect.succeed(nothing))
          }),
        ask: () => {},
        askLater: () => {},
        counts: { deliveries: 0, publications: 0, behind: 0 }
      }
      const topic = new LiveTopic("t", { size: 10, timeToLive: 1000, keyTimeToLive: 1000 }, around)
      topic.open({ epoch: "e", offset: 9 })
      const after = (offset: number) => topic.after({ epoch: "e", offset }, 1)
      const failures = yield* Effect.forkChild(
        Effect.forEach([0, 1, 2, 3], (offset) => Effect.flip(after(offset)), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* settle
      yield* TestClock.adjust("5 seconds")
      yield* settle
      assert.isDefined(failures.pollUnsafe())
      assert.strictEqual(reads, 1)
      isDown = false
      const read = yield* Effect.forkChild(after(0), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* settle
      assert.isTrue(read.pollUnsafe()?._tag === "Success")
    }))
})

describe("who is told", () => {
  const entry = (offset: number) => ({ offset, key: String(offset), payload: String(offset) })

  /** A topic, and subscribers that have room for so many messages. */
  const makeTopic = () => {
    const counts = { deliveries: 0, publications: 0, behind: 0 }
    const topic = new LiveTopic("log/a", Log.history, {
      budget: new RecentBudget(1e6),
      windowCount: 100,
      now: () => 0,
      soon,
      read: () => Effect.succeed({ epoch: "f", entries: [], oldest: 1, top: 0 }),
      ask: Effect.runSync,
      askLater: () => {},
      counts
    })
    topic.open({ epoch: "e", offset: 0 })
    const told: Array<string> = []
    const subscriber = (id: string, room = Infinity) => {
      const behind: Array<number> = []
      const peer: TopicPeer = {
        id,
        offer: ({ message }) => {
          if (room === 0) return false
          room--
          told.push(`${id} ${JSON.parse(String(message)).offset ?? "signal"}`)
          return true
        },
        fellBehind: ({ offset }) => behind.push(offset)
      }
      const subscription = new Subscription(topic, peer, topic.position)
      return { behind, subscription, begins: () => topic.attach(subscription) }
    }
    return { counts, subscriber, told, topic, hear: (...offsets: Array<number>) => offsets.forEach((offset) => topic.hear("e", entry(offset))) }
  }
  const runEnds = Promise.resolve()

  it("gets all that was published in a run of JavaScript one after the other, once it ends", async () => {
    const { counts, hear, subscriber, told } = makeTopic()
    for (const id of ["a", "b"]) assert.isTrue(subscriber(id).begins())
    hear(1, 2)
    assert.deepStrictEqual(told, [])
    await runEnds
    assert.deepStrictEqual(told, ["a 1", "a 2", "b 1", "b 2"])
    hear(3)
    await runEnds
    assert.deepStrictEqual(told.slice(4), ["a 3", "b 3"])
    assert.deepStrictEqual(counts, { deliveries: 6, publications: 3, behind: 0 })
  })

  it("falls behind at the publication that it had no room for", async () => {
    const { counts, hear, subscriber, told } = makeTopic()
    const full = subscriber("full", 1)
    full.begins()
    subscriber("free").begins()
    hear(1, 2, 3)
    await runEnds
    assert.deepStrictEqual(told, ["full 1", "free 1", "free 2", "free 3"])
    assert.deepStrictEqual(full.behind, [1])
    assert.strictEqual(full.subscription.at, -1)
    assert.deepStrictEqual(counts, { deliveries: 4, publications: 3, behind: 1 })
  })

  it("is told neither what is older than its beginning, nor what is newer than its end", async () => {
    const { hear, subscriber, told, topic } = makeTopic()
    const first = subscriber("first")
    first.begins()
    hear(1)
    assert.isTrue(subscriber("second").begins())
    hear(2)
    topic.remove(first.subscription)
    hear(3)
    await runEnds
    assert.deepStrictEqual(told, ["first 1", "first 2", "second 2", "second 3"])
  })

  it("gets a signal behind what was published before it", async () => {
    const { hear, subscriber, told, topic } = makeTopic()
    subscriber("a").begins()
    hear(1)
    topic.pass(Message.prepare("{}"), "somebody")
    hear(2)
    await runEnds
    assert.deepStrictEqual(told, ["a 1", "a signal", "a 2"])
  })

  it("gets what was published before the broker lost its data, and falls behind once", async () => {
    const { counts, hear, subscriber, told, topic } = makeTopic()
    const full = subscriber("full", 1)
    const free = subscriber("free")
    full.begins()
    free.begins()
    hear(1, 2)
    topic.hear("f", entry(1))
    assert.deepStrictEqual(told, ["full 1", "free 1", "free 2"])
    assert.deepStrictEqual([full.behind, free.behind], [[1], [2]])
    assert.strictEqual(counts.behind, 2)
    await runEnds
    assert.lengthOf(told, 3)
  })

  it("gets what was published before the topic is given up", async () => {
    const { hear, subscriber, told, topic } = makeTopic()
    subscriber("a").begins()
    hear(1)
    topic.close()
    await runEnds
    assert.deepStrictEqual(told, ["a 1"])
  })
})
