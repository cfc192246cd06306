/** What `docs/migration.md` says differs between socket.io and this library, seen on both. */
import { Contract, Limits, ReconnectingClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server, type Socket } from "socket.io"
import { io, type Socket as Client } from "socket.io-client"
import { WebSocket } from "ws"
import { connectRaw, connectUpgraded, loopTurns, until, upgradeRequest } from "../support/RawPeer.ts"
import { serve } from "../support/Serve.ts"

const socketIoServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const http = createServer()
    const server = new Server(http)
    http.listen(0, "127.0.0.1")
    await once(http, "listening")
    return { server, port: (http.address() as AddressInfo).port }
  }),
  ({ server }) => Effect.promise(() => server.close())
)

const socketIoClient = (port: number) =>
  Effect.acquireRelease(
    Effect.sync((): Client => io(`http://127.0.0.1:${port}`, { autoConnect: false })),
    (client) => Effect.sync(() => client.disconnect())
  )

const path = "/socket.io/?EIO=4&transport=websocket"

/** A connection to socket.io by a plain WebSocket, which has joined; what it receives is kept. */
const joined = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`)
      const received: Array<string | Buffer> = []
      ws.on("message", (data: Buffer, isBinary) => received.push(isBinary ? data : data.toString()))
      await once(ws, "open")
      ws.send("40")
      return { ws, received }
    }),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

const connection = (server: Server) =>
  Effect.promise(() => new Promise<Socket>((resolve) => void server.once("connection", resolve)))

const echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))

describe("differences from socket.io", () => {
  it.live("transport: long polling first", () =>
    Effect.gen(function*() {
      const { port } = yield* socketIoServer
      const client = yield* socketIoClient(port)
      const transports: Array<string> = []
      client.io.once("open", () => {
        transports.push(client.io.engine.transport.name)
        client.io.engine.once("upgrade", ({ name }) => transports.push(name))
      })
      client.connect()
      yield* until("it changed", () => transports.length === 2)
      assert.deepStrictEqual(transports, ["polling", "websocket"])
    }))

  it.live("encoding: packets of its own", () =>
    Effect.gen(function*() {
      const { port, server } = yield* socketIoServer
      const connecting = yield* Effect.forkChild(connection(server), { startImmediately: true })
      const { received } = yield* joined(port)
      const socket = yield* Fiber.join(connecting)
      socket.emit("said", "hello", Buffer.from([1, 2, 3]))
      yield* until("the packets arrived", () => received.length === 4)
      assert.match(String(received[0]), /^0\{"sid":/)
      assert.match(String(received[1]), /^40\{"sid":/)
      assert.strictEqual(received[2], `451-["said","hello",{"_placeholder":true,"num":0}]`)
      assert.deepStrictEqual(received[3], Buffer.from([1, 2, 3]))
    }))

  it.live("defaults: largest message, keepalive, delays of a client", () =>
    Effect.gen(function*() {
      const { port, server } = yield* socketIoServer
      const { maxHttpBufferSize, pingInterval, pingTimeout } = server.engine.opts as unknown as Record<string, number>
      assert.deepStrictEqual({ maxHttpBufferSize, pingInterval, pingTimeout }, {
        maxHttpBufferSize: 1e6,
        pingInterval: 25_000,
        pingTimeout: 20_000
      })
      assert.deepStrictEqual(
        [Limits.defaults.maxMessageSize, Limits.defaults.keepAlive],
        [1024 * 1024, { interval: 20_000, timeout: 20_000 }]
      )
      const { io: manager } = yield* socketIoClient(port)
      assert.deepStrictEqual(
        [manager.reconnectionDelay(), manager.reconnectionDelayMax(), manager.randomizationFactor(), manager.reconnectionAttempts()],
        [1000, 5000, 0.5, Infinity]
      )
    }))

  it.live("a message that is too large", () =>
    Effect.gen(function*() {
      const { port } = yield* socketIoServer
      const { ws } = yield* joined(port)
      const closed = once(ws, "close")
      ws.send("x".repeat(1_000_001))
      assert.strictEqual((yield* Effect.promise(() => closed))[0], 1009)
    }))

  it.live("pages of other hosts", () =>
    Effect.gen(function*() {
      const foreign = { Origin: "https://elsewhere.example" }
      const { port } = yield* socketIoServer
      const theirs = yield* connectRaw(port)
      theirs.write(upgradeRequest(path, foreign))
      assert.strictEqual((yield* theirs.head).status, 101)
      const polled = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`, { headers: foreign }))
      assert.isNull(polled.headers.get("access-control-allow-origin"))

      const ours = yield* connectRaw((yield* serve(echo)).port)
      ours.write(upgradeRequest("/", foreign))
      assert.strictEqual((yield* ours.head).status, 403)
    }))

  it.live("a refusal: socket.io's client comes back for ever", () =>
    Effect.gen(function*() {
      let asked = 0
      const refusing = HttpRouter.add(
        "GET",
        "/*",
        Effect.suspend(() => {
          asked++
          return Effect.succeed(HttpServerResponse.text("no", { status: 403 }))
        })
      )
      const { port } = yield* serve(refusing)
      const client = yield* socketIoClient(port)
      client.io.reconnectionDelay(10)
      client.connect()
      yield* until("it asked three times", () => asked >= 3)
      client.disconnect()

      const ending = yield* ReconnectingClient.make(`ws://127.0.0.1:${port}/`)
      const last = yield* Stream.runLast(ending.statuses)
      assert.deepInclude(last._tag === "Some" ? last.value : {}, { _tag: "Ended" })
    }).pipe(Effect.provide(NodeWebSocketClient.layer)))

  it.live("a client that reads nothing", () =>
    Effect.gen(function*() {
      const size = 900_000
      const { port, server } = yield* socketIoServer
      const connecting = yield* Effect.forkChild(connection(server), { startImmediately: true })
      const { ws } = yield* joined(port)
      const socket = yield* Fiber.join(connecting)
      ws.pause()
      for (let i = 0; i < 32; i++) socket.emit("large", "x".repeat(size))
      yield* loopTurns
      const { transport, writeBuffer } = socket.conn as unknown as {
        readonly transport: { readonly socket: WebSocket }
        readonly writeBuffer: ReadonlyArray<unknown>
      }
      assert.isAbove(transport.socket.bufferedAmount + size * writeBuffer.length, 16 * size, "socket.io keeps everything")

      let sent = 0
      const { port: ourPort } = yield* serve(HttpRouter.add(
        "GET",
        "/",
        WebSocketServer.handle((ws) =>
          Effect.forEach(Array.from({ length: 32 }), () => Effect.andThen(ws.send("x".repeat(size)), Effect.sync(() => sent++))))
      ))
      const slow = yield* connectUpgraded(ourPort)
      slow.socket.pause()
      yield* until("a message was sent", () => sent > 0)
      yield* loopTurns
      assert.isBelow(sent, 16, "senders wait")
    }))

  it.live("types", () =>
    Effect.gen(function*() {
      const { port, server } = yield* socketIoServer
      const connecting = yield* Effect.forkChild(connection(server), { startImmediately: true })
      const { ws } = yield* joined(port)
      const socket = yield* Fiber.join(connecting)
      const got = new Promise((resolve) => void socket.on("count", resolve))
      ws.send(`42["count","not a number"]`)
      assert.strictEqual(yield* Effect.promise(() => got), "not a number")

      const Count = Contract.make("count", { toServer: Schema.Number, toClient: Schema.Never })
      const route = Contract.handle(Count, (connection) => Stream.runDrain(connection.messages), { requireSubprotocol: false })
      const ours = new WebSocket(`ws://127.0.0.1:${(yield* serve(HttpRouter.add("GET", "/", route))).port}/`)
      const closed = once(ours, "close")
      ours.once("open", () => ours.send(`"not a number"`))
      assert.strictEqual((yield* Effect.promise(() => closed))[0], 1008)
    }))
})
