import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { TestClock } from "effect/testing"
import * as Deadlines from "../src/runtime/Deadlines.ts"
import * as HttpUpgrade from "../src/HttpUpgrade.ts"
import type { HandshakeError } from "../src/WebSocketError.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import { FakeTransport } from "./support/FakeTransport.ts"

const alarms = Effect.map(Deadlines.current, (deadlines) => deadlines["heap"].length)

const headers = [
  ["Host", "a"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ["Sec-WebSocket-Version", "13"]
] as const

/** One request for an upgrade, and a server that knows of it. */
const one = (handshakeTimeout: number, request = HttpServerRequest.fromWeb(new Request("http://a/"))) => {
  const state = { expired: 0, transport: new FakeTransport() }
  const upgrade: WebSocketServer.Upgrade = {
    request: { method: "GET", httpVersion: "1.1", headers },
    open: () => state.transport,
    expire: () => state.expired++
  }
  const upgrades = { find: () => upgrade, connections: WebSocketServer.makeConnections() }
  const serve = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    HttpUpgrade.serve(handler, upgrades, { handshakeTimeout }).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request)
    )
  return { serve, state, upgrades }
}

describe("HttpUpgrade: the deadline of the handshake", () => {
  it.effect("a handler that does not answer in time expires", () =>
    Effect.gen(function*() {
      const { serve, state } = one(10_000)
      const fiber = yield* Effect.forkChild(serve(Effect.never))
      yield* TestClock.adjust(9_999)
      assert.strictEqual(state.expired, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(state.expired, 1)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.expired, 1, "once")
      yield* Fiber.interrupt(fiber)
    }))

  for (const how of ["succeeds", "fails", "is interrupted"] as const) {
    it.effect(`one that ${how} leaves no alarm behind`, () =>
      Effect.gen(function*() {
        const { serve, state } = one(10_000)
        const done = yield* Deferred.make<HttpServerResponse.HttpServerResponse, string>()
        const fiber = yield* Effect.forkChild(serve(Deferred.await(done)))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* alarms, 1)
        if (how === "succeeds") yield* Deferred.succeed(done, HttpServerResponse.empty({ status: 418 }))
        else if (how === "fails") yield* Deferred.fail(done, "b")
        else yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        if (Exit.isSuccess(exit)) assert.strictEqual(exit.value.status, 418)
        assert.strictEqual(Exit.isSuccess(exit), how === "succeeds")
        assert.strictEqual(yield* alarms, 0)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(state.expired, 0)
      }))
  }

  it.effect("a connection has no deadline of the handshake any more, and holds no alarm for it", () =>
    Effect.gen(function*() {
      const { serve, state } = one(10_000)
      yield* Effect.forkChild(serve(WebSocketServer.handle(() => Effect.never, { keepAlive: false })))
      yield* Effect.yieldNow
      assert.strictEqual(yield* alarms, 0)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.expired, 0)
      assert.isFalse(state.transport.isDestroyed)
      state.transport.handlers!.onClosed(undefined)
    }))

  it.effect("a route under another Clock than its server's takes nobody's deadline away", () =>
    Effect.gen(function*() {
      const { serve, state } = one(10_000)
      const others = one(10_000)
      const clock = yield* Clock.Clock
      const another: Clock.Clock = Object.create(clock)
      yield* Effect.forkChild(others.serve(Effect.never))
      const route = WebSocketServer.handle(() => Effect.never, { keepAlive: false })
      const fiber = yield* Effect.forkChild(serve(Effect.provideService(route, Clock.Clock, another)))
      yield* Effect.yieldNow
      assert.strictEqual(yield* alarms, 1)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([others.state.expired, state.expired], [1, 0])
      state.transport.handlers!.onClosed(undefined)
    }))

  it.effect("what is served within another, under another Clock, has one deadline: the last", () =>
    Effect.gen(function*() {
      const own = new Own()
      const request = Object.assign(HttpServerRequest.fromWeb(new Request("http://a/")), { [HttpUpgrade.pending]: own })
      const { serve } = one(10_000, request)
      const another: Clock.Clock = Object.create(yield* Clock.Clock)
      const others = one(10_000)
      yield* Effect.forkChild(others.serve(Effect.never))
      const fiber = yield* Effect.forkChild(serve(Effect.provideService(serve(Effect.never), Clock.Clock, another)))
      yield* Effect.yieldNow
      assert.isUndefined(fiber.pollUnsafe())
      assert.strictEqual(yield* alarms, 1)
      const inner = yield* Effect.provideService(alarms, Clock.Clock, another)
      assert.strictEqual(inner, 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(others.state.expired, 1)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("Infinity turns it off", () =>
    Effect.gen(function*() {
      const { serve, state } = one(Infinity)
      yield* Effect.forkChild(serve(Effect.never))
      yield* TestClock.adjust("10 days")
      assert.strictEqual(yield* alarms, 0)
      assert.strictEqual(state.expired, 0)
    }))
})

/** What a server keeps of a request that upgrades by itself. */
class Own implements HttpUpgrade.PendingUpgrade {
  isAccepted = false
  refused: HandshakeError | undefined
  readonly fiber = undefined
  expired = 0
  private deadline: HttpUpgrade.HandshakeDeadline | undefined

  begin(deadline: HttpUpgrade.HandshakeDeadline | undefined): void {
    this.end()
    this.deadline = deadline
    deadline?.start()
  }

  end(): void {
    this.deadline?.stop()
  }

  expire(): void {
    this.expired++
  }
}

describe("HttpUpgrade: a request that upgrades by itself", () => {
  it.effect("is handed on as it is, and expires by itself", () =>
    Effect.gen(function*() {
      const own = new Own()
      const request = Object.assign(HttpServerRequest.fromWeb(new Request("http://a/")), { [HttpUpgrade.pending]: own })
      const { serve, state } = one(10_000, request)
      let seen: unknown
      const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        seen = request
        return Effect.never
      })
      yield* Effect.forkChild(serve(handler))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(seen, request)
      assert.deepStrictEqual([own.expired, state.expired], [1, 0])
    }))

  it.effect("a handler that puts another request in its place answers as it does", () =>
    Effect.gen(function*() {
      const { serve } = one(10_000)
      const response = yield* serve(Effect.withFiber((fiber) => {
        const other = HttpServerRequest.fromWeb(new Request("http://b/"))
        fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, other))
        return Effect.succeed(HttpServerResponse.empty({ status: 418 }))
      }))
      assert.strictEqual(response.status, 418)
    }))

  it.effect("what its upgrader refused answers with the status that fits", () =>
    Effect.gen(function*() {
      const own = new Own()
      const request = Object.assign(HttpServerRequest.fromWeb(new Request("http://a/")), { [HttpUpgrade.pending]: own })
      const { serve, upgrades } = one(10_000, request)
      const { upgradeWith } = HttpUpgrade.makeUpgrader({ ...upgrades, find: () => undefined })
      const handler = Effect.scoped(Effect.flatMap(upgradeWith(request, own, {}), (socket) => socket.reader))
      const response = yield* serve(Effect.as(Effect.ignore(handler), HttpServerResponse.empty()))
      assert.strictEqual(response.status, 400)
      assert.strictEqual(own.refused?.reason, "HostInvalid")
    }))
})
