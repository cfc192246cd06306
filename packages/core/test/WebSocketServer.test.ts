/** Whom a server lets in, without a server: requests and transports made by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import { ConnectionTable } from "../src/server/OpenConnections.ts"
import { type HandshakeError, IOError } from "../src/WebSocketError.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import { FakeTransport } from "./support/FakeTransport.ts"

const headers: ReadonlyArray<readonly [string, string]> = [
  ["Host", "127.0.0.1"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ["Sec-WebSocket-Version", "13"]
]

const asTable = (connections: WebSocketServer.OpenConnections): ConnectionTable =>
  connections instanceof ConnectionTable ? connections : assert.fail("not a table")

interface Asking {
  readonly address?: string | undefined
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly options?: WebSocketServer.AcceptOptions
  readonly open?: (transport: FakeTransport) => ReturnType<WebSocketServer.Upgrade["open"]>
}

/** A request of one client, and what becomes of it. */
const ask = Effect.fnUntraced(function*(connections: WebSocketServer.OpenConnections, asking: Asking = {}) {
  const transport = new FakeTransport()
  const all = [...headers, ...asking.headers ?? []]
  const request = HttpServerRequest.fromWeb(new Request("http://127.0.0.1/", { headers: all.slice(3).map(([name, value]) => [name, value] as [string, string]) }))
    .modify({ remoteAddress: Option.fromNullishOr(asking.address) })
  const scope = yield* Scope.make()
  // The fiber of the test goes on when a connection of its ends.
  const ws = yield* WebSocketServer.accept({ onDisconnect: "ignore", ...asking.options }).pipe(
    Effect.provideService(HttpServerRequest.HttpServerRequest, request),
    Effect.provideService(WebSocketServer.Upgrades, {
      connections,
      find: () => ({
        request: { method: "GET", httpVersion: "1.1", headers: all },
        open: () => asking.open?.(transport) ?? transport
      })
    }),
    Scope.provide(scope)
  )
  return { ws, transport, scope }
})

const refused = (connections: WebSocketServer.OpenConnections, asking?: Asking) =>
  Effect.map(Effect.flip(ask(connections, asking)), (error) => error as HandshakeError)

describe("WebSocketServer", () => {
  describe("accept on a platform that hands the connection over later", () => {
    it.effect("waits for it", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections()
        const later = yield* Deferred.make<FakeTransport>()
        const asked = yield* Effect.forkChild(ask(connections, { open: () => Deferred.await(later) }))
        yield* Effect.yieldNow
        assert.isUndefined(asked.pollUnsafe())
        assert.strictEqual(connections.size, 1, "it has its place")
        const transport = new FakeTransport()
        yield* Deferred.succeed(later, transport)
        const { ws } = yield* Fiber.join(asked)
        assert.strictEqual(ws.role, "server")
        transport.closes()
        assert.strictEqual(connections.size, 0)
      }))

    it.effect("fails with the IOError of one that broke meanwhile, and leaves its place", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections()
        const broken = new IOError({ phase: "handshake", reason: "Reset", detail: "gone" })
        assert.strictEqual(yield* Effect.flip(ask(connections, { open: () => Effect.fail(broken) })), broken)
        assert.strictEqual(connections.size, 0)
      }))

    it.effect("is interrupted at once, and leaves its place", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections()
        const dropped: Array<string> = []
        const open = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => dropped.push("dropped")))
        const asked = yield* Effect.forkChild(Effect.uninterruptible(ask(connections, { open })))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(asked)
        assert.deepStrictEqual(dropped, ["dropped"])
        assert.strictEqual(connections.size, 0)
      }))
  })

  describe("makeConnections", () => {
    it.effect("in total: one more is refused with 503 and Retry-After", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ maxConnections: 2 })
        const first = yield* ask(connections)
        yield* ask(connections)
        assert.deepInclude(yield* refused(connections), {
          reason: "TooManyConnections",
          status: 503,
          headers: [["retry-after", "1"]]
        })
        first.transport.closes()
        yield* ask(connections)
      }))

    it.effect("for each address: one more is refused with 429 and Retry-After", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ perAddress: { connections: 2 } })
        const a = { address: "203.0.113.1" }
        const first = yield* ask(connections, a)
        yield* ask(connections, a)
        assert.deepInclude(yield* refused(connections, a), {
          reason: "TooManyFromAddress",
          status: 429,
          headers: [["retry-after", "1"]]
        })
        assert.strictEqual(connections.size, 2)
        yield* ask(connections, { address: "203.0.113.2" })
        first.transport.resets()
        yield* ask(connections, a)
        yield* refused(connections, a)
      }))

    it.effect("of several processes each takes its part of all limits", () =>
      Effect.gen(function*() {
        const total = WebSocketServer.makeConnections({ maxConnections: 7, processes: 4 })
        yield* ask(total)
        yield* ask(total)
        assert.strictEqual((yield* refused(total)).reason, "TooManyConnections")

        const each = WebSocketServer.makeConnections({ perAddress: { connections: 2 }, processes: 4 })
        yield* ask(each, { address: "203.0.113.1" })
        assert.strictEqual((yield* refused(each, { address: "203.0.113.1" })).reason, "TooManyFromAddress")

        const often = WebSocketServer.makeConnections({
          perAddress: { upgrades: { count: 5, interval: "30 seconds" } },
          processes: 4
        })
        for (let i = 0; i < 2; i++) (yield* ask(often, { address: "203.0.113.1" })).transport.closes()
        assert.strictEqual((yield* refused(often, { address: "203.0.113.1" })).reason, "TooManyUpgrades")

        assert.throws(() => WebSocketServer.makeConnections({ processes: 0 }), /whole number/)
      }))

    it.effect("a place of the address is not taken where the total has none", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ maxConnections: 1, perAddress: { connections: 1 } })
        const first = yield* ask(connections, { address: "203.0.113.1" })
        assert.strictEqual((yield* refused(connections, { address: "203.0.113.2" })).reason, "TooManyConnections")
        first.transport.closes()
        yield* ask(connections, { address: "203.0.113.2" })
      }))

    it.effect("an IPv6 network counts as one, and so do requests without an address", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ perAddress: { connections: 1 } })
        yield* ask(connections, { address: "2001:db8::1" })
        yield* refused(connections, { address: "2001:db8::ffff:2" })
        yield* ask(connections, { address: "2001:db8:0:1::1" })
        yield* ask(connections)
        assert.strictEqual((yield* refused(connections)).status, 429)
      }))

    it.effect("upgrades in a time: 429 with the seconds to wait", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({
          perAddress: { upgrades: { count: 3, interval: "30 seconds" } }
        })
        const a = { address: "203.0.113.1" }
        for (let i = 0; i < 3; i++) (yield* ask(connections, a)).transport.closes()
        assert.deepInclude(yield* refused(connections, a), {
          reason: "TooManyUpgrades",
          status: 429,
          headers: [["retry-after", "10"]]
        })
        yield* ask(connections, { address: "203.0.113.2" })
        yield* TestClock.adjust("9 seconds")
        assert.deepInclude(yield* refused(connections, a), { headers: [["retry-after", "1"]] })
        yield* TestClock.adjust("1 second")
        yield* ask(connections, a)
        yield* refused(connections, a)
      }))

    it.effect("a malformed upgrade counts, since it costs too", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ perAddress: { upgrades: { count: 1, interval: 1000 } } })
        assert.strictEqual((yield* refused(connections, { headers: [["Sec-WebSocket-Key", "again"]] })).reason, "KeyInvalid")
        assert.strictEqual((yield* refused(connections)).reason, "TooManyUpgrades")
      }))

    it.effect("X-Forwarded-For is not believed unless a middleware says so", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ perAddress: { connections: 1 } })
        const from = (forwarded: string) => ({ address: "203.0.113.1", headers: [["X-Forwarded-For", forwarded]] as const })
        yield* ask(connections, from("198.51.100.1"))
        assert.strictEqual((yield* refused(connections, from("198.51.100.2"))).reason, "TooManyFromAddress")
      }))

    it.effect("by default ten thousand from one address at once are let in", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections()
        for (let i = 0; i < 10_000; i++) assert.isNotString(asTable(connections).admit("127.0.0.1"))
        assert.strictEqual(connections.size, 10_000)
      }))

    const step = Schema.Struct({
      what: Schema.Literals(["ask", "malformed", "throws", "reset", "scope", "wait"]),
      who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
      which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
    })

    it.effect("a connection whose span cannot be made gives its place back, and is cut", () =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({ maxConnections: 1 })
        const dying = Tracer.make({
          span: () => {
            throw new Error("no span")
          }
        })
        const exit = yield* Effect.exit(Effect.provideService(ask(connections), Tracer.Tracer, dying))
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(connections.size, 0)
        yield* ask(connections)
      }))

    it.effect.prop("counters never leak, whatever happens in whatever order", {
      steps: Arbitrary.array(Arbitrary.schema(step), { maxLength: 50 })
    }, ({ steps }) =>
      Effect.gen(function*() {
        const connections = WebSocketServer.makeConnections({
          maxConnections: 5,
          perAddress: { connections: 3, upgrades: { count: 20, interval: "10 seconds" } }
        })
        const open: Array<{ readonly who: number; readonly transport: FakeTransport; readonly scope: Scope.Closeable }> = []
        for (const { what, which, who } of steps) {
          const address = `203.0.113.${who}`
          const one = open[which % Math.max(open.length, 1)]
          if (what === "ask") {
            const mine = open.filter((other) => other.who === who).length
            const exit = yield* Effect.exit(ask(connections, { address }))
            if (Exit.isSuccess(exit)) open.push({ who, ...exit.value })
            if (open.length > 5 || mine + (Exit.isSuccess(exit) ? 1 : 0) > 3) assert.fail("too many")
          } else if (what === "malformed") {
            yield* refused(connections, { address, headers: [["Host", "again"]] })
          } else if (what === "throws") {
            // What an extension throws when it is opened.
            yield* Effect.exit(ask(connections, {
              address,
              headers: [["Sec-WebSocket-Extensions", "x-broken"]],
              options: {
                extensions: [{
                  name: "x-broken",
                  offers: [],
                  agree: () => assert.fail("a client's"),
                  answer: () => ({ params: [], open: () => assert.fail("no") })
                }]
              }
            }))
          } else if (one !== undefined) {
            if (what === "reset") one.transport.resets()
            else if (what === "scope") {
              one.transport.peerEnds()
              yield* Scope.close(one.scope, Exit.void)
            }
            if (one.transport.isClosed) open.splice(open.indexOf(one), 1)
          }
          if (what === "wait") yield* TestClock.adjust("1 second")
          assert.strictEqual(connections.size, open.length)
          for (const who of [0, 1, 2]) {
            assert.strictEqual(asTable(connections).addresses!.count(`203.0.113.${who}`), open.filter((other) => other.who === who).length)
          }
        }
        for (const { transport } of open) transport.closes()
        assert.strictEqual(connections.size, 0)
        assert.strictEqual(asTable(connections).addresses!["open"].size, 0)
      }))
  })
})
