/** What many connections, opened and ended in every way, leave behind: nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Deadlines from "../../core/src/runtime/Deadlines.ts"
import { clientFrame, closeBody, connectRaw, connectUpgraded, type RawPeer, settles, upgradeRequest } from "./support/RawPeer.ts"
import { openSockets, serve } from "./support/Serve.ts"

const serveWatched = Effect.fnUntraced(function*(acceptAfter = 0) {
  let connections: { readonly size: number } | undefined
  let handlers = 0
  const served = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
    const upgrades = yield* Effect.serviceOption(WebSocketServer.Upgrades)
    if (upgrades._tag === "Some") connections = upgrades.value.connections
    if (acceptAfter > 0) yield* Effect.sleep(acceptAfter)
    return yield* WebSocketServer.handle((ws) =>
      Effect.suspend(() => {
        handlers++
        return Effect.ensuring(Stream.run(ws.messages, ws.sink), Effect.sync(() => handlers--))
      }), { closeTimeout: 200 })
  })))
  return { ...served, connections: () => connections?.size ?? -1, handlers: () => handlers }
})

const heapSize = (deadlines: Deadlines.Deadlines): number => deadlines["heap"].length

const ways: ReadonlyArray<readonly [string, (peer: RawPeer) => void]> = [
  ["closes", (peer) => {
    peer.write(clientFrame(Opcode.Text, "bye"), clientFrame(Opcode.Close, closeBody(1000)))
    peer.socket.end()
  }],
  ["ends", (peer) => peer.socket.end()],
  ["resets", (peer) => peer.reset()],
  ["resets with bytes on the way", (peer) => {
    peer.write(clientFrame(Opcode.Binary, new Uint8Array(20_000)))
    setImmediate(() => peer.reset())
  }],
  ["leaves within a frame", (peer) => {
    peer.write(clientFrame(Opcode.Text, "half").subarray(0, 5))
    peer.socket.destroySoon()
  }],
  ["breaks a rule and goes", (peer) => {
    peer.write(Uint8Array.of(0xf1, 0x00))
    peer.socket.destroySoon()
  }]
]

describe("leaks", () => {
  it.live("500 connections that end in every way leave sockets, places, deadlines and handlers as they were", () =>
    Effect.gen(function*() {
      const { connections, handlers, node, port } = yield* serveWatched()
      const deadlines = yield* Deadlines.current
      const atFirst = heapSize(deadlines)
      const resources = process.getActiveResourcesInfo().length
      const listeners = node.eventNames().map((name) => [name, node.listenerCount(name)])
      for (let round = 0; round < 5; round++) {
        const peers = yield* Effect.forEach(Array.from({ length: 96 }), () => connectUpgraded(port), { concurrency: 24 })
        peers.forEach((peer, i) => ways[i % ways.length]![1](peer))
        // Abandoned before they were answered.
        for (const cut of [0, 30, 100, 1000]) {
          const peer = yield* connectRaw(port)
          peer.write(upgradeRequest("/").slice(0, cut))
          setImmediate(() => peer.reset())
        }
      }
      yield* settles("places", Effect.sync(connections), (size) => size === 0)
      yield* settles("sockets", openSockets(node), (count) => count === 0)
      yield* settles("handlers", Effect.sync(handlers), (count) => count === 0)
      yield* settles("deadlines", Effect.sync(() => heapSize(deadlines)), (size) => size <= atFirst)
      yield* settles("resources", Effect.sync(() => process.getActiveResourcesInfo().length), (count) => count <= resources + 3)
      assert.deepStrictEqual(node.eventNames().map((name) => [name, node.listenerCount(name)]), listeners)
    }), 60_000)

  it.live("clients that leave while the route still thinks leave nothing", () =>
    Effect.gen(function*() {
      const { connections, node, port } = yield* serveWatched(100)
      for (let i = 0; i < 100; i++) {
        const peer = yield* connectRaw(port)
        peer.write(upgradeRequest("/"), clientFrame(Opcode.Text, "early"))
        setTimeout(() => i % 2 === 0 ? peer.reset() : peer.socket.end(), i)
      }
      yield* settles("sockets", openSockets(node), (count) => count === 0)
      assert.isAtMost(connections(), 0)
    }), 30_000)

  it.live("clients of ours, in one scope and layer, leave nothing either", () =>
    Effect.gen(function*() {
      const { connections, node, port } = yield* serveWatched()
      const deadlines = yield* Deadlines.current
      const atFirst = heapSize(deadlines)
      const url = `ws://127.0.0.1:${port}`
      yield* Effect.forEach(Array.from({ length: 200 }), (_, i) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const ws = yield* Scope.provide(WebSocketClient.connect(url, { closeTimeout: 200 }), scope)
          yield* ws.send("x")
          if (i % 2 === 0) yield* ws.receive
          yield* Scope.close(scope, i % 3 === 0 ? Exit.fail("failed") : Exit.void)
        }), { concurrency: 20 })
      // Refused, and given up at any moment.
      yield* Effect.forEach(Array.from({ length: 100 }), (_, i) =>
        Effect.ignore(Effect.timeout(Effect.scoped(WebSocketClient.connect(`${url}/${i % 2 === 0 ? "no" : ""}`)), i % 10)), {
        concurrency: 10
      })
      yield* settles("places", Effect.sync(connections), (size) => size === 0)
      // Undici keeps connections of refusals for other requests.
      yield* settles("sockets", openSockets(node), (count) => count <= 10)
      yield* settles("deadlines", Effect.sync(() => heapSize(deadlines)), (size) => size <= atFirst)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)), 30_000)
})

describe("resets", () => {
  const failures: Array<unknown> = []
  const note = (error: unknown) => failures.push(error)

  it.live("in every phase: no uncaught exception, and a typed error for who reads", () =>
    Effect.gen(function*() {
      process.on("uncaughtExceptionMonitor", note)
      const ended: Array<string> = []
      const record = (error: { readonly _tag: string; readonly reason?: unknown; readonly phase?: unknown }) =>
        Effect.sync(() => void ended.push(`${error._tag} ${String(error.phase)} ${String(error.reason)}`))
      const { node, port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Effect.tapError(Effect.forever(Effect.flatMap(ws.receive, ws.send)), record), { closeTimeout: 200 })))
      const whole = upgradeRequest("/")
      for (let cut = 0; cut <= whole.length; cut += 16) {
        const peer = yield* connectRaw(port)
        peer.write(whole.slice(0, cut))
        if (cut % 32 === 0) yield* Effect.sleep(1)
        peer.reset()
      }
      ended.length = 0
      const frame = clientFrame(Opcode.Text, "abcdefgh")
      for (let cut = 0; cut <= frame.length; cut++) {
        const peer = yield* connectUpgraded(port)
        peer.write(frame.subarray(0, cut))
        yield* Effect.sleep(2)
        peer.reset()
      }
      yield* settles("all ended", Effect.sync(() => ended.length), (count) => count >= frame.length + 1)
      for (const one of ended.slice(-frame.length)) assert.strictEqual(one, "IOError read Reset")

      // While both sides are closing.
      for (let i = 0; i < 10; i++) {
        const peer = yield* connectUpgraded(port)
        peer.write(clientFrame(Opcode.Close, closeBody(1000)))
        if (i % 2 === 0) yield* peer.untilFrames(1)
        peer.reset()
      }
      yield* settles("sockets", openSockets(node), (count) => count === 0)
      assert.deepStrictEqual(failures, [])
    }).pipe(Effect.ensuring(Effect.sync(() => process.off("uncaughtExceptionMonitor", note)))), 30_000)

  it.live("a half-closed client still gets the answers to what it sent", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))))
      const peer = yield* connectUpgraded(port, "/", {}, { allowHalfOpen: true })
      peer.write(clientFrame(Opcode.Text, "one"), clientFrame(Opcode.Text, "two"))
      peer.socket.end()
      yield* peer.untilEnded
      assert.deepStrictEqual(peer.texts(), ["one", "two"])
    }))
})
