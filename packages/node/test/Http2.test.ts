/** WebSockets over HTTP/2 (RFC 8441), both roles, and beside HTTP/1.1 on the same port. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import { promisify } from "node:util"
import * as Undici from "undici"
import { serve } from "./support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/support/tls/${name}`)
const ca = file("ca.pem")
const credentials = { cert: file("server.pem"), key: file("server.key") }
const settings = { enableConnectProtocol: true }

const servers = {
  "h2 over TLS": { scheme: "wss", evaluate: () => Http2.createSecureServer({ ...credentials, allowHTTP1: true, settings }) },
  "h2c with prior knowledge": { scheme: "ws", evaluate: () => Http2.createServer({ settings }) }
} as const

const overHttp2 = NodeWebSocketClient.layerHttp2({ tls: { ca }, plain: true })
const overHttp1 = NodeWebSocketClient.layerDirectOptions({ tls: { ca } })

const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink), {
  selectSubprotocol: ["b", "a"],
  headers: [["set-cookie", "one=1"], ["set-cookie", "two=2"]]
}))
const Page = HttpRouter.add("GET", "/page", HttpServerResponse.text("a page"))

interface Asked {
  readonly status: number
  readonly headers: Http2.IncomingHttpHeaders & Http2.IncomingHttpStatusHeader
  readonly stream: Http2.ClientHttp2Stream
}

const listening = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "localhost", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

/** A way to a server, all of whose connections can fall silent; later ones are carried. */
const silenceable = (port: number) =>
  Effect.gen(function*() {
    const sockets = new Set<Net.Socket>()
    const server = Net.createServer((near) => {
      const far = Net.connect(port, "localhost")
      for (const socket of [near, far]) sockets.add(socket.on("error", () => {}))
      near.pipe(far).pipe(near)
    })
    const own = yield* listening(server)
    yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
    const silence = () => sockets.forEach((socket) => socket.unpipe().pause())
    return { port: own, silence }
  })

/** A session by Node alone, once it has the server's settings. */
const sessionTo = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<Http2.ClientHttp2Session>((resume) => {
      const session = Http2.connect(url, { ca })
      session.on("error", () => {})
      session.once("remoteSettings", () => resume(Effect.succeed(session)))
    }),
    (session) => Effect.sync(() => session.destroy())
  )

const handshake: Http2.OutgoingHttpHeaders = {
  ":method": "CONNECT",
  ":protocol": "websocket",
  ":path": "/",
  "sec-websocket-version": "13"
}

const ask = (session: Http2.ClientHttp2Session, headers: Http2.OutgoingHttpHeaders) =>
  Effect.callback<Asked>((resume) => {
    const stream = session.request(headers, { endStream: false })
    stream.on("error", () => {})
    stream.once("response", (head) => resume(Effect.succeed({ status: head[":status"] ?? 0, headers: head, stream })))
    stream.once("close", () => resume(Effect.succeed({ status: 0, headers: {}, stream })))
  })

for (const [name, { evaluate, scheme }] of Object.entries(servers)) {
  const http = scheme === "wss" ? "https" : "http"
  describe(`over ${name}`, () => {
    it.live("a route accepts, negotiates and echoes what is small, large and compressed", () =>
      Effect.gen(function*() {
        const { port } = yield* serve(Layer.mergeAll(Echo, Page), { evaluate })
        for (const compression of [false, { threshold: 0 }]) {
          const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/`, { subprotocols: ["a", "b"], compression })
          assert.strictEqual(ws.subprotocol, "b")
          assert.deepStrictEqual(
            ws.responseHeaders.filter(([name]) => name === "set-cookie").map(([, value]) => value),
            ["one=1", "two=2"]
          )
          for (const message of ["", "hello", "x".repeat(300_000), new Uint8Array(900_000).fill(3)]) {
            yield* ws.send(message)
            assert.deepStrictEqual(yield* ws.receive, message)
          }
          assert.isAbove(Number((yield* ws.stats).bytesReceived), 0)
          assert.deepInclude(yield* ws.close(4000, "bye"), { code: 4000, reason: "bye", clean: true })
        }
      }).pipe(Effect.provide(overHttp2)))

    it.live("twenty connections share one session, and one that stalls holds no other one up", () =>
      Effect.gen(function*() {
        const sessions = new Set<unknown>()
        const { node, port } = yield* serve(Echo, { evaluate })
        node.on("session", (session) => sessions.add(session))
        const url = `${scheme}://localhost:${port}/`
        const stalled = yield* WebSocketClient.connect(url)
        // Its echo is not read, so that both windows fill.
        yield* Effect.forkScoped(Effect.forever(stalled.send("x".repeat(50_000))))
        yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => i), (i) =>
          Effect.gen(function*() {
            const ws = yield* WebSocketClient.connect(url)
            for (let k = 0; k < 20; k++) {
              yield* ws.send(`${i} ${k}`)
              assert.strictEqual(yield* ws.receive, `${i} ${k}`)
            }
          }), { concurrency: "unbounded" })
        assert.strictEqual(sessions.size, 1)
      }).pipe(Effect.provide(overHttp2)))

    it.live("END_STREAM without a Close and RST_STREAM are what an end and a reset are", () =>
      Effect.gen(function*() {
        const ends = yield* Deferred.make<string>()
        const second = yield* Deferred.make<string>()
        const results = [ends, second]
        const route = WebSocketServer.handle((ws) =>
          Effect.flatMap(Effect.flip(Stream.runDrain(ws.messages)), (error) =>
            Deferred.succeed(results.shift()!, error._tag === "IOError" ? `${error.phase} ${error.reason}` : error._tag)))
        const { port } = yield* serve(HttpRouter.add("GET", "/", route), { evaluate })
        const session = yield* sessionTo(`${http}://localhost:${port}`)
        const { stream } = yield* ask(session, handshake)
        stream.resume().end()
        assert.strictEqual(yield* Deferred.await(ends), "read EndOfStream")
        const other = yield* ask(session, handshake)
        other.stream.resume().close(Http2.constants.NGHTTP2_CANCEL)
        assert.match(yield* Deferred.await(second), /^read (Reset|EndOfStream)$/)
      }))

    it.live("the rules of the handshake are those of RFC 8441", () =>
      Effect.gen(function*() {
        const { port } = yield* serve(Layer.mergeAll(Echo, Page), { evaluate })
        const session = yield* sessionTo(`${http}://localhost:${port}`)
        assert.isTrue(session.remoteSettings.enableConnectProtocol)
        const cases: ReadonlyArray<readonly [string, Http2.OutgoingHttpHeaders, number]> = [
          ["as it should be", {}, 200],
          ["a key is ignored, as undici sends one", { "sec-websocket-key": "whatever" }, 200],
          ["no version", { "sec-websocket-version": undefined }, 400],
          ["another version", { "sec-websocket-version": "8" }, 400],
          ["another protocol", { ":protocol": "connect-udp" }, 501],
          ["a foreign page", { origin: "https://elsewhere.example" }, 403],
          ["a page of this host", { origin: `${http}://localhost:${port}` }, 200],
          ["no route", { ":path": "/nowhere" }, 404],
          ["a route that is no WebSocket", { ":path": "/page" }, 200]
        ]
        for (const [what, headers, status] of cases) {
          const asked = yield* ask(session, { ...handshake, ...headers })
          assert.strictEqual(asked.status, status, what)
          if (status === 200) {
            for (const forbidden of ["sec-websocket-accept", "upgrade", "connection"]) assert.notProperty(asked.headers, forbidden)
          }
          asked.stream.close()
        }
      }))

    it.live("a shutdown tells 1001, refuses new streams, and leaves nothing behind", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { port } = yield* serve(Echo, { evaluate }).pipe(Scope.provide(scope))
        const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/`)
        const reading = yield* Effect.forkChild(Stream.runCollect(ws.messages))
        yield* ws.send("last")
        yield* ws.ping()
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude(yield* ws.closed, { code: 1001, initiator: "remote", clean: true })
        assert.deepStrictEqual(yield* Fiber.join(reading), ["last"])
        const again = yield* Effect.exit(WebSocketClient.connect(`${scheme}://localhost:${port}/`))
        assert.isTrue(Exit.isFailure(again))
      }).pipe(Effect.provide(overHttp2)))

    it.live("a handler that does not answer expires, and one is interrupted when its client goes away", () =>
      Effect.gen(function*() {
        const interrupted = yield* Deferred.make<void>()
        const Slow = HttpRouter.add("GET", "/", Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)))
        const { port } = yield* serve(Slow, { evaluate, handshakeTimeout: 200 })
        const session = yield* sessionTo(`${http}://localhost:${port}`)
        assert.strictEqual((yield* ask(session, handshake)).status, 503)
        yield* Deferred.await(interrupted)
      }))

    it.live("a refusal is typed, with its status, headers and body", () =>
      Effect.gen(function*() {
        const Closed = HttpRouter.add("GET", "/", HttpServerResponse.text("who are you?", { status: 401, headers: { "www-authenticate": "Basic" } }))
        const { port } = yield* serve(Closed, { evaluate })
        const error = yield* Effect.flip(WebSocketClient.connect(`${scheme}://localhost:${port}/`))
        assert(error._tag === "HandshakeError")
        assert.deepInclude(error, { status: 401, body: "who are you?" })
        assert.strictEqual(new Map(error.headers).get("www-authenticate"), "Basic")
      }).pipe(Effect.provide(overHttp2)))
  })
}

describe("beside HTTP/1.1", () => {
  it.live("the same route on the same port serves both", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, servers["h2 over TLS"])
      for (const layer of [overHttp2, overHttp1]) {
        const echoed = yield* Effect.gen(function*() {
          const ws = yield* WebSocketClient.connect(`wss://localhost:${port}/`)
          yield* ws.send("hello")
          return yield* ws.receive
        }).pipe(Effect.scoped, Effect.provide(layer))
        assert.strictEqual(echoed, "hello")
      }
    }))

  it.live("a server without HTTP/2, or whose HTTP/2 does not allow it, is dialled over HTTP/1.1", () =>
    Effect.gen(function*() {
      for (const evaluate of [
        () => Https.createServer(credentials),
        () => Http2.createSecureServer({ ...credentials, allowHTTP1: true })
      ]) {
        const { port } = yield* serve(Echo, { evaluate })
        const ws = yield* WebSocketClient.connect(`wss://localhost:${port}/`)
        yield* ws.send("hello")
        assert.strictEqual(yield* ws.receive, "hello")
      }
    }).pipe(Effect.provide(overHttp2)))

  it.live("a certificate that is not trusted is IOError, Tls, over HTTP/2 too", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, servers["h2 over TLS"])
      const error = yield* Effect.flip(WebSocketClient.connect(`wss://localhost:${port}/`))
      assert.deepInclude(error, { _tag: "IOError", phase: "connect", reason: "Tls" })
    }).pipe(Effect.provide(NodeWebSocketClient.layerHttp2())))
})

describe("the session that connections share", () => {
  it.live("a server's limit of streams is met by further sessions", () =>
    Effect.gen(function*() {
      const sessions = new Set<unknown>()
      const { node, port } = yield* serve(Echo, {
        evaluate: () => Http2.createServer({ settings: { ...settings, maxConcurrentStreams: 2 } })
      })
      node.on("session", (session) => sessions.add(session))
      const echo = Effect.gen(function*() {
        const ws = yield* WebSocketClient.connect(`ws://localhost:${port}/`)
        yield* ws.send("hello")
        return yield* ws.receive
      })
      assert.deepStrictEqual(yield* Effect.replicateEffect(echo, 5), Array(5).fill("hello"))
      assert.strictEqual(sessions.size, 3)
      const together = Effect.forEach([1, 2, 3, 4, 5, 6, 7], () => echo, { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* together, Array(7).fill("hello"))
    }).pipe(Effect.provide(overHttp2)))

  it.live("a server that allows no stream at all is dialled over HTTP/1.1", () =>
    Effect.gen(function*() {
      let sessions = 0
      const { node, port } = yield* serve(Echo, {
        evaluate: () => Http2.createSecureServer({ ...credentials, allowHTTP1: true, settings: { ...settings, maxConcurrentStreams: 0 } })
      })
      node.on("session", () => sessions++)
      const ws = yield* WebSocketClient.connect(`wss://localhost:${port}/`)
      yield* ws.send("hello")
      assert.strictEqual(yield* ws.receive, "hello")
      assert.strictEqual(sessions, 1)
    }).pipe(Effect.provide(overHttp2)))

  it.live("a dial that is given up leaves the session to the others, and what nobody waits for is given up too", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: () => Http2.createServer({ settings }) })
      const connect = WebSocketClient.connect(`ws://localhost:${port}/`)
      const [first, second] = yield* Effect.all([Effect.forkScoped(connect), Effect.forkScoped(connect)])
      yield* Fiber.interrupt(first)
      const ws = yield* Fiber.join(second)
      yield* ws.send("hello")
      assert.strictEqual(yield* ws.receive, "hello")

      const mute = new Set<Net.Socket>()
      const silent = yield* listening(Net.createServer((socket) => mute.add(socket.on("close", () => mute.delete(socket)).on("error", () => {}).resume())))
      const error = yield* Effect.flip(WebSocketClient.connect(`wss://localhost:${silent}/`, { handshakeTimeout: 200 }))
      assert.deepInclude(error, { _tag: "IOError", reason: "TimedOut" })
      while (mute.size > 0) yield* Effect.sleep(5)
    }).pipe(Effect.provide(overHttp2)))

  it.live("one on which nothing is answered any more is not used again", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: () => Http2.createServer({ settings }) })
      const network = yield* silenceable(port)
      const url = `ws://localhost:${network.port}/`
      yield* WebSocketClient.connect(url)
      network.silence()
      const error = yield* Effect.flip(WebSocketClient.connect(url, { handshakeTimeout: 200 }))
      assert.deepInclude(error, { _tag: "IOError", reason: "TimedOut" })
      const ws = yield* WebSocketClient.connect(url)
      yield* ws.send("hello")
      assert.strictEqual(yield* ws.receive, "hello")
    }).pipe(Effect.provide(overHttp2)))

  it.live("one that ends before it has begun is IOError", () =>
    Effect.gen(function*() {
      const server = Net.createServer((socket) => socket.resume().end())
      const port = yield* listening(server)
      const error = yield* Effect.flip(WebSocketClient.connect(`ws://localhost:${port}/`))
      assert.deepInclude(error, { _tag: "IOError", phase: "connect" })
    }).pipe(Effect.provide(overHttp2)))

  it.live("keeps the process alive while a connection is open, and no longer", () =>
    Effect.gen(function*() {
      const route = WebSocketServer.handle((ws) => Effect.andThen(Effect.sleep(300), ws.send("late")))
      const { port } = yield* serve(HttpRouter.add("GET", "/", route), { evaluate: () => Http2.createServer({ settings }) })
      const program = `${import.meta.dirname}/support/overHttp2.ts`
      const run = promisify(execFile)(process.execPath, [program, `ws://localhost:${port}/`], { timeout: 15_000 })
      assert.strictEqual((yield* Effect.promise(() => run)).stdout, "late\n")
    }))
})

describe("peers of others", () => {
  it.live("undici, over HTTP/2", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, servers["h2 over TLS"])
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new Undici.Agent({ allowH2: true, connect: { ca } })),
        (agent) => Effect.promise(() => agent.destroy())
      )
      const messages = yield* Effect.promise(async () => {
        const socket = new Undici.WebSocket(`wss://localhost:${port}/`, { dispatcher: agent, protocols: ["a"] })
        const seen: Array<unknown> = []
        await new Promise<void>((resolve, reject) => {
          socket.addEventListener("open", () => (socket.send("hello"), socket.send("x".repeat(100_000))))
          socket.addEventListener("message", ({ data }) => seen.push(data) === 2 && socket.close(1000))
          socket.addEventListener("close", ({ code }) => (seen.push(code), resolve()))
          socket.addEventListener("error", () => reject(new Error("the WebSocket of undici failed")))
        })
        return seen
      })
      assert.deepStrictEqual(messages, ["hello", "x".repeat(100_000), 1000])
    }))
})
