/** A handler does not outlive its connection: however that ends, whatever the handler does, however it was accepted. */
import { assert, describe, it } from "@effect/vitest"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { TestLink } from "../../src/testing/TestLink.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import type { WebSocket } from "../../src/WebSocket.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"

/** What a handler does: with a connection, or with a `Socket`; how many messages it reads of five, and when it ends. */
interface Behaviour {
  readonly name: string
  readonly ws?: ((ws: WebSocket) => Effect.Effect<unknown, unknown, Scope.Scope>) | undefined
  readonly socket?: ((pull: Pull) => Effect.Effect<unknown, unknown, Scope.Scope>) | undefined
  /** How many messages are sent to it; five by default. */
  readonly sent?: number
  readonly messages: number
  /** Milliseconds behind the end of the connection, or behind the messages; `undefined` where it goes on. */
  readonly ends: number | undefined
  readonly countsFromMessages?: boolean
  /** The same where this side closed. */
  readonly endsLocal?: number | undefined
  readonly onDisconnect?: WebSocketServer.AcceptOptions["onDisconnect"]
}

type Pull = Effect.Effect<ReadonlyArray<unknown>, Socket.SocketError>

const taken: Array<unknown> = []
const take = (message: unknown) => Effect.sync(() => taken.push(message))
const slowly = (message: unknown) => Effect.andThen(take(message), Effect.sleep("2 seconds"))
const readAll = (pull: Pull) => Effect.ignore(Effect.forever(Effect.flatMap(pull, (all) => Effect.forEach(all, take))))

const behaviours: ReadonlyArray<Behaviour> = [
  { name: "never reads", ws: () => Effect.never, socket: () => Effect.never, sent: 0, messages: 0, ends: 0, endsLocal: 5000 },
  {
    name: "reads to the end and does not end by itself",
    ws: (ws) => Effect.andThen(Effect.ignore(Stream.runForEach(ws.messages, take)), Effect.never),
    socket: (pull) => Effect.andThen(readAll(pull), Effect.never),
    messages: 5,
    ends: 5000
  },
  {
    name: "reads to the end, and has a shorter grace",
    ws: (ws) => Effect.andThen(Effect.ignore(Stream.runForEach(ws.messages, take)), Effect.never),
    socket: (pull) => Effect.andThen(readAll(pull), Effect.never),
    messages: 5,
    ends: 300,
    onDisconnect: { grace: 300 }
  },
  {
    name: "reads to the end, and has a grace that is infinite",
    ws: (ws) => Effect.andThen(Effect.ignore(Stream.runForEach(ws.messages, take)), Effect.never),
    messages: 5,
    ends: undefined,
    onDisconnect: { grace: "Infinity" }
  },
  {
    name: "reads slowly, and does not end by itself",
    ws: (ws) => Effect.andThen(Effect.ignore(Stream.runForEach(ws.messages, slowly)), Effect.never),
    messages: 5,
    countsFromMessages: true,
    ends: 15_000
  },
  {
    name: "reads slowly by `receive`",
    ws: (ws) => Effect.forever(Effect.flatMap(ws.receive, slowly)),
    messages: 5,
    countsFromMessages: true,
    ends: 10_000
  },
  {
    name: "pulls batches, and takes two seconds for each message",
    socket: (pull) => Effect.ignore(Effect.forever(Effect.flatMap(pull, (all) => Effect.forEach(all, slowly)))),
    messages: 5,
    countsFromMessages: true,
    ends: 10_000
  },
  {
    name: "pulls once and never again",
    socket: (pull) => Effect.andThen(Effect.flatMap(pull, (all) => Effect.forEach(all, take)), Effect.never),
    sent: 1,
    messages: 1,
    ends: 5000
  },
  {
    name: "reads slowly, and is interrupted at once",
    ws: (ws) => Effect.ignore(Stream.runForEach(ws.messages, slowly)),
    messages: 1,
    ends: 0,
    endsLocal: 10_000,
    onDisconnect: "interrupt"
  },
  {
    name: "is busy with a job and interrupted at once, whatever it has not read",
    ws: () => Effect.never,
    socket: () => Effect.never,
    messages: 0,
    ends: 0,
    endsLocal: 5000,
    onDisconnect: "interrupt"
  },
  {
    name: "has stopped reading, having read all",
    ws: (ws) => Effect.andThen(Stream.runForEach(Stream.take(ws.messages, 5), take), Effect.never),
    messages: 5,
    ends: 0,
    endsLocal: 5000
  },
  {
    name: "has stopped reading, and may come back for the rest",
    ws: (ws) => Effect.andThen(Stream.runForEach(Stream.take(ws.messages, 2), take), Effect.never),
    messages: 2,
    ends: 5000
  },
  {
    name: "reads by one stream after the other",
    ws: (ws) =>
      Effect.forever(Effect.flatMap(Stream.runHead(ws.messages), (message) =>
        message._tag === "None" ? Effect.fail("end") : slowly(message.value))).pipe(
          Effect.ignore,
          Effect.andThen(Effect.never)
        ),
    messages: 5,
    countsFromMessages: true,
    ends: 15_000
  },
  {
    name: "receives once and never again",
    ws: (ws) => Effect.andThen(Effect.flatMap(ws.receive, take), Effect.never),
    messages: 1,
    ends: 5000
  },
  {
    name: "is stuck in a message of its stream",
    ws: (ws) => Stream.runForEach(ws.messages, (message) => Effect.andThen(take(message), Effect.never)),
    messages: 1,
    ends: undefined
  },
  {
    name: "is to be left alone",
    ws: () => Effect.never,
    messages: 0,
    ends: undefined,
    onDisconnect: "ignore"
  }
]

interface Ended {
  readonly at: number
  readonly exit: Exit.Exit<unknown, unknown>
}

interface World {
  readonly client: WebSocket
  readonly link: TestLink
  readonly server: WebSocket | undefined
}

/** How a connection ends: what to do, when it is closed then, and whether this side closes first. */
const ways: Record<string, {
  readonly end: (world: World) => Effect.Effect<unknown, unknown, TestServer.TestServer | Scope.Scope>
  readonly after: number
  readonly isLocal?: boolean
}> = {
  "Close": { end: ({ client }) => Effect.forkChild(client.close(1000)), after: 0 },
  "FIN": { end: ({ link }) => link.halfClose("client"), after: 0 },
  "RST": { end: ({ link }) => link.reset, after: 0 },
  "a keepalive without an answer": { end: ({ link }) => link.drop, after: 1000 },
  "a Close of this side": { end: ({ server }) => Effect.forkChild(server!.close(1000)), after: 0, isLocal: true },
  "the end of the server": {
    end: () => Effect.flatMap(TestServer.TestServer, ({ shutdown }) => Effect.forkChild(shutdown)),
    after: 0,
    isLocal: true
  }
}

type Around = (behaviour: Behaviour, note: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>) => {
  readonly route: ReturnType<typeof HttpRouter.add<unknown, never>>
  readonly options?: WebSocketServer.AcceptOptions
}

const limits = { keepAlive: { interval: 500, timeout: 500 }, closeTimeout: "20 seconds" } as const

let server: WebSocket | undefined

const kinds: Record<string, Around> = {
  handle: ({ onDisconnect, ws }, note) => ({
    route: HttpRouter.add("GET", "/", WebSocketServer.handle((connection) => {
      server = connection
      return Effect.onExit(ws!(connection), note)
    }, { ...limits, onDisconnect }))
  }),
  accept: ({ onDisconnect, ws }, note) => ({
    route: HttpRouter.add("GET", "/", Effect.gen(function*() {
      const connection = server = yield* WebSocketServer.accept({ ...limits, onDisconnect })
      yield* Effect.onExit(ws!(connection), note)
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped))
  }),
  "accept in a fiber that has ended": ({ onDisconnect, ws }, note) => ({
    route: HttpRouter.add("GET", "/", Effect.gen(function*() {
      const connection = server = yield* Effect.timeout(WebSocketServer.accept({ ...limits, onDisconnect }), "1 second")
      yield* Effect.onExit(ws!(connection), note)
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped))
  }),
  upgrade: ({ onDisconnect, socket }, note) => ({
    options: { ...limits, onDisconnect },
    route: HttpRouter.add("GET", "/", Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { pull } = yield* (yield* request.upgrade).reader
      yield* Effect.onExit(socket!(pull), note)
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped))
  }),
  upgradeChannel: ({ onDisconnect, socket }, note) => ({
    options: { ...limits, onDisconnect },
    route: HttpRouter.add("GET", "/", Effect.gen(function*() {
      const input = Channel.fromPull(Effect.succeed(Effect.never))
      const pull = yield* Channel.toPull(Channel.pipeTo(input, HttpServerRequest.upgradeChannel()))
      yield* Effect.onExit(socket!(pull as Pull), note)
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped))
  })
}

// Links in memory deliver in turns of the scheduler.
const turns = Effect.forEach(Array.from({ length: 30 }), () => Effect.yieldNow, { discard: true })

/** Runs one case; when the handler ended, behind the end of its connection. */
const run = Effect.fnUntraced(function*(kind: string, behaviour: Behaviour, way: string) {
  const logs: Array<string> = []
  let ended: Ended | undefined
  taken.length = 0
  const note = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.map(Clock.currentTimeMillis, (at) => {
      ended = { at, exit }
    })
  const { options, route } = kinds[kind]!(behaviour, note)
  const app = HttpRouter.serve(route, { disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer({ upgrade: options })),
    Layer.provideMerge(Layer.mergeAll(
      Logger.layer([Logger.make(({ fiber, logLevel, message }) => {
        const { "http.status": status = "" } = fiber.getRef(References.CurrentLogAnnotations)
        logs.push(`${logLevel} ${String(message)} ${String(status)}`)
      })]),
      Layer.succeed(References.MinimumLogLevel, "Trace")
    ))
  )
  yield* Effect.gen(function*() {
    const { client, link } = yield* TestServer.connect("/", { keepAlive: false })
    yield* turns
    yield* client.sendAll(["1", "2", "3", "4", "5"].slice(0, behaviour.sent ?? 5))
    yield* turns
    const { after, end } = ways[way]!
    const began = yield* Clock.currentTimeMillis
    yield* end({ client, link, server })
    yield* turns
    yield* TestClock.adjust(after)
    yield* turns
    for (let i = 0; i < 100; i++) {
      if (ended !== undefined) break
      yield* TestClock.adjust(200)
      yield* turns
    }
    const { countsFromMessages = false, ends, endsLocal = ends, messages } = behaviour
    const expected = ways[way]!.isLocal === true ? endsLocal : ends
    if (expected === undefined) assert.isUndefined(ended)
    else {
      assert.isDefined(ended, `still runs, after messages ${taken.join()}`)
      // The steps of the test's clock.
      assert.approximately(ended!.at - began - (countsFromMessages ? 0 : after), expected, 200)
    }
    if (ways[way]!.isLocal !== true) assert.strictEqual(taken.length, messages)
    assert.isFalse(logs.some((line) => line.startsWith("Error") || line.startsWith("Warn")), logs.join("\n"))
    if (ended !== undefined) assert.include(logs, "Info Sent HTTP response 101")
  }).pipe(Effect.provide(app))
})

for (const kind of Object.keys(kinds)) {
  describe(`a handler by ${kind}`, () => {
    const isSocket = kind.startsWith("upgrade")
    for (const behaviour of behaviours) {
      if ((isSocket ? behaviour.socket : behaviour.ws) === undefined) continue
      for (const way of Object.keys(ways)) {
        if (isSocket && way === "a Close of this side") continue
        // It accepts when it is pulled for the first time.
        if (kind === "upgradeChannel" && behaviour.messages === 0) continue
        if (kind === "accept in a fiber that has ended" && behaviour.messages > 0) continue
        it.effect(`that ${behaviour.name}: ${way}`, () => run(kind, behaviour, way))
      }
    }
  })
}
