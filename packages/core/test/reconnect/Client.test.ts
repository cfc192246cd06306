import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ReconnectingClient from "../../src/ReconnectingClient.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import { portable } from "../../src/Primitives.ts"
import type { Transport, TransportHandlers } from "../../src/Transport.ts"
import { IOError } from "../../src/WebSocketError.ts"
import * as WebSocket from "../../src/WebSocket.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"
import { accept, eventually, hold, links, refuse, scripted, url, watch } from "../support/Scripted.ts"

describe("the end of a client", () => {
  it.effect("releasing the scope closes what is open, with the code that the exit maps to, and dials no more", () => {
    const codes: Array<number> = []
    const { layer, requests } = scripted(
      accept((ws) => Effect.andThen(Stream.runDrain(ws.messages), Effect.map(ws.closed, ({ code }) => codes.push(code))))
    )
    return Effect.gen(function*() {
      for (const exit of [Exit.void, Exit.interrupt(), Exit.fail("no")]) {
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(ReconnectingClient.make(url), scope)
        yield* client.connection
        yield* Scope.close(scope, exit)
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* client.status, { _tag: "Ended", loss: undefined })
        assert.deepInclude(yield* Effect.flip(client.send("late")), { _tag: "NotConnected", reason: "Ended" })
        assert.deepStrictEqual(yield* Stream.runCollect(client.messages), [])
      }
      assert.deepStrictEqual(codes, [1000, 1001, 1011])
      assert.lengthOf(requests, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("releasing it while it waits, or while senders wait, ends both at once", () => {
    const { layer, requests } = scripted(refuse(500))
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(ReconnectingClient.make(url), scope)
      const { until } = yield* watch(client)
      yield* until("Waiting")
      const sending = yield* Effect.forkChild(Effect.flip(client.send("a")), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* Fiber.join(sending), { _tag: "NotConnected", reason: "Ended" })
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("releasing it while it dials drops what was dialled", () =>
    Effect.gen(function*() {
      const [dialling, dropped] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const connector = WebSocketClient.Connector.of({
        open: () =>
          Effect.andThen(
            Effect.acquireRelease(Deferred.succeed(dialling, undefined), () => Deferred.succeed(dropped, undefined)),
            Effect.never
          )
      })
      const scope = yield* Scope.make()
      yield* ReconnectingClient.make(url).pipe(
        Scope.provide(scope),
        Effect.provideService(WebSocketClient.Connector, connector)
      )
      yield* Deferred.await(dialling)
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(dropped)
    }))

  it.effect("`close` says goodbye with a code, hands out what had arrived, and ends the messages", () => {
    const closed: Array<unknown> = []
    const { layer, requests } = scripted(accept((ws) =>
      Effect.gen(function*() {
        yield* ws.send("a")
        yield* Stream.runDrain(ws.messages)
        const { code, reason } = yield* ws.closed
        closed.push([code, reason])
      })
    ))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const reading = yield* Effect.forkChild(Stream.runCollect(client.messages), { startImmediately: true })
      yield* client.connection
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Effect.flip(client.close(1006)), { _tag: "InvalidArgument" })
      yield* client.connection
      yield* client.close(4000, "bye")
      assert.deepStrictEqual(yield* Fiber.join(reading), ["a"])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(closed, [[4000, "bye"]])
      assert.lengthOf(requests, 1)
      yield* client.close()
    }).pipe(Effect.provide(layer))
  })

  it.effect("`close` while it waits ends it as well", () => {
    const { layer, requests } = scripted(refuse(500))
    return Effect.gen(function*() {
      const client = yield* ReconnectingClient.make(url)
      const { until } = yield* watch(client)
      yield* until("Waiting")
      yield* client.close(1000)
      yield* until("Ended")
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("what the platform says of the network", () => {
  const withSigns = <A, E, R>(use: (sign: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
    Effect.flatMap(Queue.unbounded<void>(), (queue) =>
      Effect.provideService(
        use(Effect.asVoid(Queue.offer(queue, undefined))),
        ReconnectingClient.Reachability,
        Stream.fromQueue(queue)
      ))

  it.effect("cuts the schedule's delay short, time and again", () => {
    const { layer, requests } = scripted(refuse(500))
    return withSigns((sign) =>
      Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url, { retry: () => undefined })
        const { until } = yield* watch(client)
        for (let i = 1; i <= 12; i++) {
          yield* until("Waiting")
          assert.lengthOf(requests, i)
          yield* sign
        }
        assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("does not cut short what the server asked for; `retryNow` does", () => {
    const { layer, requests } = scripted(refuse(503, { "retry-after": "10" }))
    return withSigns((sign) =>
      Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const { until } = yield* watch(client)
        yield* until("Waiting")
        yield* sign
        yield* TestClock.adjust("9 seconds")
        assert.lengthOf(requests, 1)
        yield* client.retryNow
        yield* until("Waiting")
        assert.lengthOf(requests, 2)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("makes an open connection prove that it is alive, within 5 seconds", () => {
    const { layer, requests } = scripted(hold)
    return withSigns((sign) =>
      Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url)
        const { until } = yield* watch(client)
        yield* until("Open")
        yield* sign
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* client.status, { _tag: "Open" })
        const [link] = yield* links
        yield* link.drop
        yield* sign
        yield* TestClock.adjust("5 seconds")
        assert.deepInclude((yield* until("Waiting")).loss, { _tag: "IOError", phase: "keepalive", reason: "TimedOut" })
        yield* eventually(until("Open"))
        assert.lengthOf(requests, 2)
      })
    ).pipe(Effect.provide(layer))
  })
})

/** A server of many connections that a test takes down and up again, without one byte of traffic. */
const flock = () => {
  const open = new Set<TransportHandlers>()
  let isUp = true
  const transport = (): Transport => {
    let handlers: TransportHandlers
    const gone = () => {
      if (open.delete(handlers)) handlers.onClosed(undefined)
    }
    return {
      chunks: "owned",
      primitives: portable,
      start: (started) => open.add(handlers = started),
      pause: () => {},
      resume: () => {},
      write: () => true,
      end: gone,
      destroy: gone
    }
  }
  const refused = new IOError({ phase: "connect", reason: "Refused", detail: "it is down" })
  const connector = WebSocketClient.Connector.of({
    open: () =>
      Effect.suspend(() =>
        isUp
          ? Effect.sync(() => {
            const opened = transport()
            return { make: (options) => WebSocket.make(opened, options), subprotocol: undefined, responseHeaders: [] }
          })
          : Effect.fail(refused)
      )
  })
  return {
    connector,
    down: Effect.sync(() => {
      isUp = false
      for (const handlers of open) handlers.onClosed(refused)
      open.clear()
    }),
    up: Effect.sync(() => {
      isUp = true
    })
  }
}

describe("many clients", () => {
  it.effect("5,000 clients come back spread over the time after a restart, and none is lost", () => {
    const { connector, down, up } = flock()
    return Effect.gen(function*() {
      const clients = 5000
      let attempts = 0
      let isBack = false
      // In each tenth of a second after the restart.
      const back = new Map<number, number>()
      const fibers = yield* Effect.forEach(Array.from({ length: clients }), () =>
        Effect.forkChild(ReconnectingClient.run(
          Effect.sync(() => {
            attempts++
            return url
          }),
          (ws) => {
            if (!isBack) return Stream.runDrain(ws.messages)
            return Effect.map(Clock.currentTimeMillis, (now) => {
              const tenth = Math.floor((now - restarted) / 100)
              back.set(tenth, (back.get(tenth) ?? 0) + 1)
            })
          },
          { keepAlive: false }
        )))
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(attempts, clients)

      // It is away for 2 seconds.
      yield* down
      yield* TestClock.adjust("2 seconds")
      // Full jitter: 50, 100, 200, ... ms on average, so about six attempts each.
      assert.isAtMost(attempts, 10 * clients)
      const restarted = yield* Clock.currentTimeMillis
      attempts = 0
      isBack = true
      yield* up
      for (let passed = 0; passed < 302 && [...back.values()].reduce((a, b) => a + b, 0) < clients; passed++) {
        yield* TestClock.adjust("100 millis")
      }
      // The peers do not answer a Close, which takes 5 seconds.
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.awaitAll(fibers)
      assert.strictEqual(attempts, clients)
      // The busiest tenth of a second sees a small part of them.
      assert.isAtMost(Math.max(...back.values()), clients / 10)
      assert.isAtLeast(back.size, 30)
    }).pipe(Effect.provideService(WebSocketClient.Connector, connector), Random.withSeed("storm"))
  }, 120_000)
})

describe("faulty links", () => {
  // So that a link that stalls is noticed soon.
  const keepAlive = { interval: "1 second", timeout: "1 second" } as const

  for (let seed = 1; seed <= 20; seed++) {
    it.effect(`each message of each connection is handed out once and in order, without a hole, seed ${seed}`, () => {
      const kinds = ["reset", "drop", "halfClose", "stall"] as const
      // Whatever goes wrong, and where, another connection follows; the tenth one is left alone.
      const link = (index: number): object => {
        const random = (seed * 7919 + index * 104_729) % 9973
        return {
          seed: seed * 100 + index,
          chop: true,
          delay: { min: 0, max: 20 },
          faults: index >= 9 ? [] : [{ type: kinds[random % 4], from: random % 8 < 4 ? "server" : "client", after: random % 700 }]
        }
      }
      let connection = 0
      const route = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Effect.gen(function*() {
          const of = connection++
          for (let i = 0; i < 30; i++) {
            yield* ws.send(`${of}:${i}`)
            yield* Effect.sleep("5 millis")
          }
          return yield* Effect.never
        }), { keepAlive })
      )
      const layer = HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(TestServer.layer({ link }))
      )
      return Effect.gen(function*() {
        const client = yield* ReconnectingClient.make(url, { keepAlive })
        const read: Array<string> = []
        yield* eventually(Stream.runForEachWhile(client.messages, (message) =>
          Effect.sync(() => {
            read.push(String(message))
            return message !== "9:29"
          })))
        let [of, next] = [-1, 0]
        for (const message of read) {
          const [connection, index] = message.split(":").map(Number)
          if (connection !== of) [of, next] = [connection > of ? connection : Number.NaN, 0]
          assert.strictEqual(index, next++, read.join(" "))
        }
        assert.strictEqual(of, 9)
      }).pipe(Effect.provide(layer))
    })
  }
})

describe("what a client leaves behind", () => {
  it.effect("nothing: no fiber, no listener, no connection", () => {
    let handlers = 0
    const counted = accept((ws) =>
      Effect.acquireUseRelease(
        Effect.sync(() => handlers++),
        () => Stream.runDrain(ws.messages),
        () => Effect.sync(() => handlers--)
      )
    )
    const { layer } = scripted(counted)
    return Effect.gen(function*() {
      let listeners = 0
      const signs = Stream.callback<void>(() =>
        Effect.acquireRelease(Effect.sync(() => listeners++), () => Effect.sync(() => listeners--)))
      for (let i = 0; i < 10; i++) {
        yield* Effect.gen(function*() {
          const client = yield* ReconnectingClient.make(url)
          yield* Effect.forkScoped(Stream.runDrain(client.messages))
          yield* Effect.forkScoped(Stream.runDrain(client.statuses))
          yield* client.connection
          yield* (yield* links)[2 * i].reset
          yield* TestClock.adjust("1 second")
          yield* client.connection
          assert.strictEqual(listeners, 1)
        }).pipe(Effect.scoped, Effect.provideService(ReconnectingClient.Reachability, signs))
      }
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(listeners, 0)
      assert.strictEqual(handlers, 0)
      for (const { stats } of yield* links) {
        assert.isTrue(stats("client").isClosed && stats("server").isClosed)
      }
    }).pipe(Effect.provide(layer))
  })
})
