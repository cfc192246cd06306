/**
 * What clients say to a server of topics: messages of all kinds, in any order, valid and not, against what the subprotocol promises.
 * Each input is a program: a byte chooses what happens, the next ones its arguments.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ServerConnection } from "../../src/Contract.ts"
import { sideOf } from "../../src/contract/Definition.ts"
import * as Limits from "../../src/Limits.ts"
import type { Message, Sendable } from "../../src/Message.ts"
import { Prepared } from "../../src/Message.ts"
import * as Broker from "../../src/realtime/Broker.ts"
import * as Clients from "../../src/realtime/hub/Clients.ts"
import { Families } from "../../src/realtime/hub/Family.ts"
import * as Hubs from "../../src/realtime/hub/Hub.ts"
import * as Topic from "../../src/realtime/Topic.ts"
import { ToClient, type ToServer } from "../../src/realtime/wire/Messages.ts"
import { TopicsContract } from "../../src/realtime/wire/TopicsContract.ts"
import { StillWorld } from "./StillWorld.ts"
import { Choices, expect, type Target } from "./Target.ts"

const subprotocol = TopicsContract.subprotocols[0]
const side = sideOf(TopicsContract, "server", subprotocol)!
const toClient = Schema.decodeUnknownExit(Schema.toCodecJson(ToClient))

const Log = Topic.make("log/:id", {
  publication: Schema.Json,
  signal: Schema.Json,
  member: Schema.Json,
  snapshot: Schema.Json,
  refusal: Schema.String,
  history: { size: 5, timeToLive: "10 seconds" }
})
const Few = Topic.make("few/:n", { params: { n: Schema.NumberFromString.check(Schema.isInt()) }, publication: Schema.Finite })

const no = () => Effect.fail("no")
const families = new Families([
  { topic: Log, authorize: { publish: ({ key }) => key === "bad" ? no() : Effect.void }, snapshot: () => Effect.succeed({ state: [1] }) },
  { topic: Few, authorize: { subscribe: ({ params }) => (params as { n: number }).n > 1 ? no() : Effect.void }, snapshot: undefined }
])

const limits = Limits.makeTopics({
  subscriptions: 3,
  calls: 2,
  publish: { size: 40, count: 10, interval: "1 second" },
  recovery: 4,
  presence: { size: 20, listed: 2 },
  recent: { count: 3 }
})

// Mostly one topic, where clients meet.
const names = [
  ...Array.from({ length: 16 }, () => "log/a"), "log/b", "log/c", "log/d", "few/1", "few/2", "few/x", "log/", "none",
  "log/%2F", "log/a b", "x".repeat(257), ""
]
const values = [1, null, "text", { a: [1, { b: 2 }] }, "long ".repeat(20), [], -1.5e-300, true]
const keys = ["k1", "k2", "k3", "bad", "", "k".repeat(129)]
const keyOf = (choices: Choices): string => choices.byte() % 4 === 0 ? choices.pick(keys) : `k${choices.byte()}`
const types = [
  ...Array.from({ length: 5 }, () => "subscribe"), ...Array.from({ length: 8 }, () => "publish"), "unsubscribe", "signal", "join",
  "leave", "watch", "unwatch", "authenticate", "welcome", "x"
]

const nested = (levels: number): unknown => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`)

class Client {
  readonly incoming: Queue.Queue<ToServer, Cause.Done>
  readonly topicsOf = new Map<string, { epoch: string; offset: number }>()
  /** What has been asked for and was not answered. */
  readonly owed = new Map<number, number>()
  readonly signals = new Set<number>()
  readonly endings = new Map<number, string>()
  serial = 0
  closed: number | undefined
  /** Whether there is room for what nobody waits with. */
  hasRoom = true
  private hasWelcome = false

  constructor(incoming: Queue.Queue<ToServer, Cause.Done>) {
    this.incoming = incoming
  }

  get connection(): ServerConnection<typeof TopicsContract> {
    const send = (message: Sendable) =>
      Effect.sync(() => this.receive(message instanceof Prepared ? message.message : message))
    // As much of a connection as a server of topics uses.
    return {
      ws: {
        id: 1,
        send,
        offerUnsafe: (message: Sendable) => {
          if (!this.hasRoom) return false
          this.receive(message instanceof Prepared ? message.message : message)
          return true
        },
        close: (code: number) => Effect.sync(() => {
          this.closed ??= code
        }),
        drain: Effect.never
      },
      messages: Stream.fromQueue(this.incoming)
    } as unknown as ServerConnection<typeof TopicsContract>
  }

  private receive(text: Message): void {
    const message = JSON.parse(String(text)) as ToClient
    expect(Exit.isSuccess(toClient(message)), () => `no message of the subprotocol: ${String(text)}`)
    expect(this.hasWelcome === (message.type !== "welcome"), () => "the welcome is not the first")
    this.hasWelcome = true
    switch (message.type) {
      case "subscribed":
        this.answered(message.id)
        expect(message.position.offset <= message.top, () => "a position above the top")
        this.topicsOf.set(message.topic, { ...message.position })
        break
      case "done": {
        const ended = this.endings.get(message.id)
        if (ended !== undefined) this.topicsOf.delete(ended)
        this.answered(message.id)
        break
      }
      case "published":
      case "failed":
        this.answered(message.id)
        break
      case "publication": {
        const at = this.topicsOf.get(message.topic)
        expect(at !== undefined, () => `a publication of ${message.topic}, which is not subscribed`)
        expect(at!.epoch === message.epoch && at!.offset + 1 === message.offset, () =>
          `publication ${message.offset} behind ${at!.offset}`)
        at!.offset = message.offset
        break
      }
      case "gap": {
        const at = this.topicsOf.get(message.topic)!
        const { from, to } = message.gap
        expect(at.offset === from.offset && at.epoch === from.epoch, () => `a gap from ${from.offset} behind ${at.offset}`)
        this.topicsOf.set(message.topic, { ...to })
        break
      }
      case "ended":
        this.topicsOf.delete(message.topic)
    }
  }

  private answered(id: number): void {
    const owed = this.owed.get(id) ?? 0
    expect(owed > 0, () => `an answer to ${id}, which nobody asked`)
    this.owed.set(id, owed - 1)
  }
}

const messageOf = (choices: Choices, client: Client): object => {
  const type = choices.pick(types)
  const topic = choices.pick(names)
  const id = client.serial++
  const flags = choices.byte()
  const position = flags & 1 ? client.topicsOf.get(topic) ?? { epoch: "e", offset: 3 } : { epoch: "other", offset: choices.byte() }
  return {
    type,
    ...(flags % 32 !== 31 && { id: flags % 32 === 30 ? -1 : id }),
    topic,
    ...(flags & 2 && { since: flags & 4 ? "start" : { ...position, offset: Math.max(0, position.offset - (choices.byte() % 8)) } }),
    ...(flags & 8 && { snapshot: true }),
    key: keyOf(choices),
    member: keyOf(choices),
    value: flags % 64 === 63 ? nested(1 + choices.byte() % 110) : choices.pick(values),
    token: "t"
  }
}

const run = (input: Uint8Array): void => {
  const choices = new Choices(input)
  const world = new StillWorld()
  const scope = Scope.makeUnsafe()
  const setUp = Effect.gen(function*() {
    const store = yield* Broker.makeMemoryStore
    const hub = yield* Hubs.make(yield* store.broker, limits, world.soon)
    const clients = yield* Effect.forEach([1, 2], () => Effect.map(Queue.unbounded<ToServer, Cause.Done>(), (queue) => new Client(queue)))
    return { store, hub, clients }
  })
  const { clients, hub, store } = world.run(Scope.provide(setUp, scope))()
  const fibers = clients.map((client) =>
    world.run(Clients.serve(client.connection, {
      hub,
      limits,
      context: world.context,
      families,
      arriving: undefined,
      token: undefined
    })))

  const say = (client: Client, text: string): void => {
    if (client.closed !== undefined) return
    const decoded = world.run(Effect.option(side.incoming.decode(text) as Effect.Effect<ToServer, unknown>))()
    if (Option.isNone(decoded)) {
      // Its connection is closed with 1007 or 1008, as a contract does it.
      client.closed = 1007
      world.run(Queue.end(client.incoming))
      return
    }
    const message = decoded.value
    client.owed.set(message.id, (client.owed.get(message.id) ?? 0) + 1)
    // A signal is answered only where it is refused.
    if (message.type === "signal") client.signals.add(message.id)
    if (message.type === "unsubscribe") client.endings.set(message.id, message.topic)
    world.run(Queue.offer(client.incoming, message))
  }

  for (let steps = 0; !choices.isEmpty && steps < 60; steps++) {
    const client = choices.pick(clients)
    switch (choices.byte() % 12) {
      case 0:
        world.pass(choices.pick([1, 100, 500, 5000, 60_000]))
        break
      case 1:
        client.hasRoom = choices.byte() % 2 === 0
        break
      case 2:
        if (choices.byte() % 8 === 0) world.run(store.lose)
        break
      case 3: {
        const text = Array.from(JSON.stringify(messageOf(choices, client)))
        text[choices.byte() % text.length] = choices.pick(["", "\"", "\\", "{", "9", "\u0000", "é"])
        say(client, text.join(""))
        break
      }
      default:
        say(client, JSON.stringify(messageOf(choices, client)))
    }
  }
  for (const client of clients) client.hasRoom = true
  // Whatever waits for its turn, for the pace or for a lump of changes.
  world.pass(120_000)
  for (const client of clients) {
    if (client.closed !== undefined) continue
    for (const [id, owed] of client.owed) {
      expect(owed === 0 || client.signals.has(id), () => `${owed} answers to ${id} are missing`)
    }
    for (const [topic, { epoch, offset }] of client.topicsOf) {
      const top = world.run(hub.read(topic, { epoch, offset }, 1))()
      expect(top.epoch === epoch && top.top === offset, () => `${topic} stands at ${offset} of ${top.top}`)
    }
  }
  for (const { incoming } of clients) world.run(Queue.end(incoming))
  for (const end of fibers) end()
  const { behind, subscriptions } = hub.counts
  expect(behind === 0 && subscriptions === 0 && hub.clients.size === 0, () => `${subscriptions} subscriptions, ${behind} behind are left`)
  world.pass(120_000)
  expect(hub.size === 0, () => `${hub.size} topics are left`)
  expect(world.errors.length === 0, () => world.errors.join("\n"))
  world.run(Scope.close(scope, Exit.void))()
}

export const topics: Target = {
  name: "topics",
  generate: (random) => random.bytes(10 + random.below(400)),
  run
}
