/** wss, with certificates of the tests' own CA. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { RawPeer, upgradeRequest } from "./support/RawPeer.ts"
import { serve } from "./support/Serve.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/support/tls/${name}`)
const ca = file("ca.pem")
const credentials = { cert: file("server.pem"), key: file("server.key") }

const servers = [
  ["https", () => Https.createServer(credentials)],
  ["http2 with allowHTTP1, which offers h2", () => Http2.createSecureServer({ ...credentials, allowHTTP1: true })]
] as const

const trusting = NodeWebSocketClient.layerHttpClient.pipe(
  Layer.provide(NodeHttpClient.layerUndiciOptions({ allowH2: false, connect: { ca } }))
)
const trustingNodeHttp = NodeWebSocketClient.layerHttpClient.pipe(
  Layer.provide(NodeHttpClient.layerNodeHttpNoAgent),
  Layer.provide(NodeHttpClient.layerAgentOptions({ ca }))
)

const trustingDirect = NodeWebSocketClient.layerDirectOptions({ tls: { ca } })

const Echo = HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))

for (const [name, evaluate] of servers) {
  describe(`over ${name}`, () => {
    for (const [client, layer] of [
      ["undici", trusting],
      ["node:http", trustingNodeHttp],
      ["no HttpClient", trustingDirect]
    ] as const) {
      it.live(`${client}: wss with verification, over HTTP/1.1`, () =>
        Effect.gen(function*() {
          let version = ""
          const { port } = yield* serve(HttpRouter.add("GET", "/", Effect.gen(function*() {
            const { source } = yield* HttpServerRequest.HttpServerRequest
            version = (source as Http2.Http2ServerRequest).httpVersion
            return yield* WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink))
          })), { evaluate })
          for (const url of [`wss://localhost:${port}/`, `https://127.0.0.1:${port}/`]) {
            const ws = yield* WebSocketClient.connect(url)
            yield* ws.send("hello")
            assert.strictEqual(yield* ws.receive, "hello")
            const large = new Uint8Array(300_000).fill(7)
            yield* ws.send(large)
            assert.deepStrictEqual(yield* ws.receive, large)
            assert.isTrue((yield* ws.close(1000)).clean)
          }
          assert.strictEqual(version, "1.1")
        }).pipe(Effect.provide(layer)))
    }

    it.live("where TLS ends here, a page of the default port came by https", () =>
      Effect.gen(function*() {
        const { port } = yield* serve(Echo, { evaluate })
        for (const [scheme, status] of [["https", 101], ["http", 403]] as const) {
          const peer = yield* Effect.acquireRelease(
            Effect.sync(() => new RawPeer(Tls.connect({ host: "127.0.0.1", port, ca, ALPNProtocols: ["http/1.1"] }))),
            ({ socket }) => Effect.sync(() => socket.destroy())
          )
          peer.write(upgradeRequest("/", { Host: "localhost", Origin: `${scheme}://localhost` }))
          assert.strictEqual((yield* peer.head).status, status)
        }
      }))
  })
}

describe("a TLS connection that is not established: IOError with reason Tls, and what to do", () => {
  const certificates = (name: string) => ({ cert: file(`${name}.pem`), key: credentials.key })
  const kinds: ReadonlyArray<{
    readonly name: string
    readonly server: Https.ServerOptions | "plain"
    readonly client?: Tls.ConnectionOptions
    readonly advice: string
  }> = [
    { name: "an unknown authority", server: credentials, client: {}, advice: "give it to the client (ca)" },
    { name: "a certificate signed by itself", server: certificates("self"), advice: "give it to the client (ca)" },
    { name: "no intermediate certificate", server: certificates("leaf"), advice: "send its intermediate certificates" },
    { name: "an expired certificate", server: certificates("expired"), advice: "has expired" },
    { name: "one that is not valid yet", server: certificates("early"), advice: "not valid yet" },
    { name: "another name", server: credentials, client: { ca, servername: "other.example" }, advice: "another name" },
    { name: "a server without TLS", server: "plain", advice: "does not use TLS" },
    {
      name: "a client certificate wanted",
      server: { ...credentials, ca, requestCert: true, maxVersion: "TLSv1.2" },
      advice: "client certificate"
    },
    {
      name: "no common version",
      server: { ...credentials, minVersion: "TLSv1.3" },
      client: { ca, maxVersion: "TLSv1.2" },
      advice: "no version of TLS"
    },
    {
      name: "no common cipher",
      server: { ...credentials, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" },
      client: { ca, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" },
      advice: "ciphers"
    }
  ]
  const clients = [
    ["undici", (tls: Tls.ConnectionOptions) =>
      NodeWebSocketClient.layerHttpClient.pipe(
        Layer.provide(NodeHttpClient.layerUndiciOptions({ allowH2: false, connect: tls as Record<string, unknown> }))
      )],
    ["node:http", (tls: Tls.ConnectionOptions) =>
      NodeWebSocketClient.layerHttpClient.pipe(
        Layer.provide(NodeHttpClient.layerNodeHttpNoAgent),
        Layer.provide(NodeHttpClient.layerAgentOptions(tls as Https.AgentOptions))
      )],
    ["no HttpClient", (tls: Tls.ConnectionOptions) => NodeWebSocketClient.layerDirectOptions({ tls })]
  ] as const
  for (const { advice, client = { ca }, name, server } of kinds) {
    for (const [dialler, layer] of clients) {
      it.live(`${name}, over ${dialler}`, () =>
        Effect.gen(function*() {
          const evaluate = server === "plain" ? {} : { evaluate: () => Https.createServer(server) }
          const { port } = yield* serve(Echo, evaluate)
          const error = yield* Effect.flip(WebSocketClient.connect(`wss://localhost:${port}/`))
          assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Tls"])
          assert.include(error.message, advice)
        }).pipe(Effect.provide(layer(client))))
    }
  }
})

describe("TLS", () => {
  it.live("a redirect from wss to ws is refused", () =>
    Effect.gen(function*() {
      const plain = yield* serve(Echo)
      const secure = yield* serve(
        HttpRouter.add("GET", "/", HttpServerResponse.redirect(`http://127.0.0.1:${plain.port}/`)),
        { evaluate: () => Https.createServer(credentials) }
      )
      const error = yield* Effect.flip(WebSocketClient.connect(`wss://localhost:${secure.port}/`))
      assert.strictEqual(error._tag === "HandshakeError" && error.reason, "Downgraded")
    }).pipe(Effect.provide(NodeWebSocketClient.layerHttpClient.pipe(
      Layer.provide(Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.followRedirects(3)))),
      Layer.provide(NodeHttpClient.layerUndiciOptions({ allowH2: false, connect: { ca } }))
    ))))

  it.live("a client that resets in the middle of TLS does no harm", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: () => Https.createServer(credentials) })
      for (let i = 0; i < 20; i++) {
        const socket = Net.connect({ host: "127.0.0.1", port })
        socket.on("error", () => {})
        socket.write(Uint8Array.of(0x16, 3, 1, 0))
        yield* Effect.sleep(2)
        socket.resetAndDestroy()
      }
      const ws = yield* WebSocketClient.connect(`wss://localhost:${port}/`)
      yield* ws.send("still here")
      assert.strictEqual(yield* ws.receive, "still here")
    }).pipe(Effect.provide(trusting)))
})
