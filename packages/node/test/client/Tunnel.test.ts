/** Dialling through proxies, which are small ones of these tests. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { createSecureServer as createHttp2Server } from "node:http2"
import { createServer as createSecureServer } from "node:https"
import { listenRaw, until } from "../support/RawPeer.ts"
import { openSockets, serve } from "../support/Serve.ts"
import { connectProxy, silentProxy, socksProxy } from "../support/Proxies.ts"

const file = (name: string) => readFileSync(`${import.meta.dirname}/../support/tls/${name}`)
const credentials = { cert: file("server.pem"), key: file("server.key") }
const secureServer = () => createSecureServer(credentials)
const tls = { ca: file("ca.pem") }

const Echo = HttpRouter.add("GET", "/*", WebSocketServer.handle((ws) => Stream.run(ws.messages, ws.sink)))

const echoes = (url: string) =>
  Effect.scoped(Effect.gen(function*() {
    const ws = yield* WebSocketClient.connect(url)
    const large = "x".repeat(300_000)
    for (const text of ["hello", large]) {
      yield* ws.send(text)
      assert.strictEqual(yield* ws.receive, text)
    }
  }))

const failure = (url: string, options: NodeWebSocketClient.DirectOptions) =>
  WebSocketClient.connect(url).pipe(
    Effect.scoped,
    Effect.provide(NodeWebSocketClient.layerDirectOptions(options)),
    Effect.flip
  )

const servers = [["ws", undefined], ["wss", secureServer]] as const

describe("proxy, by CONNECT", () => {
  for (const [scheme, evaluate] of servers) {
    for (const login of [undefined, "ada:s%40cret"]) {
      it.live(`${scheme} ${login === undefined ? "without" : "with"} credentials`, () =>
        Effect.gen(function*() {
          const { port } = yield* serve(Echo, { ...(evaluate !== undefined && { evaluate }) })
          const proxy = yield* connectProxy({ login: login && "ada:s@cret" })
          const options = { tls, proxy: `http://${login === undefined ? "" : `${login}@`}127.0.0.1:${proxy.port}` }
          yield* Effect.provide(echoes(`${scheme}://localhost:${port}/`), NodeWebSocketClient.layerDirectOptions(options))
          const [first, ...lines] = proxy.requests[0]!.split("\r\n")
          assert.strictEqual(first, `CONNECT localhost:${port} HTTP/1.1`)
          assert.include(lines, `Host: localhost:${port}`)
          assert.isFalse(lines.some((line) => line.toLowerCase().startsWith("connection:")))
          yield* until("nothing stays open", () => proxy.open() === 0)
        }))
    }
  }

  it.live("TLS to the proxy, with TLS to the server in it", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: secureServer })
      const proxy = yield* connectProxy({ tls: credentials })
      const options = { tls, proxyTls: tls, proxy: new URL(`https://localhost:${proxy.port}`) }
      yield* Effect.provide(echoes(`wss://localhost:${port}/`), NodeWebSocketClient.layerDirectOptions(options))
      const error = yield* failure(`wss://localhost:${port}/`, { tls, proxy: options.proxy })
      assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Tls"])
      assert.include(error.message, `The proxy localhost:${proxy.port} could not be reached`)
      yield* until("nothing stays open", () => proxy.open() === 0)
    }))

  it.live("the server's certificate is checked for the URL's host, not the proxy's", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo, { evaluate: secureServer })
      const proxy = yield* connectProxy({ target: port })
      const error = yield* failure(`wss://other.example:${port}/`, { tls, proxy: `http://localhost:${proxy.port}` })
      assert.deepStrictEqual(error._tag === "IOError" && [error.phase, error.reason], ["connect", "Tls"])
      yield* until("nothing stays open", () => proxy.open() === 0)
    }))

  it.live("a refusal is typed, and names the proxy without its credentials", () =>
    Effect.gen(function*() {
      const proxy = yield* connectProxy({ login: "ada:right" })
      const name = `127.0.0.1:${proxy.port}`
      for (const [url, advice] of [[name, "asks for a user"], [`http://ada:wrong@${name}`, "does not accept"]] as const) {
        const error = yield* failure("ws://feed.example/", { proxy: url })
        assert(error._tag === "HandshakeError")
        assert.deepStrictEqual([error.reason, error.status], ["ProxyRefused", 407])
        assert.include(error.message, `The proxy ${name} refused to connect to feed.example:80`)
        assert.include(error.message, advice)
        assert.notInclude(JSON.stringify(error), "wrong")
        assert.deepInclude(error.headers, ["proxy-authenticate", "Basic realm=\"proxy\""])
      }
      for (const status of [100, 302, 403, 502]) {
        const other = yield* connectProxy({ status })
        const error = yield* failure("ws://feed.example/", { proxy: `http://127.0.0.1:${other.port}` })
        assert.strictEqual(error._tag === "HandshakeError" && error.reason, "ProxyRefused")
      }
      yield* until("nothing stays open", () => proxy.open() === 0)
    }))

  it.live("a proxy that is not there, or speaks no HTTP, is an IOError that names it", () =>
    Effect.gen(function*() {
      const proxy = yield* socksProxy({})
      const name = `127.0.0.1:${proxy.port}`
      const wrong = yield* failure("ws://feed.example/", { proxy: `http://${name}` })
      assert.strictEqual(wrong._tag, "IOError")
      assert.include(wrong.message, `the proxy ${name}`)
      const gone = yield* failure("ws://feed.example/", { proxy: "http://user:secret@127.0.0.1:1" })
      assert.deepStrictEqual(gone._tag === "IOError" && [gone.phase, gone.reason], ["connect", "Refused"])
      assert.include(gone.message, "The proxy 127.0.0.1:1 could not be reached")
      assert.notInclude(gone.message, "secret")
    }))
})

describe("proxy, by SOCKS5", () => {
  for (const [scheme, evaluate] of servers) {
    for (const login of [undefined, "ada:secret"]) {
      it.live(`${scheme} ${login === undefined ? "without" : "with"} credentials`, () =>
        Effect.gen(function*() {
          const { port } = yield* serve(Echo, { ...(evaluate !== undefined && { evaluate }) })
          const proxy = yield* socksProxy({ login })
          const url = Redacted.make(`socks5://${login === undefined ? "" : `${login}@`}127.0.0.1:${proxy.port}`)
          const layer = NodeWebSocketClient.layerDirectOptions({ tls, proxy: url })
          yield* Effect.provide(echoes(`${scheme}://localhost:${port}/`), layer)
          assert.deepStrictEqual(proxy.requests, [`localhost:${port}`])
          yield* until("nothing stays open", () => proxy.open() === 0)
        }))
    }
  }

  it.live("addresses are sent as addresses", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const proxy = yield* socksProxy({ target: port })
      const layer = NodeWebSocketClient.layerDirectOptions({ proxy: `socks5h://127.0.0.1:${proxy.port}` })
      for (const host of ["192.0.2.7", "[2001:db8::1:0:2]", "[::1]"]) yield* Effect.provide(echoes(`ws://${host}/`), layer)
      assert.deepStrictEqual(proxy.requests, [
        "192.0.2.7:80",
        "2001:0db8:0000:0000:0000:0001:0000:0002:80",
        "0000:0000:0000:0000:0000:0000:0000:0001:80"
      ])
    }))

  it.live("each reply of refusal is typed, and names the proxy", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      for (const reply of [1, 2, 3, 4, 5, 6, 7, 8, 99]) {
        const proxy = yield* socksProxy({ reply })
        const error = yield* failure("ws://feed.example/", { proxy: `socks5://127.0.0.1:${proxy.port}` })
        assert.include(error.message, `The proxy 127.0.0.1:${proxy.port}`)
        assert.include(error.message, "feed.example:80")
        seen.push(error.reason)
        yield* until("nothing stays open", () => proxy.open() === 0)
      }
      const refused = "ProxyRefused"
      assert.deepStrictEqual(seen, ["Unknown", refused, "Reset", "Reset", "Refused", "TimedOut", refused, refused, refused])
    }))

  it.live("credentials that it wants or does not accept", () =>
    Effect.gen(function*() {
      const proxy = yield* socksProxy({ login: "ada:right" })
      for (const [login, advice] of [["", "asks for a user"], ["ada:wrong@", "does not accept the user"]] as const) {
        const error = yield* failure("ws://feed.example/", { proxy: `socks5://${login}127.0.0.1:${proxy.port}` })
        assert.strictEqual(error._tag === "HandshakeError" && error.reason, "ProxyRefused")
        assert.include(error.message, advice)
        assert.notInclude(JSON.stringify(error), "wrong")
      }
    }))

  it.live("an HTTP proxy is no SOCKS5 proxy", () =>
    Effect.gen(function*() {
      const proxy = yield* listenRaw((peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const error = yield* failure("ws://feed.example/", { proxy: `socks5://127.0.0.1:${proxy.port}` })
      assert.strictEqual(error._tag, "IOError")
      assert.include(error.message, `the proxy 127.0.0.1:${proxy.port}`)
    }))
})

describe("proxy", () => {
  for (const kind of ["http", "socks5"]) {
    it.live(`${kind}: one that never answers fails within handshakeTimeout, and leaves nothing open`, () =>
      Effect.gen(function*() {
        const proxy = yield* silentProxy
        const layer = NodeWebSocketClient.layerDirectOptions({ proxy: `${kind}://127.0.0.1:${proxy.port}` })
        const error = yield* WebSocketClient.connect("ws://feed.example/", { handshakeTimeout: 100 }).pipe(
          Effect.scoped,
          Effect.provide(layer),
          Effect.flip
        )
        assert.strictEqual(error._tag === "IOError" && error.reason, "TimedOut")
        assert.include(error.message, `longer than 100 ms (handshakeTimeout): no answer from the proxy 127.0.0.1:${proxy.port}`)
        yield* until("nothing stays open", () => proxy.open() === 0)
      }))

    it.live(`${kind}: interruption while it is asked leaves nothing open`, () =>
      Effect.gen(function*() {
        const proxy = yield* silentProxy
        const layer = NodeWebSocketClient.layerDirectOptions({ proxy: `${kind}://127.0.0.1:${proxy.port}` })
        const fiber = yield* Effect.forkChild(Effect.provide(echoes("ws://feed.example/"), layer))
        yield* until("it is asked", () => proxy.bytes() > 0)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(exit._tag === "Failure" && Cause.hasInterrupts(exit.cause))
        yield* until("nothing stays open", () => proxy.open() === 0)
      }))
  }

  it.live("what cannot be a proxy is a typed error without its password", () =>
    Effect.gen(function*() {
      for (
        const [proxy, reason] of [
          ["ftp://ada:secret@proxy.example", "UrlScheme"],
          ["http://ada:secret@:1:2", "UrlInvalid"],
          ["http://ada:secret%ff@proxy.example", "UrlInvalid"],
          [`socks5://ada:${"secret".repeat(50)}@proxy.example`, "UrlInvalid"]
        ] as const
      ) {
        const error = yield* failure("ws://feed.example/", { proxy })
        assert.strictEqual(error._tag === "HandshakeError" && error.reason, reason)
        assert.notInclude(`${error.message}${JSON.stringify(error)}`, "secret")
      }
      const error = yield* failure("ws://feed.example/", { proxy: "http://proxy.example", socketPath: "/tmp/none" })
      assert.strictEqual(error._tag === "HandshakeError" && error.reason, "OptionUnsupported")
    }))

  it.live("layerHttp2 shares one tunnel, and falls back through the proxy", () =>
    Effect.gen(function*() {
      const settings = { enableConnectProtocol: true }
      const { node, port } = yield* serve(Echo, {
        evaluate: () => createHttp2Server({ ...credentials, allowHTTP1: true, settings })
      })
      const proxy = yield* connectProxy({})
      const options = { tls, proxy: `http://127.0.0.1:${proxy.port}` }
      yield* Effect.all([echoes(`wss://localhost:${port}/`), echoes(`wss://localhost:${port}/`)], { concurrency: 2 }).pipe(
        Effect.andThen(Effect.map(openSockets(node), (count) => assert.strictEqual(count, 1))),
        Effect.provide(NodeWebSocketClient.layerHttp2(options))
      )
      assert.lengthOf(proxy.requests, 1)
      yield* until("nothing stays open", () => proxy.open() === 0)
      const old = yield* serve(Echo, { evaluate: secureServer })
      yield* Effect.provide(echoes(`wss://localhost:${old.port}/`), NodeWebSocketClient.layerHttp2(options))
      yield* until("nothing stays open", () => proxy.open() === 0)
      const refusing = yield* connectProxy({ status: 403 })
      const error = yield* WebSocketClient.connect(`wss://localhost:${port}/`).pipe(
        Effect.scoped,
        Effect.provide(NodeWebSocketClient.layerHttp2({ tls, proxy: `http://127.0.0.1:${refusing.port}` })),
        Effect.flip
      )
      assert.strictEqual(error._tag === "HandshakeError" && error.reason, "ProxyRefused")
    }))

  it.live("time that passes is the proxy's until the tunnel is open, and then the server's", () =>
    Effect.gen(function*() {
      const timeOut = (url: string, layer: typeof NodeWebSocketClient.layerDirect) =>
        WebSocketClient.connect(url, { handshakeTimeout: 300 }).pipe(
          Effect.scoped,
          Effect.provide(layer),
          Effect.flip,
          Effect.map(({ message }) => message)
        )
      const silent = yield* silentProxy
      const byProxy = yield* timeOut("wss://feed.example/", NodeWebSocketClient.layerHttp2({ proxy: `http://127.0.0.1:${silent.port}` }))
      assert.include(byProxy, `longer than 300 ms (handshakeTimeout): no answer from the proxy 127.0.0.1:${silent.port}`)
      const proxy = yield* connectProxy({})
      const mute = yield* listenRaw(() => {})
      for (const layer of [NodeWebSocketClient.layerDirectOptions, NodeWebSocketClient.layerHttp2]) {
        for (const scheme of ["ws", "wss"]) {
          const byServer = yield* timeOut(`${scheme}://127.0.0.1:${mute.port}/`, layer({ proxy: `http://127.0.0.1:${proxy.port}` }))
          assert.include(byServer, "longer than 300 ms (handshakeTimeout): no answer from the server")
        }
      }
      yield* until("nothing stays open", () => silent.open() + proxy.open() === 0)
    }))
})
