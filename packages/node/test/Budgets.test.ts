/** Hostile peers against the budgets and deadlines of a server, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryBudget, Opcode, type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { clientFrame, connectRaw, connectUpgraded, type RawPeer, settles, until, upgradeRequest } from "./support/RawPeer.ts"
import { openSockets, portOf, serve, type ServeOptions } from "./support/Serve.ts"

const echo = (ws: WebSocket.WebSocket) => Stream.run(ws.messages, ws.sink)

const serveSocket = (options: WebSocketServer.AcceptOptions = {}, serveOptions?: ServeOptions) =>
  serve(HttpRouter.add("GET", "/", WebSocketServer.handle(echo, { closeTimeout: 200, ...options })), {
    shutdown: { grace: 100 },
    ...serveOptions
  })

/** The status of what a server answers. */
const statusOf = Effect.fnUntraced(function*(port: number, overrides?: Readonly<Record<string, string>>) {
  const peer = yield* connectRaw(port)
  peer.write(upgradeRequest("/", overrides))
  return { peer, ...yield* peer.head }
})

/** How a server closed: the code and reason of its Close frame. */
const closeOf = (peer: RawPeer): Effect.Effect<string> =>
  Effect.map(peer.untilEnded, () => {
    const close = peer.frames().find(({ opcode }) => opcode === Opcode.Close)
    assert.isDefined(close, "closed without a Close frame")
    const { data } = close!
    return `${(data[0] << 8) | data[1]} ${new TextDecoder().decode(data.subarray(2))}`
  })

describe("the handshake", () => {
  it.live("a client that sends nothing, half a head, or a byte now and then is cut at the deadline", () =>
    Effect.gen(function*() {
      const { node, port } = yield* serveSocket({}, { headersTimeout: 500 })
      const head = upgradeRequest("/")
      const silent = yield* connectRaw(port)
      const half = yield* connectRaw(port)
      half.write(head.slice(0, head.length - 2))
      const slow = yield* connectRaw(port)
      yield* Effect.forkScoped(Effect.forEach(head, (byte) => {
        if (!slow.socket.destroyed) slow.write(byte)
        return Effect.sleep(50)
      }))
      const began = Date.now()
      for (const peer of [silent, half, slow]) {
        yield* peer.untilEnded
        assert.isFalse(peer.text.includes(" 101 "))
      }
      assert.isBelow(Date.now() - began, 3000)
      yield* settles("no open socket", openSockets(node), (count) => count === 0)
    }))

  it.live("a handler that never accepts is interrupted at the deadline, and the client told 503", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const { node, port } = yield* serve(
        HttpRouter.add("GET", "/", Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))),
        { handshakeTimeout: 200 }
      )
      const { headers, peer, status } = yield* statusOf(port)
      assert.strictEqual(status, 503)
      assert.strictEqual(headers["retry-after"], "1")
      yield* peer.untilEnded
      // The client stays: it is cut nevertheless.
      yield* settles("no open socket", openSockets(node), (count) => count === 0)
      yield* until("the interruption", () => interrupted === 1)
    }))

  it.live("its time begins with the handler's own run, also behind a middleware that takes a while", () =>
    Effect.gen(function*() {
      const routes = HttpRouter.add("GET", "/", Effect.never)
      const served = HttpRouter.serve(routes, {
        disableListenLog: true,
        disableLogger: true,
        middleware: (app) => Effect.andThen(Effect.sleep(20), app)
      })
      const server = NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1", handshakeTimeout: 100 })
      const context = yield* Layer.build(Layer.provideMerge(served, server))
      const { status } = yield* statusOf(portOf(Context.get(context, HttpServer.HttpServer)))
      assert.strictEqual(status, 503)
    }))

  it.live("one that has accepted is left alone", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket({}, { handshakeTimeout: 100 })
      const open = yield* connectUpgraded(port)
      yield* Effect.sleep(250)
      open.write(clientFrame(Opcode.Text, "still here"))
      yield* open.untilFrames(1)
      assert.deepStrictEqual(open.texts(), ["still here"])
    }))

  it.live("a handler that accepts too late finds nothing to accept", () =>
    Effect.gen(function*() {
      let reason = ""
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", Effect.uninterruptible(Effect.gen(function*() {
          yield* Effect.sleep(200)
          return yield* Effect.tapError(WebSocketServer.handle(echo), (error) =>
            Effect.sync(() => reason = error._tag === "HandshakeError" ? error.reason : ""))
        }))),
        { handshakeTimeout: 50 }
      )
      assert.strictEqual((yield* statusOf(port)).status, 503)
      yield* until("the late accept", () => reason === "NotAnUpgrade")
    }))
})

describe("one address", () => {
  it.live("has no limit by default, so that a load test can come from one", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket()
      const peers = yield* Effect.forEach(Array.from({ length: 300 }), () => connectUpgraded(port), { concurrency: 100 })
      assert.strictEqual(peers.length, 300)
    }))

  it.live("is refused with 429 above its connections, and let in again when one has gone", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket({}, { perAddress: { connections: 2 } })
      const first = yield* connectUpgraded(port)
      yield* connectUpgraded(port)
      const third = yield* statusOf(port, { "X-Forwarded-For": "203.0.113.7" })
      assert.strictEqual(third.status, 429)
      assert.strictEqual(third.headers["retry-after"], "1")
      yield* third.peer.untilEnded
      first.reset()
      const status = Effect.orDie(Effect.scoped(Effect.map(statusOf(port), ({ status }) => status)))
      yield* settles("a place", status, (status) => status === 101)
    }))

  it.live("behind a proxy that is trusted it is the one that the proxy names", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(
        HttpRouter.add("GET", "/", HttpMiddleware.xForwardedHeaders({
          trustedProxies: [IpNetwork.fromStringUnsafe("127.0.0.0/8")]
        })(WebSocketServer.handle(echo))),
        { perAddress: { connections: 1 } }
      )
      assert.strictEqual((yield* statusOf(port, { "X-Forwarded-For": "203.0.113.7" })).status, 101)
      assert.strictEqual((yield* statusOf(port, { "X-Forwarded-For": "203.0.113.8" })).status, 101)
      assert.strictEqual((yield* statusOf(port, { "X-Forwarded-For": "203.0.113.8" })).status, 429)
      assert.strictEqual((yield* statusOf(port, { "X-Forwarded-For": "203.0.113.9, 203.0.113.8" })).status, 429)
    }))

  it.live("that connects too often is told how long to wait", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket({}, { perAddress: { upgrades: { count: 3, interval: "1 minute" } } })
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* statusOf(port)).status, 101)
      const { headers, status } = yield* statusOf(port)
      assert.strictEqual(status, 429)
      assert.strictEqual(headers["retry-after"], "20")
    }))
})

describe("floods and slowness", () => {
  it.live("a flood of pings is answered a thousand times at most, then closed with 1008", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket()
      const peer = yield* connectUpgraded(port)
      const ping = clientFrame(Opcode.Ping, "")
      for (let i = 0; i < 20; i++) peer.write(...Array.from({ length: 100 }, () => ping))
      assert.strictEqual(yield* closeOf(peer), "1008 TooManyControlFrames")
      const pongs = peer.frames().filter(({ opcode }) => opcode === Opcode.Pong).length
      assert.isAbove(pongs, 0)
      assert.isAtMost(pongs, 1000)
    }))

  it.live("a message that is begun and dripped is closed with 1008", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket({ messageProgress: { timeout: 200 } })
      const peer = yield* connectUpgraded(port)
      yield* Effect.forkScoped(Effect.forEach(clientFrame(Opcode.Binary, new Uint8Array(1000)), (byte) => {
        if (!peer.socket.destroyed) peer.write(Uint8Array.of(byte))
        return Effect.sleep(20)
      }))
      assert.strictEqual(yield* closeOf(peer), "1008 MessageTooSlow")
    }))

  it.live("a connection on which nothing is said is closed with 1001, where that is asked for", () =>
    Effect.gen(function*() {
      const { port } = yield* serveSocket({ idleTimeout: 200 })
      assert.strictEqual(yield* closeOf(yield* connectUpgraded(port)), "1001 idle")
    }))

  it.live("many that declare much and send nothing are shed with 1013, and the others served", () =>
    Effect.gen(function*() {
      const budget = MemoryBudget.make({ bytes: 8 << 20, grace: 200 })
      const { port } = yield* serveSocket().pipe(Effect.provideService(MemoryBudget.CurrentBudget, budget))
      const good = yield* connectUpgraded(port)
      const declared = Uint8Array.of(0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0, 0, 1, 2, 3, 4, 5)
      const hostile = yield* Effect.forEach(Array.from({ length: 30 }), () =>
        Effect.tap(connectUpgraded(port), (peer) => Effect.sync(() => peer.write(declared))))
      yield* until("the shedding", () => budget.shed >= 20)
      yield* until("an end", () => !budget.isExhausted)
      assert.isAtMost(budget.bytes, 8 << 20)
      const shed = hostile.find(({ bytes }) => bytes.length > 0)
      assert.strictEqual(yield* closeOf(shed!), "1013 out of memory")
      good.write(clientFrame(Opcode.Text, "still served"))
      yield* good.untilFrames(1)
      assert.deepStrictEqual(good.texts(), ["still served"])
    }))
})

describe("a slow consumer", () => {
  for (const policy of ["dropNewest", "dropOldest"] as const) {
    for (const compression of [false, { threshold: 0, level: 1 }] as const) {
      it.live(`${policy}${compression === false ? "" : ", compressed with context takeover"}: holds no sender up, and gets whole messages in order`, () =>
        Effect.gen(function*() {
          let sent = 0
          let dropped = 0
          // What deflates little, so that it fills the sockets' buffers.
          const text = (i: number) => `${i} ${randomBytes(12_000).toString("base64")}`
          const flood = (ws: WebSocket.WebSocket) =>
            Effect.gen(function*() {
              while (dropped < 50 && sent < 5000) {
                yield* ws.send(text(sent++))
                dropped = yield* ws.dropped
                if (sent % 20 === 0) yield* Effect.sleep(0)
              }
              yield* ws.send("last")
            })
          const { port } = yield* serve(
            HttpRouter.add("GET", "/", WebSocketServer.handle(flood, { slowConsumer: policy, compression, closeTimeout: "10 seconds" }))
          )
          const ws = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/`, { compression: compression !== false }).pipe(
            Effect.provide(NodeWebSocketClient.layer)
          )
          assert.strictEqual(ws.extension, compression === false ? undefined : "permessage-deflate")
          // Not a message is read until enough were dropped.
          yield* until("enough is dropped", () => dropped >= 50)
          const got = yield* Stream.runCollect(ws.messages)
          const numbers = got.filter((one) => one !== "last").map((one) => Number(String(one).slice(0, String(one).indexOf(" "))))
          for (let i = 1; i < numbers.length; i++) assert.isAbove(numbers[i], numbers[i - 1])
          assert.strictEqual(numbers[0], 0)
          assert.isAtMost(numbers.length, sent - 49)
          if (policy === "dropOldest") assert.strictEqual(got.at(-1), "last")
        }))
    }
  }

  it.live("is closed with the code of the policy", () =>
    Effect.gen(function*() {
      let end = ""
      const { port } = yield* serve(HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Effect.forever(Effect.andThen(ws.send(new Uint8Array(20_000)), Effect.sleep(0))).pipe(
          Effect.catchTag("ConnectionClosed", ({ info }) => Effect.sync(() => end = `${info.code} ${info.reason}`))
        ), { slowConsumer: { close: 1013 }, closeTimeout: 200 })))
      const peer = yield* connectUpgraded(port)
      peer.socket.pause()
      yield* until("the end", () => end !== "")
      assert.strictEqual(end, "1013 too slow")
    }))
})
