/** Dialling without an HttpClient: what it has of its own. What all roads share is in NodeWebSocketClient.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeHttpServer, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import { answering, switching, until } from "../support/RawPeer.ts"
import { keepLogs, type Logged, serve } from "../support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/../support/tls/${name}`)
const secureServer = () => createSecureServer({ cert: file("server.pem"), key: file("server.key") })

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"))

const Echo = HttpRouter.add("GET", "/*", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))

const echoes = (url: string) =>
  Effect.scoped(Effect.gen(function*() {
    const ws = yield* WebSocketClient.connect(url)
    yield* ws.send("hello")
    assert.strictEqual(yield* ws.receive, "hello")
  }))

/** A server that accepts everybody, and the heads of their requests. */
const accepting = Effect.suspend(() => {
  const requests: Array<string> = []
  return Effect.map(
    answering((request, accept) => {
      requests.push(request)
      return [switching(accept)]
    }),
    ({ port }) => ({ port, requests })
  )
})

const failure = (url: string) => Effect.flip(Effect.scoped(WebSocketClient.connect(url)))

describe("layerDirect", () => {
  it.live("sends each header as it was given, Host first", () =>
    Effect.gen(function*() {
      const { port, requests } = yield* accepting
      const headers = [["X-A", "1"], ["X-B", "2"], ["X-A", "3"]] as const
      yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/path?q=1`, { headers, closeTimeout: 50 })
      const lines = requests[0]!.split("\r\n")
      assert.deepStrictEqual(lines.slice(0, 2), ["GET /path?q=1 HTTP/1.1", `Host: 127.0.0.1:${port}`])
      assert.deepStrictEqual(lines.slice(-3), ["X-A: 1", "X-B: 2", "X-A: 3"])
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  it.live("a Host of the caller's own replaces that of the URL", () =>
    Effect.gen(function*() {
      const { port, requests } = yield* accepting
      yield* WebSocketClient.connect(`ws://127.0.0.1:${port}`, { headers: { host: "example.com" }, closeTimeout: 50 })
      const hosts = requests[0]!.split("\r\n").filter((line) => line.toLowerCase().startsWith("host:"))
      assert.deepStrictEqual(hosts, ["host: example.com"])
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  it.live("a 101 that is no upgrade is judged by the rules of the handshake", () =>
    Effect.gen(function*() {
      const { peers, port } = yield* answering(() => ["HTTP/1.1 101 Switching Protocols\r\nX-Why: no\r\n\r\n"])
      const error = yield* failure(`ws://127.0.0.1:${port}`)
      assert.strictEqual(error._tag === "HandshakeError" && error.reason, "UpgradeInvalid")
      yield* until("the connection is dropped", () => peers.every((peer) => peer.closed || peer.ended))
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  for (
    const [what, answer] of [
      ["a head without end", `HTTP/1.1 101 Switching Protocols\r\nX-Long: ${"x".repeat(70_000)}`],
      ["what is not HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n"],
      ["two lengths", "HTTP/1.1 400 Oh\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"]
    ] as const
  ) {
    it.live(`${what} is a typed error, and the connection is dropped`, () =>
      Effect.gen(function*() {
        const { peers, port } = yield* answering(() => [answer])
        const error = yield* failure(`ws://127.0.0.1:${port}`)
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["handshake", "Unknown"])
        yield* until("the connection is dropped", () => peers.every((peer) => peer.closed || peer.ended))
      }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))
  }

  // A machine may have no IPv6.
  it.live.skipIf(!hasIpv6)("IPv6 addresses", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { host: "::1" })
      yield* echoes(`ws://[::1]:${port}/`)
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  it.live("a relative URL is a typed error", () =>
    Effect.gen(function*() {
      const error = yield* failure("/feed")
      assert.strictEqual(error._tag === "HandshakeError" && error.reason, "UrlInvalid")
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  it.live("a Unix domain socket", () =>
    Effect.gen(function*() {
      const folder = mkdtempSync(join(tmpdir(), "effect-ws-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const path = join(folder, "socket")
      yield* Layer.build(
        HttpRouter.serve(Echo, { disableListenLog: true, disableLogger: true }).pipe(
          Layer.provide(NodeHttpServer.layer(createServer, { path }))
        )
      )
      yield* Effect.provide(echoes("ws://localhost/"), NodeWebSocketClient.layerDirectOptions({ socketPath: path }))
    }))
})

describe("layerDirect, TLS", () => {
  it.live("an unknown CA, or another name than the certificate's: IOError, connect, Tls", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: secureServer })
      for (const tls of [undefined, { ca: file("ca.pem"), servername: "other.example" }]) {
        const error = yield* Effect.provide(
          failure(`wss://localhost:${port}/`),
          NodeWebSocketClient.layerDirectOptions({ tls })
        )
        assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Tls"])
      }
    }))

  it.live("the environment cannot turn verification off", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: secureServer })
      const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
      process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
      const error = yield* failure(`wss://localhost:${port}/`).pipe(
        Effect.ensuring(Effect.sync(() => {
          if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
          else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before
        }))
      )
      assert.strictEqual(error._tag === "IOError" && error.reason, "Tls")
    }).pipe(Effect.provide(NodeWebSocketClient.layerDirect)))

  it.live("opting out of verification is possible, and loud", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: secureServer })
      const logged: Array<Logged> = []
      yield* echoes(`wss://localhost:${port}/`).pipe(
        Effect.provide([
          NodeWebSocketClient.layerDirectOptions({ tls: { rejectUnauthorized: false } }),
          keepLogs(logged)
        ])
      )
      const warnings = logged.filter(({ level }) => level === "Warn")
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!.text, `localhost:${port}`)
      assert.include(warnings[0]!.text, "not verified")
    }))
})
