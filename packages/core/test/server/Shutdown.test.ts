/** The end of a server, in memory: what handlers hear and say, how connections close, what is cut. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { CloseInfo } from "../../src/CloseCode.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import type { WebSocket } from "../../src/WebSocket.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"

type Handler = (ws: WebSocket) => Effect.Effect<unknown, unknown, Scope.Scope>

const app = (handler: Handler, options?: TestServer.Options) =>
  HttpRouter.serve(HttpRouter.add("GET", "/", WebSocketServer.handle(handler)), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(TestServer.layer(options))
  )

interface Seen {
  readonly messages: ReadonlyArray<unknown>
  readonly info: CloseInfo
  readonly at: number
}

/** A client that reads to the end: what it was told, and when. */
const client = Effect.gen(function*() {
  const { client, link } = yield* TestServer.connect("/")
  const seen = yield* Effect.forkChild(Effect.gen(function*() {
    const messages = yield* Stream.runCollect(client.messages)
    return { messages, info: yield* client.closed, at: yield* Clock.currentTimeMillis } satisfies Seen
  }))
  return { link, client, seen }
})

/** Begins to end the server; what it reports. */
const shutdown = Effect.gen(function*() {
  const { shutdown } = yield* TestServer.TestServer
  // The handlers begin.
  yield* turns
  const fiber = yield* Effect.forkChild(shutdown, { startImmediately: true })
  yield* turns
  return fiber
})

// Links in memory deliver in turns of the scheduler.
const turns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const resumeAt42 = (ws: WebSocket) => WebSocketServer.onGoingAway(ws, ws.send("resume at 42"))
const read = (ws: WebSocket) => Stream.runDrain(ws.messages)

describe("the end of a server", () => {
  it.effect("a handler that says a last word is heard, and its Close is not delayed", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      assert.deepInclude(yield* Fiber.join(seen), { messages: ["resume at 42"], at: 0 })
      assert.deepInclude((yield* Fiber.join(seen)).info, { code: 1001, reason: "", clean: true, initiator: "remote" })
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
    }).pipe(Effect.provide(app((ws) => Effect.andThen(resumeAt42(ws), read(ws))))))

  it.effect("a handler that ends when it hears of the end still sends from its finalizers", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      const { at, info, messages } = yield* Fiber.join(seen)
      assert.deepStrictEqual([messages, at], [["resume at 42"], 0])
      assert.deepInclude(info, { code: 1012, reason: "a new version", clean: true })
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
    }).pipe(Effect.provide(app((ws) =>
      Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.ignore(ws.send("resume at 42")))
        yield* Effect.raceFirst(read(ws), WebSocketServer.goingAway(ws))
      }), { shutdown: { code: 1012, reason: "a new version" } }))))

  it.effect("handlers that read, or do anything else, without asking for a notice do not delay the Close", () =>
    Effect.gen(function*() {
      let first = true
      yield* Effect.gen(function*() {
        const reader = yield* client
        const sleeper = yield* client
        const ended = yield* shutdown
        for (const { seen } of [reader, sleeper]) {
          assert.deepInclude(yield* Fiber.join(seen), { messages: [], at: 0 })
          assert.deepInclude((yield* Fiber.join(seen)).info, { code: 1001, clean: true })
        }
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 2, cut: 0 })
      }).pipe(Effect.provide(app((ws) => {
        const reads = first
        first = false
        return reads ? read(ws) : Effect.never
      })))
    }))

  it.effect("a last word that takes too long is interrupted after the notice, two seconds by default", () =>
    Effect.gen(function*() {
      let interrupted = 0
      yield* Effect.gen(function*() {
        const { seen } = yield* client
        const ended = yield* shutdown
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(seen.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* turns
        assert.deepInclude(yield* Fiber.join(seen), { messages: ["one moment"], at: 2000 })
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
        assert.strictEqual(interrupted, 1)
      }).pipe(Effect.provide(app((ws) =>
        Effect.andThen(
          WebSocketServer.onGoingAway(
            ws,
            Effect.andThen(ws.send("one moment"), Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)))
          ),
          read(ws)
        )
      )))
    }))

  it.effect("a handler that hears of the end and goes on has the whole notice", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      yield* TestClock.adjust("300 millis")
      yield* turns
      assert.deepInclude(yield* Fiber.join(seen), { messages: ["resume at 42"], at: 300 })
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
    }).pipe(Effect.provide(app((ws) =>
      Effect.gen(function*() {
        yield* Effect.forkScoped(Effect.andThen(WebSocketServer.goingAway(ws), ws.send("resume at 42")))
        yield* read(ws)
      }), { shutdown: { notice: 300 } }))))

  it.effect("a peer that does not answer is cut at the end of the grace, counted and reported", () =>
    Effect.gen(function*() {
      const logs: Array<unknown> = []
      const reports: Array<unknown> = []
      const report = (report: WebSocketServer.ShutdownReport) => Effect.sync(() => reports.push(report))
      yield* Effect.gen(function*() {
        const polite = yield* client
        const silent = yield* client
        yield* silent.link.stall("client")
        const ended = yield* shutdown
        assert.deepInclude(yield* Fiber.join(polite.seen), { at: 0 })
        assert.isUndefined(ended.pollUnsafe())
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 1 })
      }).pipe(
        Effect.provide(app(read, { shutdown: { grace: "3 seconds", report } }).pipe(Layer.provideMerge(
          Logger.layer([Logger.make(({ logLevel, message }) => logs.push([logLevel, String(message)]))])
        )))
      )
      assert.deepStrictEqual(reports, [{ closed: 1, cut: 1 }])
      assert.deepStrictEqual(logs, [["Warn", "Cut 1 WebSocket connections that did not close in time"]])
    }))

  it.effect("a peer whose Close is overdue already is cut at the end of the grace too", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const silent = yield* client
        yield* silent.link.stall("client")
        const ended = yield* shutdown
        yield* TestClock.adjust("7 seconds")
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 0, cut: 1 })
      }).pipe(Effect.provide(app(read, { shutdown: { grace: "7 seconds" } })))
    }))

  it.effect("the grace bounds the notice too, and who has not been told by then is told before the cut", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 0, cut: 1 })
      assert.deepInclude((yield* Fiber.join(seen)).info, { code: 1001 })
    }).pipe(Effect.provide(app((ws) => Effect.andThen(WebSocketServer.onGoingAway(ws, Effect.never), read(ws)), {
      shutdown: { notice: "1 minute", grace: "1 second" }
    }))))

  it.effect("new connections are refused with 503 while it ends", () =>
    Effect.gen(function*() {
      yield* client
      yield* shutdown
      const error = yield* Effect.flip(WebSocketClient.connect("/"))
      assert.deepInclude(error, { _tag: "HandshakeError", status: 503 })
    }).pipe(Effect.provide(app((ws) => Effect.andThen(WebSocketServer.onGoingAway(ws, Effect.never), read(ws))))))

  it.effect("a last word that fails, or dies, is logged and holds nothing up", () =>
    Effect.gen(function*() {
      const logs: Array<string> = []
      let count = 0
      yield* Effect.gen(function*() {
        const all = yield* Effect.all([client, client, client])
        const ended = yield* shutdown
        const codes = yield* Effect.forEach(all, ({ seen }) => Effect.map(Fiber.join(seen), ({ info }) => info.code))
        assert.deepStrictEqual(codes, [1001, 1001, 1000])
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 3, cut: 0 })
      }).pipe(
        Effect.provide(app((ws) => {
          const words: ReadonlyArray<Effect.Effect<void, unknown>> = [
            Effect.fail("no"),
            Effect.die("oops"),
            Effect.flatMap(ws.close(1000), () => ws.send("late"))
          ]
          return Effect.andThen(WebSocketServer.onGoingAway(ws, words[count++]!), read(ws))
        }).pipe(Layer.provideMerge(
          Logger.layer([Logger.make(({ logLevel, message }) => logs.push(`${logLevel} ${String(message)}`))])
        )))
      )
      // What the connection's own end does to a last word is logged at Debug, which is not kept here.
      assert.deepStrictEqual(logs, [
        "Error Unhandled error in WebSocketServer.onGoingAway",
        "Error Unhandled error in WebSocketServer.onGoingAway"
      ])
    }))

  it.effect("a handler that fails when it hears of the end closes with 1011, as ever", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      yield* shutdown
      assert.deepInclude((yield* Fiber.join(seen)).info, { code: 1011 })
    }).pipe(Effect.provide(app((ws) => Effect.andThen(WebSocketServer.goingAway(ws), Effect.fail("oops"))))))

  it.effect("a last word is forgotten with its scope, and asked for again after the turn is heard at once", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      assert.deepInclude(yield* Fiber.join(seen), { messages: ["heard", "heard again"], at: 0 })
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
    }).pipe(Effect.provide(app((ws) =>
      Effect.gen(function*() {
        yield* Effect.scoped(WebSocketServer.onGoingAway(ws, Effect.never))
        yield* WebSocketServer.goingAway(ws)
        yield* ws.send("heard")
        yield* WebSocketServer.goingAway(ws)
        yield* ws.send("heard again")
      })))))

  it.effect("to a connection that no server holds nothing ever happens", () =>
    Effect.gen(function*() {
      const { client: ws } = yield* client
      yield* WebSocketServer.onGoingAway(ws, Effect.die("never"))
      const heard = yield* Effect.forkChild(WebSocketServer.goingAway(ws))
      yield* shutdown
      yield* ws.closed
      assert.isUndefined(heard.pollUnsafe())
    }).pipe(Effect.provide(app(read))))

  it.effect("by an interrupted fiber it is the same, as where a program is told to end", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const { shutdown } = yield* TestServer.TestServer
      yield* turns
      const main = yield* Effect.forkChild(Effect.ensuring(Effect.never, shutdown), { startImmediately: true })
      yield* Effect.forkChild(Fiber.interrupt(main))
      yield* turns
      yield* TestClock.adjust("2 seconds")
      yield* turns
      assert.deepInclude(yield* Fiber.join(seen), { messages: ["resume at 42"], at: 2000 })
      yield* Fiber.await(main)
    }).pipe(Effect.provide(app((ws) =>
      Effect.andThen(WebSocketServer.onGoingAway(ws, Effect.andThen(ws.send("resume at 42"), Effect.never)), read(ws))))))

  it.effect("1,000 connections in batches over ten seconds: each hears when its turn comes", () =>
    Effect.gen(function*() {
      const count = 1000
      let kind = 0
      yield* Effect.gen(function*() {
        const clients = yield* Effect.forEach(Array.from({ length: count }), () => client)
        const ended = yield* shutdown
        for (let second = 1; second <= 10; second++) {
          yield* TestClock.adjust("900 millis")
          yield* turns
          const closed = clients.filter(({ seen }) => seen.pollUnsafe() !== undefined).length
          // Those whose handlers go on after the notice close half a second behind their turn.
          assert.isAtLeast(closed, 100 * (second - 1))
          assert.isAtMost(closed, 100 * second)
          yield* TestClock.adjust("100 millis")
          yield* turns
        }
        yield* TestClock.adjust("1 second")
        yield* turns
        assert.deepStrictEqual(yield* Fiber.join(ended), { closed: count, cut: 0 })
        const all = yield* Effect.forEach(clients, ({ seen }) => Fiber.join(seen))
        assert.isTrue(all.every(({ info }) => info.code === 1001 && info.clean))
        // A fourth of the handlers say a last word, another fourth hear and go on.
        assert.strictEqual(all.filter(({ messages }) => messages.includes("resume at 42")).length, count / 4)
        assert.strictEqual(all.filter(({ messages }) => messages.includes("heard")).length, count / 4)
        assert.isAtMost(mostAtOnce(all), 30)
      }).pipe(Effect.provide(app((ws) => {
        switch (kind++ % 4) {
          case 0:
            return Effect.andThen(resumeAt42(ws), read(ws))
          case 1:
            return Effect.andThen(
              Effect.forkScoped(Effect.andThen(WebSocketServer.goingAway(ws), ws.send("heard"))),
              read(ws)
            )
          case 2:
            return read(ws)
          default:
            return Effect.never
        }
      }, { shutdown: { over: "10 seconds", notice: 500 } })))
    }))

  it.effect("a handler that ends before its turn closes as ever", () =>
    Effect.gen(function*() {
      const first = yield* client
      const second = yield* client
      yield* shutdown
      assert.deepInclude((yield* Fiber.join(first.seen)).info, { code: 1001 })
      yield* second.client.send("enough")
      assert.deepInclude((yield* Fiber.join(second.seen)).info, { code: 1000 })
    }).pipe(Effect.provide(app((ws) => Effect.ignore(ws.receive), { shutdown: { over: "1 minute" } }))))

  it("a code or a reason that cannot be sent is refused when the server is made", () => {
    for (const shutdown of [{ code: 1005 }, { code: 1010 }, { code: 99 }, { reason: "x".repeat(124) }]) {
      assert.throws(() => WebSocketServer.makeConnections({ shutdown }), /may not be sent|only clients can|at most 123/)
    }
  })
})

/** How many were closed within the same 100 ms at the most. */
const mostAtOnce = (all: ReadonlyArray<Seen>): number => {
  const counts = new Map<number, number>()
  for (const { at } of all) counts.set(Math.floor(at / 100), (counts.get(Math.floor(at / 100)) ?? 0) + 1)
  return Math.max(...counts.values())
}

describe("accept", () => {
  const Route = HttpRouter.add(
    "GET",
    "/",
    Effect.gen(function*() {
      const ws = yield* WebSocketServer.accept()
      yield* resumeAt42(ws)
      yield* Effect.addFinalizer(() => Effect.ignore(ws.send("and good bye")))
      yield* Effect.raceFirst(read(ws), WebSocketServer.goingAway(ws))
      return HttpServerResponse.empty()
    }).pipe(Effect.scoped)
  )

  it.effect("a route of its own hears of the end in the same way", () =>
    Effect.gen(function*() {
      const { seen } = yield* client
      const ended = yield* shutdown
      const { info, messages } = yield* Fiber.join(seen)
      assert.deepStrictEqual(messages, ["resume at 42", "and good bye"])
      assert.deepInclude(info, { code: 1001, clean: true })
      assert.deepStrictEqual(yield* Fiber.join(ended), { closed: 1, cut: 0 })
    }).pipe(Effect.provide(
      HttpRouter.serve(Route, { disableLogger: true, disableListenLog: true }).pipe(Layer.provideMerge(TestServer.layer()))
    )))
})
