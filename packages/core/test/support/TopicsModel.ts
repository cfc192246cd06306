/**
 * Two servers of topics in memory, the clients of both, and everything that can go wrong, by a seed and on the test's clock. What the
 * clients see is compared with what the store told somebody who misses nothing.
 */
import { assert } from "@effect/vitest"
import { Broker, Topic, TopicClient, type TopicEvent, Topics } from "@effect-ws/core/realtime"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Choose } from "../../src/testing/Choose.ts"
import * as TestBroker from "../../src/testing/TestBroker.ts"
import type * as TestLink from "../../src/testing/TestLink.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import { NotConnected } from "../../src/WebSocketError.ts"
import { eventually } from "./Scripted.ts"
import { serve, type Server } from "./TopicsWire.ts"

export interface Options {
  readonly seed: number
  /** How often something happens. */
  readonly steps: number
  /** What happens to the brokers. */
  readonly faults?: Omit<TestBroker.Options, "seed">
  readonly history?: { readonly size: number; readonly timeToLive: number }
  /** How the links of all connections behave. */
  readonly link?: Omit<TestLink.Options, "seed">
}

const room = { id: "1" }
const name = "room/1"

interface Process {
  readonly broker: TestBroker.TestBroker
  readonly server: Server
  isAlive: boolean
}

type Since = Broker.Position | "start" | undefined

/** What a reader has seen, checked as it comes. */
interface Seen {
  readonly events: Array<TopicEvent.TopicEvent<number>>
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

interface Outcome {
  readonly key: string
  readonly value: number
  readonly exit: Exit.Exit<TopicClient.Acknowledged, unknown>
}

const text = ({ epoch, offset }: Broker.Position) => `${epoch}:${offset}`

export const model = Effect.fnUntraced(function*({ faults = {}, history = { size: 30, timeToLive: 20_000 }, link, seed, steps }: Options) {
  const Room = Topic.make("room/:id", { publication: Schema.Int, member: Schema.Int, history })
  const choose = new Choose(seed)
  const store = yield* Broker.makeMemoryStore
  const scope = yield* Effect.scope

  // --- what is true ------------------------------------------------------------------------

  const log = new Map<string, { readonly key: string; readonly value: number }>()
  const keys = new Map<string, Set<string>>()
  const oracle = yield* store.broker
  yield* oracle.subscribe(name)
  yield* Stream.runForEach(oracle.heard, (heard) =>
    Effect.sync(() => {
      if (heard._tag !== "Published") return
      const { entry: { key, offset, payload }, epoch } = heard
      assert.isFalse(log.has(text({ epoch, offset })))
      log.set(text({ epoch, offset }), { key, value: JSON.parse(payload) as number })
      const known = keys.get(epoch) ?? new Set()
      keys.set(epoch, known)
      assert.isFalse(known.has(key), `${key} was applied twice`)
      known.add(key)
    })).pipe(Effect.forkScoped({ startImmediately: true }))

  // --- servers -----------------------------------------------------------------------------

  let started = 0
  const start = Effect.gen(function*() {
    const broker = yield* TestBroker.make(store.broker, { ...faults, seed: seed * 100 + started++ })
    const server = yield* serve(broker.broker, Topics.handle([Topics.serve(Room)]), {
      test: { link: (index) => ({ ...link, seed: seed * 1000 + index }) }
    })
    return { broker, server, isAlive: true } satisfies Process as Process
  }).pipe(Scope.provide(scope))
  const processes = [yield* start, yield* start]

  const kill = (process: Process) =>
    Effect.andThen(process.broker.kill, Context.get(process.server.context, TestServer.TestServer).kill)
  const cutSome = (process: Process, which: () => boolean) =>
    Effect.flatMap(Context.get(process.server.context, TestServer.TestServer).links, (links) =>
      Effect.forEach(links, (link) => which() ? link.reset : Effect.void, { discard: true }))

  // Each attempt goes to one of the servers, as behind a balancer.
  const connector = WebSocketClient.Connector.of({
    open: (url, options) =>
      Effect.suspend(() => {
        const { server } = processes[choose.below(2)]
        return Context.getUnsafe(server.context, WebSocketClient.Connector).open(url, options)
      })
  })

  // --- clients -----------------------------------------------------------------------------

  const client = Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    return { scope, client: yield* Scope.provide(TopicClient.make("ws://any.example/"), scope) }
  }).pipe(Effect.provideService(WebSocketClient.Connector, connector), Scope.provide(scope))
  const clients = yield* Effect.all([client, client, client])
  // The clock does not move at the end, and closing handshakes would wait for it.
  yield* Effect.addFinalizer(() => Effect.forEach(processes, kill, { discard: true }))

  const check = Effect.fnUntraced(function*(seen: Seen["events"], event: TopicEvent.TopicEvent<number>) {
    const before = seen.at(-1)
    const at = before === undefined ? undefined : before._tag === "Gap" ? before.to : before.position
    seen.push(event)
    switch (event._tag) {
      case "Subscribed":
        assert.isUndefined(before)
        return
      case "Publication": {
        assert.strictEqual(text(event.position), text({ epoch: at!.epoch, offset: at!.offset + 1 }))
        assert.deepStrictEqual({ key: event.key, value: event.value }, log.get(text(event.position)))
        return
      }
      case "Gap": {
        assert.strictEqual(text(event.from), text(at!))
        assert.strictEqual(event.reason === "epoch", event.from.epoch !== event.to.epoch)
        assert.isTrue(event.reason === "epoch" || event.to.offset > event.from.offset)
        // What it leaves out is no longer kept.
        const { epoch, oldest } = yield* oracle.read(name, event.to, 1)
        if (epoch === event.to.epoch) assert.isAtMost(event.to.offset, oldest - 1)
        return
      }
      case "Snapshot":
        assert.fail("The family has none")
    }
  })

  const readers = new Set<Seen>()
  const read = (since: Since) =>
    Effect.gen(function*() {
      const { client } = clients[choose.below(clients.length)]
      const events: Seen["events"] = []
      // A reader with little room falls behind now and then.
      const stream = client.subscribe(Room, room, { since, bufferSize: choose.below(2) === 0 ? 2 : 1000 })
      const fiber = yield* Effect.forkIn(Stream.runForEach(stream, (event) => check(events, event)), scope, { startImmediately: true })
      readers.add({ events, fiber })
    })

  const outcomes: Array<Outcome> = []
  const publishing = new Set<Fiber.Fiber<unknown, unknown>>()
  let published = 0
  const publish = Effect.suspend(() => {
    const value = ++published
    const key = `k${value}`
    const { client } = clients[choose.below(clients.length)]
    const one = client.publish(Room, room, value, { key, timeout: choose.between(1, 60) * 1000 })
    const settled = Effect.map(Effect.exit(one), (exit) => outcomes.push({ key, value, exit }))
    return Effect.map(Effect.forkIn(settled, scope, { startImmediately: true }), (fiber) => publishing.add(fiber))
  })

  const joined = new Map<string, Scope.Closeable>()
  const join = Effect.suspend(() => {
    const at = choose.below(clients.length)
    const member = `m${at}`
    const before = joined.get(member)
    if (before !== undefined) {
      joined.delete(member)
      return Scope.close(before, Exit.void)
    }
    return Effect.gen(function*() {
      const own = yield* Scope.make()
      joined.set(member, own)
      yield* Effect.forkIn(Effect.exit(Scope.provide(clients[at].client.join(Room, room, member, at), own)), scope, { startImmediately: true })
    })
  })

  // --- what happens ------------------------------------------------------------------------

  const steps_: ReadonlyArray<readonly [number, () => Effect.Effect<unknown, unknown>]> = [
    [30, () => Effect.repeat(publish, { times: choose.below(8) })],
    [6, () => cutSome(processes[choose.below(2)], () => choose.below(3) === 0)],
    [4, () => {
      const at = choose.below(2)
      const process = processes[at]
      if (process.isAlive) {
        process.isAlive = false
        return kill(process)
      }
      return Effect.map(start, (next) => processes[at] = next)
    }],
    [4, () => processes[choose.below(2)].broker.cut],
    [8, () => processes[choose.below(2)].broker.mend],
    [6, () => read(choose.below(2) === 0 ? undefined : "start")],
    [4, () => {
      const seen = [...readers][choose.below(Math.max(1, readers.size))]
      if (seen === undefined) return Effect.void
      readers.delete(seen)
      const last = seen.events.at(-1)
      const since = last?._tag === "Gap" ? last.to : last?.position
      return Effect.andThen(Fiber.interrupt(seen.fiber), read(since))
    }],
    [4, () => join],
    [1, () => store.lose]
  ]
  const total = steps_.reduce((sum, [weight]) => sum + weight, 0)
  const happen = Effect.suspend(() => {
    let at = choose.below(total)
    for (const [weight, step] of steps_) {
      if (at < weight) return Effect.andThen(step(), TestClock.adjust(choose.below(4) === 0 ? choose.below(3000) : choose.below(60)))
      at -= weight
    }
    return Effect.void
  })

  yield* read(undefined)
  yield* read("start")
  yield* Effect.repeat(happen, { times: steps - 1 })

  // --- and then nothing does ---------------------------------------------------------------

  for (let at = 0; at < 2; at++) {
    if (!processes[at].isAlive) processes[at] = yield* start
    yield* processes[at].broker.calm
    yield* processes[at].broker.mend
  }
  yield* Effect.repeat(TestClock.adjust("1 second"), { times: 90 })
  yield* publish
  yield* TestClock.adjust("2 seconds")

  // Everybody is where the topic is, and nothing has gone wrong on the way.
  const top = yield* oracle.top(name)
  for (const { events, fiber } of readers) {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) yield* exit
    const last = events.at(-1)!
    assert.strictEqual(text(last._tag === "Gap" ? last.to : last.position), text(top))
  }
  // Whoever published knows what became of it.
  for (const fiber of publishing) assert.isDefined(fiber.pollUnsafe())
  assert.lengthOf(outcomes, published)
  let acknowledged = 0
  for (const { exit, key, value } of outcomes) {
    if (Exit.isSuccess(exit)) {
      acknowledged++
      assert.deepStrictEqual(log.get(text(exit.value)), { key, value })
      continue
    }
    const error = Exit.findErrorOption(exit)
    const failure = error._tag === "Some" ? error.value : undefined
    if (failure instanceof NotConnected) {
      for (const known of keys.values()) assert.isFalse(known.has(key), `${key} was applied, and its publisher was told that it was not`)
    } else assert.instanceOf(failure, TopicClient.PublishUnknown)
  }
  // Who is present is who joined.
  const present = yield* eventually(Stream.runHead(clients[0].client.presence(Room, room)))
  const { members } = yield* Effect.fromOption(present)
  assert.deepStrictEqual([...members.keys()].toSorted(), [...joined.keys()].toSorted())
  const gaps = [...readers].flatMap(({ events }) => events.filter(({ _tag }) => _tag === "Gap"))
  return { published, acknowledged, gaps: gaps.length }
})
