/** What a server's end does to its connections. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Buffer } from "node:buffer"
import * as Net from "node:net"
import { measure } from "./support/Effort.ts"
import { clientFrame, closeBody, connectRaw, connectUpgraded, sampleKey, until, upgradeRequest } from "./support/RawPeer.ts"
import { keepLogs, type Logged, serve, type ServeOptions } from "./support/Serve.ts"

const echo = WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), { closeTimeout: 60_000 })
const Echo = HttpRouter.add("GET", "/", echo)

/** A server that the test stops by itself. */
const stoppable = Effect.fn(function*<E, R>(routes: Layer.Layer<never, E, R>, options?: ServeOptions) {
  const logs: Array<Logged> = []
  const scope = yield* Scope.fork(yield* Effect.scope)
  const served = yield* serve(routes, options).pipe(Scope.provide(scope), Effect.provide(keepLogs(logs)))
  const stop = Effect.gen(function*() {
    const began = performance.now()
    yield* Scope.close(scope, Exit.void)
    return performance.now() - began
  })
  return { ...served, logs, stop }
})

const isClose = (frames: ReadonlyArray<{ readonly opcode: number; readonly data: Uint8Array }>, code: number) =>
  frames.some(({ data, opcode }) => opcode === Opcode.Close && data[0] === code >> 8 && data[1] === (code & 255))

/** A client that costs little, for there are many: it answers a Close and ends. */
const simpleClient = (port: number, onClose: (code: number) => void) =>
  new Promise<Net.Socket>((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    let open = false
    socket.on("error", reject)
    socket.on("connect", () => socket.write(upgradeRequest("/", { "Sec-WebSocket-Key": sampleKey })))
    socket.on("data", (chunk: Buffer) => {
      if (!open) {
        open = true
        assert.match(chunk.toString("latin1"), /^HTTP\/1\.1 101 /)
        resolve(socket)
      } else {
        assert.strictEqual(chunk[0], 0x88)
        onClose(chunk.readUInt16BE(2))
        socket.write(clientFrame(Opcode.Close, chunk.subarray(2, 4)))
      }
    })
  })

describe("shutdown", () => {
  it.live("1,000 open connections are told 1001 at once, and it takes well under a second", () =>
    Effect.gen(function*() {
      const { logs, port, stop } = yield* stoppable(Echo)
      const codes: Array<number> = []
      for (let i = 0; i < 10; i++) {
        yield* Effect.promise(() => Promise.all(Array.from({ length: 100 }, () => simpleClient(port, (code) => codes.push(code)))))
      }
      const isQuick = measure()
      yield* stop
      isQuick()
      assert.strictEqual(codes.length, 1000)
      assert.isTrue(codes.every((code) => code === 1001))
      assert.isFalse(logs.some(({ text }) => text.includes("Cut")))
    }))

  it.live("a handler says a last word, then its connection is closed with the code and reason of choice", () =>
    Effect.gen(function*() {
      const reports: Array<WebSocketServer.ShutdownReport> = []
      const Feed = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) =>
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.ignore(ws.send("and good bye")))
          yield* WebSocketServer.onGoingAway(ws, ws.send("resume at 42"))
          yield* ws.send("welcome")
          yield* Effect.raceFirst(Stream.runDrain(ws.messages), WebSocketServer.goingAway(ws))
        })))
      const { port, stop } = yield* stoppable(Feed, {
        shutdown: {
          code: 1012,
          reason: "a new version",
          report: (report) => Effect.sync(() => reports.push(report))
        }
      })
      const peer = yield* connectUpgraded(port)
      peer.socket.on("data", () => {
        if (isClose(peer.frames(), 1012)) peer.write(clientFrame(Opcode.Close, closeBody(1012)))
      })
      yield* until("welcome", () => peer.frames().length > 0)
      assert.isBelow(yield* stop, 2_000)
      const said = peer.frames().map(({ data, opcode }) =>
        new TextDecoder().decode(opcode === Opcode.Close ? data.slice(2) : data))
      assert.deepStrictEqual(said, ["welcome", "resume at 42", "and good bye", "a new version"])
      assert.deepStrictEqual(reports, [{ closed: 1, cut: 0 }])
    }))

  it.live("in batches over a time: at no moment do all clients lose their connection", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable(Echo, { shutdown: { over: 500 } })
      const times: Array<number> = []
      for (let i = 0; i < 10; i++) {
        yield* Effect.promise(() =>
          Promise.all(Array.from({ length: 10 }, () => simpleClient(port, () => times.push(performance.now())))))
      }
      assert.isAtLeast(yield* stop, 399)
      assert.strictEqual(times.length, 100)
      // A machine that is busy may be late, never early.
      assert.isAtLeast(times[99]! - times[0]!, 390)
    }))

  it.live("who does not answer is cut after the grace, and the log says how many", () =>
    Effect.gen(function*() {
      const { logs, port, stop } = yield* stoppable(Echo, { shutdown: { grace: 200 } })
      const silent = yield* Effect.forEach([1, 2, 3], () => connectUpgraded(port))
      const polite = yield* connectUpgraded(port)
      polite.socket.on("data", () => polite.write(clientFrame(Opcode.Close, closeBody(1001))))
      const took = yield* stop
      assert.isAtLeast(took, 199)
      assert.isBelow(took, 4000)
      for (const peer of [...silent, polite]) {
        assert.isTrue(isClose(peer.frames(), 1001))
        yield* peer.untilEnded
      }
      assert.deepStrictEqual(
        logs.filter(({ text }) => text.includes("Cut")).map(({ level, text }) => [level, text.split(" ")[1]]),
        [["Warn", "3"]]
      )
    }))

  it.live("peers that read nothing, with writes that wait, are cut as well", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable(
        HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Effect.forever(ws.send(new Uint8Array(1 << 20))))),
        { shutdown: { grace: 200 } }
      )
      const peer = yield* connectUpgraded(port)
      peer.socket.pause()
      yield* Effect.sleep(100)
      const took = yield* stop
      assert.isBelow(took, 4000)
    }))

  it.live("handlers that read see the end; all others are interrupted", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const note = (what: string) => Effect.sync(() => seen.push(what))
      const { port, stop } = yield* stoppable(Layer.mergeAll(
        HttpRouter.add("GET", "/reads", WebSocketServer.handle((ws) =>
          Effect.andThen(Stream.runDrain(ws.messages), note("ended")))),
        HttpRouter.add("GET", "/sleeps", WebSocketServer.handle(() =>
          Effect.onInterrupt(Effect.never, () => note("interrupted"))))
      ), { shutdown: { grace: 500 } })
      for (const path of ["/reads", "/sleeps"]) {
        const peer = yield* connectUpgraded(port, path)
        peer.socket.on("data", () => peer.write(clientFrame(Opcode.Close, closeBody(1001))))
      }
      yield* Effect.sleep(20)
      assert.isBelow(yield* stop, 450)
      assert.deepStrictEqual(seen.sort(), ["ended", "interrupted"])
    }))

  it.live("a handler that it interrupts has not failed, so the log of requests has its response", () =>
    Effect.gen(function*() {
      const { logs, port, stop } = yield* stoppable(
        HttpRouter.add("GET", "/", WebSocketServer.handle(() => Effect.never)),
        { logger: true }
      )
      const peer = yield* connectUpgraded(port, "/")
      peer.socket.on("data", () => peer.write(clientFrame(Opcode.Close, closeBody(1001))))
      yield* stop
      const shown = logs.filter(({ level }) => level !== "Debug" && level !== "Trace").map(({ text }) => text)
      assert.strictEqual(shown.length, 1)
      assert.include(shown[0], "Sent HTTP response")
    }))

  it.live("a route that has not accepted yet is interrupted, and what comes meanwhile is refused with 503", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const { port, stop } = yield* stoppable(Layer.mergeAll(
        Echo,
        HttpRouter.add("GET", "/slow", Effect.andThen(
          Effect.onInterrupt(Effect.sleep(30_000), () => Effect.sync(() => interrupted++)),
          echo
        )),
        HttpRouter.add("GET", "/plain", HttpServerResponse.text("plain"))
      ), { shutdown: { grace: 300 } })
      const silent = yield* connectUpgraded(port)
      const waiting = yield* connectRaw(port)
      waiting.write(upgradeRequest("/slow"))
      yield* Effect.sleep(20)
      const stopping = yield* Effect.forkChild(stop)
      yield* until("1001", () => isClose(silent.frames(), 1001))
      const late = yield* connectRaw(port)
      late.write(upgradeRequest("/"))
      const head = yield* late.head
      assert.strictEqual(head.status, 503)
      assert.strictEqual(head.headers["retry-after"], "1")
      assert.isBelow(yield* Fiber.join(stopping), 2_000)
      assert.strictEqual(interrupted, 1)
      yield* waiting.untilEnded
    }))

  it.live("an ordinary request under way is finished", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable(Layer.mergeAll(
        Echo,
        HttpRouter.add("GET", "/slow", Effect.as(Effect.sleep(150), HttpServerResponse.text("done")))
      ))
      const answer = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text())
      yield* Effect.sleep(50)
      // The connection that the client would keep alive is not waited for.
      assert.isBelow(yield* stop, 2_000)
      assert.strictEqual(yield* Effect.promise(() => answer), "done")
    }))

  it.live("an upgrade that comes while ordinary requests are finished is refused, and holds nothing up", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable(Layer.mergeAll(
        Echo,
        HttpRouter.add("GET", "/slow", Effect.as(Effect.sleep(300), HttpServerResponse.text("done")))
      ))
      const late = yield* connectRaw(port)
      const [first, ...rest] = upgradeRequest("/").split("\r\n")
      // With half a request it is not idle, so that it is not closed at once.
      late.write(`${first}\r\n`)
      const answer = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text())
      yield* Effect.sleep(50)
      const stopping = yield* Effect.forkChild(stop)
      yield* Effect.sleep(50)
      late.write(rest.join("\r\n"))
      assert.strictEqual((yield* late.head).status, 503)
      assert.strictEqual(yield* Effect.promise(() => answer), "done")
      assert.isBelow(yield* Fiber.join(stopping), 2_000)
      yield* late.untilEnded
    }))
})
