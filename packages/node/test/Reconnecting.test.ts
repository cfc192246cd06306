/** Clients that come back, over real sockets: servers that are killed, stopped, cut off, and that refuse. */
import { assert, describe, it } from "@effect/vitest"
import { ReconnectingClient } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"
import { WebSocketServer } from "ws"
import { missing, otherHost } from "./support/NetworkNamespace.ts"

/** Starts the feed of `support/feeding.ts`. */
const feed = (port = 0): Effect.Effect<{ readonly child: ChildProcess; readonly port: number }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [`${import.meta.dirname}/support/feeding.ts`, "127.0.0.1", String(port)], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const [line] = await once(createInterface({ input: child.stdout }), "line")
      return { child, port: (JSON.parse(String(line)) as { readonly port: number }).port }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Reads a feed, and gives the message and the statuses that come next. */
const follow = Effect.fnUntraced(function*(url: string, options: ReconnectingClient.Options = {}) {
  const client = yield* ReconnectingClient.make(url, options)
  const messages = yield* Queue.unbounded<string>()
  const statuses = yield* Queue.unbounded<ReconnectingClient.Status>()
  yield* Effect.forkScoped(Effect.ignore(
    Stream.runForEach(client.messages, (message) => Queue.offer(messages, String(message)))
  ))
  yield* Effect.forkScoped(Stream.runForEach(client.statuses, (status) => Queue.offer(statuses, status)))
  const first = <A, B extends A>(queue: Queue.Queue<A>, is: (value: A) => value is B) =>
    Effect.gen(function*() {
      while (true) {
        const value = yield* Queue.take(queue)
        if (is(value)) return value
      }
    })
  return {
    client,
    messageOf: (pid: number | undefined) => first(messages, (text): text is string => text.startsWith(`${pid}:`)),
    taken: Queue.clear(messages),
    waiting: first(statuses, (status): status is Extract<typeof status, { _tag: "Waiting" }> => status._tag === "Waiting"),
    open: first(statuses, (status): status is Extract<typeof status, { _tag: "Open" }> => status._tag === "Open")
  }
})

// Short ones, since a test does not wait for 10 seconds of health.
const soon = { healthyAfter: "50 millis" } as const

for (const [name, layer] of [
  ["through Effect's HttpClient", NodeWebSocketClient.layer],
  ["dialled directly", NodeWebSocketClient.layerDirect]
] as const) {
  describe(`a client that comes back, ${name}`, () => {
    it.live("finds its server again each time that it was killed and started again", () =>
      Effect.gen(function*() {
        const first = yield* feed()
        const { messageOf } = yield* follow(`ws://127.0.0.1:${first.port}`, soon)
        yield* messageOf(first.child.pid)
        let { child } = first
        for (let restart = 0; restart < 3; restart++) {
          child.kill("SIGKILL")
          ;({ child } = yield* feed(first.port))
          yield* messageOf(child.pid)
        }
      }).pipe(Effect.provide(layer)), 60_000)

    it.live("notices a server that stands still by its keepalive, and goes on once it runs again", () =>
      Effect.gen(function*() {
        const { child, port } = yield* feed()
        const { messageOf, open, taken, waiting } = yield* follow(`ws://127.0.0.1:${port}`, {
          ...soon,
          keepAlive: { interval: "300 millis", timeout: "500 millis" },
          handshakeTimeout: "1 second"
        })
        yield* open
        yield* messageOf(child.pid)
        child.kill("SIGSTOP")
        assert.deepInclude((yield* waiting).loss, { _tag: "IOError", phase: "keepalive" })
        // Its system still takes connections.
        assert.deepInclude((yield* waiting).loss, { _tag: "IOError", phase: "handshake", reason: "TimedOut" })
        yield* taken
        child.kill("SIGCONT")
        yield* open
        yield* messageOf(child.pid)
      }).pipe(Effect.provide(layer)), 60_000)
  })
}

describe("a client that comes back", () => {
  it.live("survives 20 restarts of its server, with every message of each connection once and in order", () =>
    Effect.gen(function*() {
      const free = createServer().listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(free, "listening"))
      const { port } = free.address() as AddressInfo
      yield* Effect.promise(() => new Promise((resolve) => free.close(resolve)))
      const serve = (run: number) =>
        Effect.acquireRelease(
          Effect.promise(async () => {
            const server = new WebSocketServer({ host: "127.0.0.1", port })
            server.on("connection", (socket) => {
              for (let i = 0; i < 50; i++) socket.send(`${run}:${i}`)
            })
            await once(server, "listening")
            return server
          }),
          (server) =>
            Effect.promise(() => {
              for (const socket of server.clients) {
                if (run % 2 === 0) socket.terminate()
                else socket.close(1001)
              }
              return new Promise((resolve) => server.close(resolve))
            })
        )
      const read: Array<string> = []
      const reached = yield* Queue.unbounded<number>()
      // All 20 within a test: 1001 would be waited for up to 2 seconds.
      const client = yield* ReconnectingClient.make(`ws://127.0.0.1:${port}`, { retry: () => 0, healthyAfter: 0 })
      yield* Effect.forkScoped(Effect.ignore(Stream.runForEach(client.messages, (message) => {
        read.push(String(message))
        const [run, index] = String(message).split(":").map(Number)
        return index === 49 ? Queue.offer(reached, run) : Effect.void
      })))
      for (let run = 0; run <= 20; run++) {
        yield* Effect.scoped(Effect.gen(function*() {
          yield* serve(run)
          assert.strictEqual(yield* Queue.take(reached), run)
        }))
      }
      assert.deepStrictEqual(
        read,
        Array.from({ length: 21 }, (_, run) => Array.from({ length: 50 }, (_, i) => `${run}:${i}`)).flat()
      )
    }).pipe(Effect.provide(NodeWebSocketClient.layer)), 60_000)

  /** A server whose every answer the test decides. */
  const answering = (answer: (request: IncomingMessage, index: number) => string | undefined) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const requests: Array<IncomingMessage> = []
        const accepting = new WebSocketServer({ noServer: true })
        const server = createServer().listen(0, "127.0.0.1")
        server.on("upgrade", (request, socket, head) => {
          requests.push(request)
          const refusal = answer(request, requests.length - 1)
          if (refusal === undefined) accepting.handleUpgrade(request, socket, head, (ws) => accepting.emit("connection", ws))
          else socket.end(`HTTP/1.1 ${refusal}\r\nContent-Length: 0\r\n\r\n`)
        })
        await once(server, "listening")
        return { requests, accepting, server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }
      }),
      ({ accepting, server }) =>
        Effect.promise(() => {
          for (const socket of accepting.clients) socket.terminate()
          return new Promise((resolve) => server.close(resolve))
        })
    )

  for (const [status, attempts] of [["401 Unauthorized", 2], ["403 Forbidden", 1], ["426 Upgrade Required", 1]] as const) {
    it.live(`${status} ends it after ${attempts} attempt${attempts > 1 ? "s" : ""}`, () =>
      Effect.gen(function*() {
        const { requests, url } = yield* answering(() => status)
        const client = yield* ReconnectingClient.make(url)
        const error = yield* Effect.flip(Stream.runDrain(client.messages))
        assert.deepInclude(error, { _tag: "HandshakeError", status: Number(status.slice(0, 3)) })
        assert.lengthOf(requests, attempts)
      }).pipe(Effect.provide(NodeWebSocketClient.layer)), 20_000)
  }

  it.live("503 with Retry-After is asked again after that time, not before", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const { url } = yield* answering((_, index) => {
        times.push(performance.now())
        return index === 0 ? "503 Service Unavailable\r\nRetry-After: 1" : undefined
      })
      const client = yield* ReconnectingClient.make(url)
      yield* client.connection
      assert.lengthOf(times, 2)
      assert.isAtLeast(times[1] - times[0], 995)
    }).pipe(Effect.provide(NodeWebSocketClient.layer)), 20_000)

  it.live("a token that expires is fetched anew, once for each time, whether it is refused or closed for", () =>
    Effect.gen(function*() {
      let valid = 1
      const { accepting, requests, url } = yield* answering((request) =>
        request.headers.authorization === `Bearer ${valid}` ? undefined : "401 Unauthorized")
      let fetched = 0
      let token = 1
      const headers = Effect.gen(function*() {
        const { loss } = yield* ReconnectingClient.CurrentAttempt
        const refused = (loss?._tag === "HandshakeError" && loss.status === 401) ||
          (loss?._tag === "ConnectionClosed" && loss.info.code === 4401)
        if (refused) {
          fetched++
          token = valid
        }
        return { authorization: `Bearer ${token}` }
      })
      // A connection that was good for a while may be told again that its token has expired.
      const client = yield* ReconnectingClient.make(url, { headers, healthyAfter: "20 millis", retry: () => undefined })
      const arrives = () => Effect.promise(() => once(accepting, "connection"))
      for (const end of ["close", "cut", "close", "cut"]) {
        const ws = yield* client.connection
        yield* Effect.sleep(50)
        valid++
        const next = yield* Effect.forkChild(arrives(), { startImmediately: true })
        for (const socket of accepting.clients) {
          if (end === "close") socket.close(4401, "expired")
          else socket.terminate()
        }
        yield* ws.closed
        yield* Fiber.join(next)
      }
      assert.strictEqual(fetched, 4)
      // A Close tells before a stale token is tried; a connection that is cut does not.
      assert.deepStrictEqual(requests.map((request) => request.headers.authorization), [
        "Bearer 1", "Bearer 2", "Bearer 2", "Bearer 3", "Bearer 4", "Bearer 4", "Bearer 5"
      ])
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)), 20_000)

  it.live("a host that vanishes is noticed, and found again", (context) =>
    missing !== undefined ? Effect.sync(() => context.skip(missing)) : Effect.gen(function*() {
      const host = yield* otherHost
      const [line] = yield* host.run("feeding.ts", host.there)
      const { port } = JSON.parse(line) as { readonly port: number }
      const { client, open, waiting } = yield* follow(`ws://${host.there}:${port}`, {
        ...soon,
        keepAlive: { interval: "300 millis", timeout: "500 millis" },
        handshakeTimeout: "1 second"
      })
      yield* open
      yield* host.vanish
      assert.deepInclude((yield* waiting).loss, { _tag: "IOError", phase: "keepalive" })
      assert.deepInclude((yield* waiting).loss, { _tag: "IOError", reason: "TimedOut" })
      yield* host.appear
      yield* open
      yield* client.send("there?", { flush: true })
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)), 60_000)
})
