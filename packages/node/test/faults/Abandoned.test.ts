/**
 * Connections that are abandoned in every phase of their life, by the hundred: nothing stays behind. `npm run soak` does
 * the same by the thousand.
 */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, type WebSocket, WebSocketClient, type WebSocketError, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createServer } from "node:net"
import * as Deadlines from "../../../core/src/runtime/Deadlines.ts"
import { abandon, phases as phasesOf } from "../../../../soak/abandon.ts"
import { collect, countFibers, fibersNow, type Holdings, holdings } from "../../../../soak/holdings.ts"
import {
  answering,
  closeBody,
  listenRaw,
  type RawPeer,
  serverFrame,
  settles,
  switching
} from "../support/RawPeer.ts"
import { openSockets, serve } from "../support/Serve.ts"

const MiB = 1 << 20
const phases = phasesOf("")

// Of a machine that has other things to do. Nothing is the faster for less.
const patience = 60_000

/** Looks until nothing is held that was not held before; then at the memory. */
const holdsNoMoreThan = Effect.fnUntraced(function*(before: Holdings, toleranceBytes: number) {
  const held = Effect.map(Effect.sync(holdings), ({ descriptors, fibers, sockets, timers }) =>
    ({ descriptors, fibers, sockets, timers }))
  yield* settles("what is held", Effect.map(held, (now) => JSON.stringify({ before, now })), (text) => {
    const { before, now } = JSON.parse(text) as { before: Holdings; now: Holdings }
    return (now.descriptors ?? 0) <= (before.descriptors ?? 0) && now.fibers <= before.fibers &&
      // Undici keeps a timer of its own going for a while.
      now.sockets <= before.sockets && now.timers <= before.timers + 1
    // It also keeps connections for seconds that were made after their request was given up.
  }, patience)
  yield* Effect.promise(collect)
  const after = holdings()
  assert.isBelow(after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes, toleranceBytes)
})

const snapshot = Effect.promise(async () => {
  await collect()
  return holdings()
})

const routes = (handlers: { count: number; mostFibers: number }) => {
  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      handlers.count++
      handlers.mostFibers = Math.max(handlers.mostFibers, fibersNow())
      return Effect.ensuring(effect, Effect.sync(() => handlers.count--))
    })
  const options: WebSocketServer.AcceptOptions = { closeTimeout: 300, compression: true }
  const echo = WebSocketServer.handle((ws) => counted(Stream.run(ws.messages, ws.sink)), options)
  const piece = new Uint8Array(MiB / 4)
  return Layer.mergeAll(
    HttpRouter.add("GET", "/echo", echo),
    HttpRouter.add("GET", "/slow", Effect.andThen(Effect.sleep(5), echo)),
    HttpRouter.add("GET", "/closing", WebSocketServer.handle((ws) => counted(ws.close(4000)), options)),
    HttpRouter.add("GET", "/flood", WebSocketServer.handle((ws) => counted(Effect.forever(ws.send(piece))), options))
  )
}

describe("a server", () => {
  it.live("1,200 connections abandoned in every phase leave nothing", () =>
    Effect.gen(function*() {
      const handlers = { count: 0, mostFibers: 0 }
      const failures: Array<unknown> = []
      const note = (error: unknown) => failures.push(error)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("uncaughtExceptionMonitor", note)),
        () => Effect.sync(() => process.off("uncaughtExceptionMonitor", note))
      )
      const { node, port } = yield* serve(routes(handlers))
      const deadlines = yield* Deadlines.current
      const heap: ReadonlyArray<unknown> = deadlines["heap"]
      const listeners = () => [node, process].map((one) => one.eventNames().map((name) => [name, one.listenerCount(name as "exit")]))
      const listening = listeners()

      let opened = 0
      const batch = (size: number) =>
        Effect.promise(() =>
          Promise.all(Array.from({ length: size }, () => {
            const turn = opened++
            return abandon(port, phases[turn % phases.length]!, Math.floor(turn / phases.length) % 2 === 0)
          }))
        )
      const quiet = Effect.gen(function*() {
        yield* settles("sockets", openSockets(node), (count) => count === 0, patience)
        yield* settles("handlers", Effect.sync(() => handlers.count), (count) => count === 0, patience)
        yield* settles("deadlines", Effect.sync(() => heap.length), (count) => count === 0, patience)
      })
      // What the first ones load, compile and let grow is not theirs.
      yield* batch(240)
      yield* quiet
      const before = yield* snapshot
      opened = 0
      for (let i = 0; i < 5; i++) yield* batch(240)
      yield* quiet
      assert.strictEqual(opened, 1200)
      // A kilobyte for each would be more, and whatever keeps a connection keeps several.
      yield* holdsNoMoreThan(before, MiB)
      assert.isAbove(handlers.mostFibers, 0, "fibers are not counted")
      assert.deepStrictEqual(listeners(), listening)
      assert.deepStrictEqual(failures, [])
    }).pipe(Effect.scoped, Effect.provide(countFibers)), 2 * patience)
})

interface ServerPhase {
  readonly name: string
  /** What the client's program sees. */
  readonly sees: RegExp
  readonly handshakeTimeout?: number | undefined
  /** What the server does with a new connection, and with each request. */
  readonly onPeer?: (peer: RawPeer) => void
  readonly answer?: Parameters<typeof answering>[0] | undefined
  readonly use?: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, WebSocket.SendError | WebSocketError.InvalidArgument>
}

/** Says something and goes, by a reset. */
const sayAndGo = (...parts: ReadonlyArray<Uint8Array>): Parameters<typeof answering>[0] => (_, accept, peer) => {
  setImmediate(() => peer.socket.write(Buffer.concat([...parts, Buffer.alloc(0)]), () => peer.reset()))
  return [switching(accept)]
}

const serverPhases: ReadonlyArray<ServerPhase> = [
  // Undici connects again and again before it has sent a request, until the handshake takes too long.
  { name: "as soon as one connects", sees: /^IOError (connect Reset|handshake TimedOut)$/, onPeer: (peer) => peer.reset(), handshakeTimeout: 100 },
  {
    name: "when it has read the request",
    sees: /^IOError connect Reset$/,
    answer: (_, __, peer) => {
      peer.reset()
      return []
    }
  },
  {
    name: "within its answer",
    sees: /^IOError connect Reset$/,
    answer: (_, accept, peer) => {
      peer.socket.write(switching(accept).slice(0, 60), () => peer.reset())
      return []
    }
  },
  { name: "without an answer", sees: /^IOError handshake TimedOut$/, answer: () => [], handshakeTimeout: 100 },
  { name: "behind the 101", sees: /^IOError read Reset$/, answer: sayAndGo() },
  { name: "within a frame", sees: /^IOError read Reset$/, answer: sayAndGo(serverFrame(Opcode.Text, "cut short").subarray(0, 5)) },
  { name: "within a message", sees: /^IOError read Reset$/, answer: sayAndGo(serverFrame(Opcode.Text, "cut", false)) },
  {
    name: "with its own Close on the way",
    sees: /^ended$/,
    answer: sayAndGo(serverFrame(Opcode.Close, closeBody(1001)))
  },
  {
    name: "without an answer to our Close",
    sees: /^closed unclean$/,
    answer: (_, accept, peer) => {
      peer.socket.once("data", () => setImmediate(() => peer.reset()))
      return [switching(accept)]
    },
    use: (ws) => ws.close(1000)
  },
  {
    name: "with output that it never read",
    sees: /^IOError (read|write) Reset$/,
    answer: (_, accept, peer) => {
      peer.socket.pause()
      setTimeout(() => peer.reset(), 20)
      return [switching(accept)]
    },
    use: (ws) => Effect.forever(ws.send(new Uint8Array(MiB)))
  }
]

/** What a program sees of a connection to such a server. */
const seenOf = (url: string, phase: ServerPhase) =>
  WebSocketClient.connect(url, { handshakeTimeout: phase.handshakeTimeout ?? patience, closeTimeout: 300 }).pipe(
    Effect.flatMap((ws): Effect.Effect<string, WebSocket.ReceiveError | WebSocketError.InvalidArgument> =>
      phase.use === undefined
        ? Effect.as(Stream.runDrain(ws.messages), "ended")
        : Effect.map(phase.use(ws), (info) =>
          typeof info === "object" && info !== null && "clean" in info && info.clean === true ? "closed" : "closed unclean")
    ),
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(error._tag === "IOError" ? `IOError ${error.phase} ${error.reason}` : error._tag))
  )

describe("a client", () => {
  it.live("400 connections that servers abandon in every phase leave nothing", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.current
      const heap: ReadonlyArray<unknown> = deadlines["heap"]
      // Not half-open: what is accepted when its client and the round are over ends by itself.
      const servers = yield* Effect.forEach(serverPhases, (phase) =>
        Effect.map(
          phase.answer === undefined ? listenRaw(phase.onPeer!, createServer()) : answering(phase.answer, createServer()),
          ({ peers, port }) => ({ phase, peers, url: `ws://127.0.0.1:${port}` })
        ))
      const round = (times: number) =>
        Effect.forEach(servers, ({ peers, phase, url }) =>
          Effect.gen(function*() {
            const seen = yield* Effect.forEach(Array.from({ length: times }), () => seenOf(url, phase), { concurrency: 25 })
            for (const one of seen) assert.match(one, phase.sees, `a server that goes ${phase.name}`)
            yield* settles(`connections to one that goes ${phase.name}`, Effect.sync(() => peers.filter(({ closed, ended }) => !closed && !ended).length), (left) => left === 0, patience)
            for (const peer of peers) peer.socket.destroy()
            peers.length = 0
          }), { concurrency: "unbounded", discard: true })
      yield* round(20)
      const before = yield* snapshot
      for (let i = 0; i < 2; i++) yield* round(20)
      yield* settles("deadlines", Effect.sync(() => heap.length), (count) => count === 0, patience)
      yield* holdsNoMoreThan(before, MiB)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(NodeWebSocketClient.layer, countFibers))), 2 * patience)
})
