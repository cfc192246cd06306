/** What goes wrong elsewhere, each with our server and our client. */
import { assert, describe, it } from "@effect/vitest"
import { Broker, Topic, TopicClient, Topics } from "@effect-ws/core/realtime"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as TestBroker from "../../src/testing/TestBroker.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import { eventually } from "../support/Scripted.ts"
import { serve, type Server } from "../support/TopicsWire.ts"

const Room = Topic.make("room/:id", {
  publication: Schema.Int,
  member: Schema.Struct({ name: Schema.String }),
  snapshot: Schema.Int,
  history: { size: 5000 }
})
const room = { id: "1" }

/** A client of the server that is there when it connects. */
const clientOf = (which: () => Server, options: { readonly token?: Effect.Effect<string>; readonly keepAlive?: false } = {}) =>
  Effect.provideService(
    TopicClient.make("ws://any.example/", options),
    WebSocketClient.Connector,
    WebSocketClient.Connector.of({
      open: (url, options) => Effect.suspend(() => Context.getUnsafe(which().context, WebSocketClient.Connector).open(url, options))
    })
  ).pipe(
    // The clock does not move at the end, and a closing handshake would wait for it.
    Effect.tap(Effect.addFinalizer(() => testServer(which()).kill))
  )

const testServer = ({ context }: Server) => Context.get(context, TestServer.TestServer)
/** Cuts all connections. */
const cut = (server: Server) => Effect.flatMap(testServer(server).links, (links) => Effect.forEach(links, (link) => link.reset, { discard: true }))

/** The values that a subscriber gets; anything else is an error. */
const values = <E>(client: TopicClient.TopicClient<E>, options?: TopicClient.SubscribeOptions) =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<number>()
    const begun = yield* Queue.unbounded<void>()
    yield* Stream.runForEach(client.subscribe(Room, room, options), (event) => {
      if (event._tag === "Publication") return Queue.offer(queue, event.value)
      if (event._tag === "Subscribed") return Queue.offer(begun, undefined)
      return Effect.die(new Error(`a ${event._tag}`))
    }).pipe(Effect.forkScoped({ startImmediately: true }))
    yield* eventually(Queue.take(begun))
    return { next: (count: number) => eventually(Queue.takeN(queue, count)), rest: Queue.clear(queue) }
  })

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const publishAll = (server: Server, from: number, to: number) =>
  server.run(Effect.forEach(range(from, to), (n) => Topics.publish(Room, room, n), { discard: true }))

const alone = (options: Parameters<typeof serve>[2] = {}, route = Topics.handle([Topics.serve(Room)])) =>
  Effect.gen(function*() {
    const store = yield* Broker.makeMemoryStore
    return { store, server: yield* serve(yield* store.broker, route, options) }
  })

describe("what goes wrong elsewhere", () => {
  it.effect("recovery works although the reconnect is quick, and before the first publication", () =>
    Effect.gen(function*() {
      const { server } = yield* alone()
      const client = yield* clientOf(() => server)
      const subscriber = yield* values(client)
      // Nothing was ever published, and the connection is lost three times in a row.
      for (let i = 0; i < 3; i++) yield* cut(server)
      yield* publishAll(server, 1, 10)
      assert.deepStrictEqual(yield* subscriber.next(10), range(1, 10))
    }))

  it.effect("recovery works after a long idle time, however old the position is", () =>
    Effect.gen(function*() {
      const { server } = yield* alone()
      const client = yield* clientOf(() => server, { keepAlive: false })
      const subscriber = yield* values(client)
      yield* publishAll(server, 1, 3)
      assert.deepStrictEqual(yield* subscriber.next(3), [1, 2, 3])
      // All that was published is long forgotten, its position is not.
      yield* TestClock.adjust("3 days")
      yield* cut(server)
      yield* publishAll(server, 4, 6)
      assert.deepStrictEqual(yield* subscriber.next(3), [4, 5, 6])
    }))

  it.effect("nothing is lost with the server that dies: another one goes on", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const route = Topics.handle([Topics.serve(Room)])
      const first = yield* TestBroker.make(store.broker)
      const servers = [yield* serve(first.broker, route), yield* serve(yield* store.broker, route)]
      let at = 0
      const client = yield* clientOf(() => servers[at])
      const subscriber = yield* values(client)
      yield* publishAll(servers[1], 1, 200)
      yield* subscriber.next(100)
      at = 1
      yield* first.kill
      yield* testServer(servers[0]).kill
      yield* publishAll(servers[1], 201, 400)
      assert.deepStrictEqual(yield* subscriber.next(300), range(101, 400))
    }))

  it.effect("what was recovered is not recovered again", () =>
    Effect.gen(function*() {
      const { server } = yield* alone()
      const client = yield* clientOf(() => server)
      const subscriber = yield* values(client)
      for (let round = 0; round < 4; round++) {
        yield* cut(server)
        yield* publishAll(server, round * 5 + 1, round * 5 + 5)
        assert.deepStrictEqual(yield* subscriber.next(5), range(round * 5 + 1, round * 5 + 5))
      }
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* subscriber.rest, [])
    }))

  it.effect("a request is answered after the broker was away", () =>
    Effect.gen(function*() {
      const store = yield* Broker.makeMemoryStore
      const { broker, cut, mend } = yield* TestBroker.make(store.broker)
      const server = yield* serve(broker, Topics.handle([Topics.serve(Room)]))
      const client = yield* clientOf(() => server)
      const subscriber = yield* values(client)
      yield* cut
      const publishing = yield* Effect.forkChild(client.publish(Room, room, 1), { startImmediately: true })
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(publishing.pollUnsafe())
      yield* mend
      assert.deepInclude(yield* eventually(Fiber.join(publishing)), { offset: 1 })
      assert.deepStrictEqual(yield* subscriber.next(1), [1])
    }))

  it.effect("a subscriber that is slow for long misses nothing that is kept", () =>
    Effect.gen(function*() {
      const { server } = yield* alone({ test: { link: { capacity: 4000, delay: 5 } } })
      const client = yield* clientOf(() => server)
      const subscriber = yield* values(client)
      // Far more than the connection takes.
      yield* publishAll(server, 1, 3000)
      assert.deepStrictEqual(yield* subscriber.next(3000), range(1, 3000))
    }), 60_000)

  it.effect("joining many to one topic tells each of the others once", () =>
    Effect.gen(function*() {
      const { server } = yield* alone()
      const watching = yield* clientOf(() => server)
      const states = yield* Queue.unbounded<number>()
      yield* Stream.runForEach(watching.presence(Room, room), ({ count }) => Queue.offer(states, count)).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
      const members = 300
      yield* Effect.forEach(range(1, members), (n) =>
        Effect.flatMap(clientOf(() => server), (client) =>
          Effect.forkScoped(client.join(Room, room, `m${n}`, { name: `m${n}` }), { startImmediately: true })), { discard: true })
      let told = 0
      for (let count = 0; count < members; told++) count = yield* eventually(Queue.take(states))
      // In lumps, not one by one.
      assert.isBelow(told, 30)
    }), 60_000)

  it.effect("many who come back at once are served by history, not by the program", () =>
    Effect.gen(function*() {
      let snapshots = 0
      const { server } = yield* alone({}, Topics.handle([Topics.serve(Room, { snapshot: () => Effect.sync(() => ++snapshots) })]))
      yield* publishAll(server, 1, 10)
      const everybody = yield* Effect.forEach(range(1, 50), () =>
        Effect.gen(function*() {
          const client = yield* clientOf(() => server)
          const seen: Array<number> = []
          yield* Stream.runForEach(client.subscribe(Room, room, { snapshot: true }), (event) =>
            Effect.sync(() => {
              if (event._tag === "Publication") seen.push(event.value)
            })).pipe(Effect.forkScoped({ startImmediately: true }))
          return seen
        }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(snapshots, 50)
      yield* cut(server)
      yield* publishAll(server, 11, 110)
      yield* Effect.repeat(TestClock.adjust("1 second"), { times: 5 })
      for (const seen of everybody) assert.deepStrictEqual(seen, range(11, 110))
      assert.strictEqual(snapshots, 50)
    }), 60_000)

  it.effect("each attempt has a token of its own, and a token that expires is replaced on the connection", () =>
    Effect.gen(function*() {
      const shown: Array<string> = []
      const route = Topics.handle([Topics.serve(Room)], {
        authenticate: {
          token: (token) =>
            Effect.map(DateTime.now, (now) => {
              shown.push(token)
              return { claims: token, expires: DateTime.add(now, { minutes: 5 }) }
            })
        }
      })
      const { server } = yield* alone({}, route)
      let count = 0
      const client = yield* clientOf(() => server, { token: Effect.sync(() => `t${++count}`), keepAlive: false })
      const subscriber = yield* values(client)
      yield* Effect.repeat(TestClock.adjust("1 minute"), { times: 11 })
      assert.deepStrictEqual(shown, ["t1", "t2", "t3"])
      assert.lengthOf(yield* testServer(server).links, 1)
      yield* cut(server)
      yield* publishAll(server, 1, 1)
      assert.deepStrictEqual(yield* subscriber.next(1), [1])
      assert.deepStrictEqual(shown, ["t1", "t2", "t3", "t4"])
    }))

  it.effect("a client that is not let in tries once more with a fresh token, and then no more", () =>
    Effect.gen(function*() {
      const shown: Array<string> = []
      const route = Topics.handle([Topics.serve(Room)], {
        authenticate: {
          token: (token) => Effect.andThen(Effect.sync(() => shown.push(token)), Effect.fail(new Topics.Unauthorized({ reason: "stale" })))
        }
      })
      const { server } = yield* alone({}, route)
      let count = 0
      const client = yield* clientOf(() => server, { token: Effect.sync(() => `t${++count}`) })
      const error = yield* Effect.flip(eventually(Stream.runDrain(client.subscribe(Room, room))))
      assert.strictEqual(error._tag, "TopicError")
      yield* Effect.repeat(TestClock.adjust("1 minute"), { times: 10 })
      assert.deepStrictEqual(shown, ["t1", "t2"])
    }))
})
