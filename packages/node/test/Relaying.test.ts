/** Proxies whose relays share the memory of their messages, on real sockets: what arrives is what was sent. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocket, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeTuning, NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import { spareBytes } from "../../core/src/memory/SpareMemory.ts"
import { serve } from "./support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/support/tls/${name}`)
const ca = file("ca.pem")
const credentials = { cert: file("server.pem"), key: file("server.key") }
const settings = { enableConnectProtocol: true }

const direct = NodeWebSocketClient.layerDirectOptions({ tls: { ca } })
const overHttp2 = NodeWebSocketClient.layerHttp2({ tls: { ca }, plain: true })

const ways = {
  "TCP": { scheme: "ws", evaluate: () => Http.createServer(), client: direct },
  "TCP by documented interfaces": {
    scheme: "ws",
    evaluate: () => Http.createServer(),
    client: Layer.provideMerge(direct, Layer.succeed(NodeTuning.Portable, true))
  },
  "TLS": { scheme: "wss", evaluate: () => Https.createServer(credentials), client: direct },
  "HTTP/2 over TLS": { scheme: "wss", evaluate: () => Http2.createSecureServer({ ...credentials, settings }), client: overHttp2 },
  "HTTP/2": { scheme: "ws", evaluate: () => Http2.createServer({ settings }), client: overHttp2 }
} as const

/** The same numbers in each run. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5 | 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}

const payload = (size: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = i * 31 + seed * 17 + (i >>> 8)
  return bytes
}

/** Passes on what comes by a relay that ends again and again, and by hand in between. */
const broken = (from: WebSocket.WebSocket, to: WebSocket.WebSocket, next: (below: number) => number) =>
  Effect.forever(Effect.gen(function*() {
    yield* Effect.timeoutOption(WebSocket.relay(from, to), next(8))
    const held = yield* from.receive
    // What others relay meanwhile must not overwrite it.
    yield* Effect.sleep(next(4))
    yield* to.send(held)
  }))

const passes = {
  "relays": (from, to, _next) => WebSocket.relay(from, to),
  "relays that are interrupted": broken
} satisfies Record<string, (from: WebSocket.WebSocket, to: WebSocket.WebSocket, next: (below: number) => number) => Effect.Effect<unknown, unknown>>

describe("a proxy", () => {
  for (const [way, { client, evaluate, scheme }] of Object.entries(ways)) {
    for (const [how, pass] of Object.entries(passes)) {
      it.live(`alters nothing over ${way}, by ${how}`, () =>
        Effect.gen(function*() {
          let serial = 1
          let port = 0
          const limits = { maxMessageSize: 2 << 20 }
          const Upstream = HttpRouter.add("GET", "/upstream", WebSocketServer.handle((ws) => WebSocket.relay(ws, ws), limits))
          const Proxy = HttpRouter.add("GET", "/", WebSocketServer.handle((downstream) =>
            Effect.gen(function*() {
              const next = numbers(serial++)
              const upstream = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/upstream`, limits)
              yield* Effect.raceFirst(pass(downstream, upstream, next), pass(upstream, downstream, next))
            }).pipe(Effect.ignore), limits))
          port = (yield* serve(Layer.mergeAll(Upstream, Proxy), { evaluate, host: "localhost" })).port
          const talk = (seed: number) =>
            Effect.scoped(Effect.gen(function*() {
              const ws = yield* WebSocketClient.connect(`${scheme}://localhost:${port}/`, limits)
              const next = numbers(1000 + seed)
              const sizes = Array.from({ length: 40 }, () => next(next(8) === 0 ? 500_000 : 40_000))
              const sending = Effect.forEach(sizes, (size, i) => ws.send(payload(size, seed * 100 + i)), { discard: true })
              const reading = Effect.forEach(sizes, (size, i) =>
                Effect.gen(function*() {
                  if (next(5) === 0) yield* Effect.sleep(next(5))
                  const message = (yield* ws.receive) as Uint8Array
                  const expected = payload(size, seed * 100 + i)
                  assert.strictEqual(Buffer.compare(message, expected), 0, `message ${i} of ${seed}, ${size} bytes`)
                }), { discard: true })
              yield* Effect.all([sending, reading], { concurrency: 2, discard: true })
              yield* ws.close(1000)
            }))
          yield* Effect.all(Array.from({ length: 4 }, (_, seed) => talk(seed)), { concurrency: "unbounded", discard: true })
          assert.isAbove(spareBytes(), 0, "memory is used again")
        }).pipe(Effect.provide(client)))
    }
  }
})
