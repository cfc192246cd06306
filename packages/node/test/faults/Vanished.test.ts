/** Peers whose host vanished: nothing comes any more, neither an answer nor an error. */
import { assert, describe, it } from "@effect/vitest"
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { countFibers, holdings } from "../../../../soak/holdings.ts"
import { missing, otherHost } from "../support/NetworkNamespace.ts"
import { loopTurns, settles } from "../support/RawPeer.ts"
import { openSockets, serve } from "../support/Serve.ts"

/** Lets virtual time pass, and real sockets act between its seconds. */
const pass = (seconds: number) =>
  Effect.forEach(
    Array.from({ length: seconds }),
    () => TestClock.adjust("1 second").pipe(Effect.andThen(TestClock.withLive(Effect.sleep(2))), Effect.andThen(loopTurns)),
    { discard: true }
  )

/** Waits for what real sockets do, in real time. */
const comesTrue = <A>(what: string, look: Effect.Effect<A>, holds: (seen: A) => boolean) =>
  TestClock.withLive(settles(what, look, holds))

const describeEnd = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "ended"
  const error = Cause.squash(exit.cause) as { readonly _tag?: string; readonly phase?: string; readonly reason?: string }
  return error._tag === "IOError" ? `IOError ${error.phase} ${error.reason}` : error._tag ?? String(error)
}

const tally = (ends: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const end of ends.toSorted()) counts[end] = (counts[end] ?? 0) + 1
  return counts
}

describe("a host that vanished", () => {
  if (missing !== undefined) {
    it("can be made to", (context) => context.skip(missing))
    return
  }

  it.effect("with its clients in every phase is noticed by each deadline, and leaves nothing", () =>
    Effect.gen(function*() {
      const host = yield* otherHost
      const ends: Array<string> = []
      const closes: Array<boolean> = []
      let open = 0
      const noted = (f: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>) =>
        WebSocketServer.handle((ws) =>
          Effect.suspend(() => {
            open++
            return Effect.ignore(Effect.onExit(f(ws), (exit) => Effect.sync(() => void ends.push(describeEnd(exit)))))
          })
        )
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/idle", noted((ws) => Stream.runDrain(ws.messages))),
        HttpRouter.add("GET", "/flood", noted((ws) => Effect.forever(ws.send(new Uint8Array(1 << 20))))),
        HttpRouter.add("GET", "/closing", noted((ws) => Effect.map(ws.close(1000), ({ clean }) => void closes.push(clean))))
      )
      const { node, port } = yield* serve(routes, { host: host.here, headersTimeout: "1 second", shutdown: { grace: 0 } })
      const before = holdings()
      const [line] = yield* TestClock.withLive(host.run("vanishing.ts", "clients", host.here, String(port), "10"))
      assert.deepStrictEqual(JSON.parse(line!), { connected: 60 })
      yield* comesTrue("connections", Effect.sync(() => open), (count) => count === 50)
      yield* host.vanish
      // The default deadlines: 5 s to close, 20 s until a ping and 20 s for its answer, 30 s for a write that stalls.
      yield* pass(4)
      assert.deepStrictEqual(ends, [])
      yield* pass(2)
      assert.deepStrictEqual(tally(ends), { "ended": 10 })
      yield* pass(33)
      assert.isUndefined(tally(ends)["IOError keepalive TimedOut"])
      // A write is given up 30 s after the system took the last of it.
      yield* pass(30)
      yield* comesTrue("sockets", openSockets(node), (count) => count === 0)
      assert.deepStrictEqual(tally(ends), { "IOError keepalive TimedOut": 30, "IOError write TimedOut": 10, "ended": 10 })
      assert.deepStrictEqual(tally(closes.map(String)), { "false": 10 })
      yield* comesTrue("fibers", Effect.sync(() => holdings().fibers), (count) => count <= before.fibers)
      yield* comesTrue("handles", Effect.sync(() => holdings().sockets), (count) => count <= before.sockets)
    }).pipe(Effect.scoped, Effect.provide(countFibers)), 60_000)

  it.effect("with the servers of our clients is noticed by each deadline, and leaves nothing", () =>
    Effect.gen(function*() {
      const host = yield* otherHost
      const [line] = yield* TestClock.withLive(host.run("vanishing.ts", "server", host.there))
      const url = `ws://${host.there}:${(JSON.parse(line!) as { readonly port: number }).port}`
      const before = holdings()
      let open = 0
      const use = (path: string, f: (ws: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>) =>
        Effect.forEach(Array.from({ length: 10 }), () =>
          WebSocketClient.connect(`${url}${path}`).pipe(
            Effect.tap(() => Effect.sync(() => open++)),
            Effect.flatMap(f),
            Effect.scoped,
            Effect.exit,
            Effect.map(describeEnd)
          ), { concurrency: "unbounded" }).pipe(Effect.map(tally), Effect.forkChild)
      const uses = [
        yield* use("/idle", (ws) => Stream.runDrain(ws.messages)),
        yield* use("/half", (ws) => Stream.runDrain(ws.messages)),
        yield* use("/flood", (ws) => Effect.forever(ws.send(new Uint8Array(1 << 20)))),
        yield* use("/closing", (ws) => Effect.flatMap(Effect.sleep("1 second"), () => ws.close(1000)))
      ]
      yield* comesTrue("connections", Effect.sync(() => open), (count) => count === 40)
      yield* host.vanish
      yield* pass(70)
      assert.deepStrictEqual(yield* Effect.forEach(uses, Fiber.join), [
        { "IOError keepalive TimedOut": 10 },
        { "IOError keepalive TimedOut": 10 },
        { "IOError write TimedOut": 10 },
        { "ended": 10 }
      ])
      yield* comesTrue("sockets", Effect.sync(() => holdings().sockets), (count) => count <= before.sockets)
      yield* comesTrue("fibers", Effect.sync(() => holdings().fibers), (count) => count <= before.fibers)
      // Those that come too late find nobody. Undici goes on trying for its own connect timeout, so no sockets are counted.
      const late = yield* use("/idle", () => Effect.die("connected"))
      // They begin with a turn of their own.
      yield* TestClock.withLive(Effect.sleep(100))
      yield* pass(11)
      assert.deepStrictEqual(yield* Fiber.join(late), { "IOError handshake TimedOut": 10 })
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(NodeWebSocketClient.layer, countFibers))), 60_000)
})
