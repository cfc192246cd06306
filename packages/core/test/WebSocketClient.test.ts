/** Connecting, without a network: connectors made by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as WebSocket from "../src/WebSocket.ts"
import * as WebSocketClient from "../src/WebSocketClient.ts"
import { IOError } from "../src/WebSocketError.ts"
import { FakeTransport } from "./support/FakeTransport.ts"

type Open = WebSocketClient.Connector["Service"]["open"]

const connect = (open: Open, url = "ws://a.example/", options: WebSocketClient.ConnectOptions = {}) =>
  Effect.provideService(WebSocketClient.connect(url, options), WebSocketClient.Connector, { open })

const agreed = (transport: FakeTransport): WebSocketClient.Opened => ({
  make: (options) => WebSocket.make(transport, options),
  subprotocol: "v1",
  responseHeaders: [["x-a", "1"]]
})

describe("connect", () => {
  it.effect("asks its connector, and is a connection over what that opened", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const options = { headers: { "x-b": "2" }, closeTimeout: 10 }
      const ws = yield* connect((url, given) => {
        asked.push(url, given)
        return Effect.succeed(agreed(new FakeTransport()))
      }, "ws://a.example/", options)
      assert.deepStrictEqual(asked, ["ws://a.example/", options])
      assert.deepInclude({ ...ws, role: ws.role }, { role: "client", subprotocol: "v1", responseHeaders: [["x-a", "1"]] })
      yield* Effect.addFinalizer(() => TestClock.adjust("1 minute"))
    }))

  it.effect("gives up after handshakeTimeout, and drops what was dialled at once", () =>
    Effect.gen(function*() {
      const dropped: Array<string> = []
      const open: Open = () =>
        Effect.andThen(Effect.addFinalizer((exit) => Effect.sync(() => dropped.push(exit._tag))), Effect.never)
      const fiber = yield* Effect.forkChild(Effect.flip(connect(open, "ws://a.example/", { handshakeTimeout: "2 seconds" })))
      yield* TestClock.adjust(1999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "IOError", phase: "handshake", reason: "TimedOut" })
      assert.deepStrictEqual(dropped, ["Failure"])
    }))

  it.effect("waits for ever where nothing else is said", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<WebSocketClient.Opened>()
      const open: Open = () => Deferred.await(answer)
      const scope = yield* Scope.make()
      const options = { handshakeTimeout: Infinity, closeTimeout: 10 }
      const fiber = yield* Effect.forkChild(Scope.provide(connect(open, "ws://a.example/", options), scope))
      yield* TestClock.adjust("1 hour")
      const transport = new FakeTransport()
      yield* Deferred.succeed(answer, agreed(transport))
      assert.strictEqual((yield* Fiber.join(fiber)).role, "client")
      transport.closes()
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("fails with what its connector fails with, whose scope is closed by then", () =>
    Effect.gen(function*() {
      const refused = new IOError({ phase: "connect", reason: "Refused", detail: "nobody" })
      let isClosed = false
      const open: Open = () =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => {
            isClosed = true
          })),
          Effect.fail(refused)
        )
      assert.strictEqual(yield* Effect.flip(connect(open)), refused)
      assert.isTrue(isClosed)
    }))

  it.effect("is interrupted at once", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.scoped(connect(() => Effect.never)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isDefined(fiber.pollUnsafe())
    }))
})
