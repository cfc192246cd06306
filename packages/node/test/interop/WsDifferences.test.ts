/** What `docs/migration.md` says differs between `ws` and this library, seen on both. */
import { Limits, Opcode, WebSocketServer } from "@effect-ws/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { type WebSocket, WebSocketServer as WsServer } from "ws"
import { clientFrame, connectRaw, connectUpgraded, loopTurns, until, upgradeRequest } from "../support/RawPeer.ts"
import { serve } from "../support/Serve.ts"

const wsServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = new WsServer({ port: 0, host: "127.0.0.1" })
    await once(server, "listening")
    // An error without a listener would end the process.
    server.on("connection", (ws) => ws.on("error", () => {}))
    return { server, port: (server.address() as AddressInfo).port }
  }),
  ({ server }) =>
    Effect.sync(() => {
      for (const ws of server.clients) ws.terminate()
      server.close()
    })
)

const ours = Effect.map(
  serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))),
  ({ port }) => port
)

const foreign = { Origin: "https://elsewhere.example" }

const statusOf = Effect.fnUntraced(function*(port: number) {
  const peer = yield* connectRaw(port)
  peer.write(upgradeRequest("/", foreign))
  return (yield* peer.head).status
})

/** The code of the Close that answers text whose first fragment is not UTF-8, before its last fragment is sent. */
const closeWithinMessage = Effect.fnUntraced(function*(port: number) {
  const peer = yield* connectUpgraded(port)
  peer.write(clientFrame(Opcode.Text, Uint8Array.of(0xff), false), clientFrame(Opcode.Ping, "alive"))
  const [frame] = yield* peer.untilFrames(1)
  return frame!.opcode === Opcode.Close ? (frame!.data[0]! << 8) | frame!.data[1]! : undefined
})

describe("differences from ws", () => {
  it.live("defaults: message size, fragments, closing handshake", () =>
    Effect.gen(function*() {
      const { server } = yield* wsServer
      const { closeTimeout, maxFragments, maxPayload } = server.options as unknown as Record<string, number>
      assert.deepStrictEqual({ closeTimeout, maxFragments, maxPayload }, {
        closeTimeout: 30_000,
        maxFragments: 16 * 1024,
        maxPayload: 100 * 1024 * 1024
      })
      assert.deepStrictEqual(
        [Limits.defaults.closeTimeout, Limits.defaults.fragments.max, Limits.defaults.maxMessageSize],
        [5_000, 131_072, 1024 * 1024]
      )
    }))

  it.live("pages of other hosts", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* statusOf((yield* wsServer).port), 101)
      assert.strictEqual(yield* statusOf(yield* ours), 403)
    }))

  it.live("invalid UTF-8 in a message of several frames", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* closeWithinMessage((yield* wsServer).port), "ws answers the Ping")
      assert.strictEqual(yield* closeWithinMessage(yield* ours), 1007)
    }))

  it.live("a peer that reads nothing", () =>
    Effect.gen(function*() {
      const { port, server } = yield* wsServer
      const connected = once(server, "connection")
      const peer = yield* connectUpgraded(port)
      peer.socket.pause()
      const [ws] = (yield* Effect.promise(() => connected)) as [WebSocket]
      const size = 1024 * 1024
      for (let i = 0; i < 32; i++) ws.send(Buffer.alloc(size))
      assert.isAbove(ws.bufferedAmount, 16 * size, "ws keeps everything")
      ws.terminate()

      let sent = 0
      const { port: ourPort } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        WebSocketServer.handle((ws) =>
          Effect.forEach(Array.from({ length: 32 }), () =>
            Effect.andThen(ws.send(new Uint8Array(size)), Effect.sync(() => sent++)))
        )
      ))
      const slow = yield* connectUpgraded(ourPort)
      slow.socket.pause()
      yield* until("a message was sent", () => sent > 0)
      yield* loopTurns
      assert.isBelow(sent, 16, "senders wait")
    }))

  it.live("sending after the end", () =>
    Effect.gen(function*() {
      const { port, server } = yield* wsServer
      const connected = once(server, "connection")
      const peer = yield* connectUpgraded(port)
      const [ws] = (yield* Effect.promise(() => connected)) as [WebSocket]
      const closed = once(ws, "close")
      peer.socket.destroy()
      yield* Effect.promise(() => closed)
      ws.send("lost") // no error where nothing listens for it
      const error = yield* Effect.promise(() => new Promise((resolve) => ws.send("late", resolve)))
      assert.instanceOf(error, Error)
    }))
})
