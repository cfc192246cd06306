/**
 * How connections end on real sockets, plain and TLS, to a peer that works on what it was sent and
 * says something now and then: everything that was sent arrives, whoever ends the connection and how.
 */
import { assert, describe, it } from "@effect/vitest"
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeTuning, NodeWebSocketClient } from "@effect-ws/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import { serve } from "../support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/../support/tls/${name}`)

const links = {
  plain: { scheme: "ws", evaluate: () => Http.createServer() },
  TLS: { scheme: "wss", evaluate: () => Https.createServer({ cert: file("server.pem"), key: file("server.key") }) }
}

const dialers = {
  HttpClient: NodeWebSocketClient.layer,
  "HttpClient, its Socket": Layer.provide(NodeWebSocketClient.layer, NodeTuning.layerPortable),
  direct: NodeWebSocketClient.layerDirectOptions({ tls: { ca: file("ca.pem") } })
}

const count = 6
const part = new Uint8Array(1_000_000).fill(7)
// Far below what the peer takes to read everything, as its own and as TCP's buffers go.
const limits = { compression: false, closeTimeout: 250 } as const

/** Works on each message for longer than the closing deadline, and says so: a reset would show. */
const slowReader = (ws: WebSocket.WebSocket) =>
  Effect.gen(function*() {
    let got = 0
    const exit = yield* Effect.exit(ws.messages.pipe(Stream.runForEach((message) =>
      Effect.gen(function*() {
        assert.strictEqual(message.length, part.length)
        got++
        yield* Effect.sleep(300)
        yield* Effect.ignore(ws.send("ack"))
      }))))
    return { got, exit, closed: yield* ws.closed }
  })

const sendAll = (ws: WebSocket.WebSocket) => Effect.forEach(Array.from({ length: count }), () => ws.send(part), { discard: true })

const ends: Readonly<Record<string, (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>>> = {
  "by close": (ws) => Effect.andThen(sendAll(ws), ws.close(1000)),
  "by the scope's end": sendAll,
  "by a failure, all flushed": (ws) => Effect.andThen(Effect.andThen(sendAll(ws), ws.flush), Effect.fail("done"))
}

const codes: Readonly<Record<string, number>> = { "by a failure, all flushed": 1011 }

for (const [link, { evaluate, scheme }] of Object.entries(links)) {
  // Nearly all of the time is the slow peers', which do not hinder each other.
  describe.concurrent(`over ${link}`, () => {
    const dialing = link === "plain" ? Object.entries(dialers) : [["direct", dialers.direct] as const]
    for (const [dialer, layer] of dialing) {
      for (const [how, end] of Object.entries(ends)) {
        it.live(`a server ${how} (${dialer})`, () =>
          Effect.gen(function*() {
            const handler = WebSocketServer.handle((ws) => Effect.orDie(Effect.ignore(end(ws))), limits)
            const failing = WebSocketServer.handle((ws) => end(ws), limits).pipe(Effect.orDie)
            const { port } = yield* serve(HttpRouter.add("GET", "/", codes[how] === 1011 ? failing : handler), { evaluate })
            const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/`, { compression: false })
            const { closed, exit, got } = yield* slowReader(ws)
            assert.isTrue(Exit.isSuccess(exit), String(exit))
            assert.strictEqual(got, count)
            assert.deepInclude(closed, { code: codes[how] ?? 1000, initiator: "remote", clean: true })
          }).pipe(Effect.provide(layer)))

        it.live(`a client ${how} (${dialer})`, () =>
          Effect.gen(function*() {
            const outcome = yield* Deferred.make<Effect.Success<ReturnType<typeof slowReader>>>()
            const route = WebSocketServer.handle((ws) => Effect.flatMap(slowReader(ws), (read) => Deferred.succeed(outcome, read)), {
              compression: false,
              onDisconnect: { grace: "1 minute" }
            })
            const { port } = yield* serve(HttpRouter.add("GET", "/", route), { evaluate })
            yield* Effect.flatMap(WebSocketClient.connect(`${scheme}://localhost:${port}/`, limits), end).pipe(Effect.scoped, Effect.ignore)
            const { closed, exit, got } = yield* Deferred.await(outcome)
            assert.isTrue(Exit.isSuccess(exit), String(exit))
            assert.strictEqual(got, count)
            assert.deepInclude(closed, { code: codes[how] ?? 1000, initiator: "remote" })
            // Behind TLS's end the answer to a Close cannot be sent any more.
            if (link === "plain") assert.isTrue(closed.clean)
          }).pipe(Effect.provide(layer)))
      }
    }

    it.live("a server by its shutdown, within its grace", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const sent = yield* Deferred.make<void>()
        const route = WebSocketServer.handle((ws) =>
          sendAll(ws).pipe(Effect.andThen(Deferred.succeed(sent, undefined)), Effect.andThen(Effect.never)), limits)
        const { port } = yield* serve(HttpRouter.add("GET", "/", route), { evaluate, shutdown: { grace: "20 seconds", reason: "restart" } }).pipe(
          Scope.provide(scope)
        )
        const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/`, { compression: false })
        const reading = yield* Effect.forkChild(slowReader(ws))
        yield* Deferred.await(sent)
        yield* Scope.close(scope, Exit.void)
        const { closed, got } = yield* Fiber.join(reading)
        assert.strictEqual(got, count)
        assert.deepInclude(closed, { code: 1001, reason: "restart", initiator: "remote", clean: true })
      }).pipe(Effect.provide(dialers.direct)))
  })
}
