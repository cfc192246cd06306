/** The ways to a server that flags choose: through a proxy, over HTTP/2. */
import { assert, describe, it } from "@effect/vitest"
import { WebSocketServer } from "@effect-ws/core"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import type * as Http from "node:http"
import * as Http2 from "node:http2"
import { connectProxy, socksProxy } from "../support/Proxies.ts"
import { serve } from "../support/Serve.ts"
import { type Options, run } from "./support/Cli.ts"

const tls = `${import.meta.dirname}/../support/tls`
const settings = { enableConnectProtocol: true }

/** Says the HTTP version of its request, then echoes. */
const Echo = HttpRouter.add("GET", "/", Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { httpVersion } = request.source as Http.IncomingMessage
  return yield* WebSocketServer.handle((ws) =>
    Effect.andThen(ws.send(`HTTP/${httpVersion}`), Stream.run(ws.messages, ws.sink)))
}))

const cli = (args: ReadonlyArray<string>, options?: Options) => Effect.promise(() => run(args, "", options))
const connect = ["connect", "--send", "hello", "--count", "2"]
const load = ["load", "-c", "2", "-n", "5", "--one-way"]

describe("dialling", { concurrent: true, timeout: 60_000 }, () => {
  it.live("through an HTTP proxy and one of SOCKS5, with a password", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const proxies = [
        ["http", yield* connectProxy({ login: "ada:secret" })],
        ["socks5", yield* socksProxy({ login: "ada:secret" })]
      ] as const
      for (const [scheme, proxy] of proxies) {
        const way = ["--proxy", `${scheme}://ada:secret@127.0.0.1:${proxy.port}`]
        const { status, stderr, stdout } = yield* cli([...connect, `ws://127.0.0.1:${port}/`, ...way])
        assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: "HTTP/1.1\nhello\n" })
        assert.lengthOf(proxy.requests, 1)
        assert.include(proxy.requests[0], `127.0.0.1:${port}`)
        const { status: loaded } = yield* cli([...load, `ws://127.0.0.1:${port}/`, ...way])
        assert.strictEqual(loaded, 0)
        assert.lengthOf(proxy.requests, 3)
      }
    }))

  it.live("through the proxy of the environment only where it is asked for", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(Echo)
      const proxy = yield* connectProxy({})
      const env = { http_proxy: `http://127.0.0.1:${proxy.port}`, no_proxy: "" }
      yield* cli([...connect, `ws://127.0.0.1:${port}/`], { env })
      assert.lengthOf(proxy.requests, 0)
      const { stdout } = yield* cli([...connect, `ws://127.0.0.1:${port}/`, "--proxy", "environment"], { env })
      assert.strictEqual(stdout, "HTTP/1.1\nhello\n")
      assert.lengthOf(proxy.requests, 1)
    }))

  it.live("a proxy's refusal names the proxy, says what to do, and shows no password", () =>
    Effect.gen(function*() {
      const closed = yield* connectProxy({ status: 403 })
      const locked = yield* connectProxy({ login: "ada:secret" })
      const socks = yield* socksProxy({ reply: 2 })
      const dial = (proxy: string) => cli(["connect", "ws://server.example/", "--proxy", proxy])
      const refused = yield* dial(`http://ada:secret@127.0.0.1:${closed.port}`)
      assert.strictEqual(refused.status, 4)
      assert.match(refused.stderr, new RegExp(`The proxy 127.0.0.1:${closed.port} refused to connect to server.example:80: .*403 Forbidden`))
      assert.include(refused.stderr, "connect without --proxy")
      assert.notInclude(refused.stderr, "secret")
      const wrong = yield* dial(`http://127.0.0.1:${locked.port}`)
      assert.strictEqual(wrong.status, 4)
      assert.include(wrong.stderr, "--proxy http://USER:PASSWORD@HOST:PORT")
      const overSocks = yield* dial(`socks5://127.0.0.1:${socks.port}`)
      assert.strictEqual(overSocks.status, 4)
      assert.include(overSocks.stderr, `127.0.0.1:${socks.port}`)
    }))

  it.live("over HTTP/2, with TLS and without, and over HTTP/1.1 where a TLS server offers no other", () =>
    Effect.gen(function*() {
      const credentials = { cert: readFileSync(`${tls}/server.pem`), key: readFileSync(`${tls}/server.key`) }
      const servers = [
        ["ws", () => Http2.createServer({ settings }), "HTTP/2.0"],
        ["wss", () => Http2.createSecureServer({ ...credentials, allowHTTP1: true, settings }), "HTTP/2.0"],
        ["wss", () => Http2.createSecureServer({ ...credentials, allowHTTP1: true }), "HTTP/1.1"]
      ] as const
      for (const [scheme, evaluate, version] of servers) {
        const { port } = yield* serve(Echo, { evaluate })
        const url = `${scheme}://localhost:${port}/`
        const { status, stderr, stdout } = yield* cli([...connect, url, "--http2", "--ca", `${tls}/ca.pem`])
        assert.deepStrictEqual({ status, stderr, stdout }, { status: 0, stderr: "", stdout: `${version}\nhello\n` })
        const loaded = yield* cli([...load, url, "--http2", "--ca", `${tls}/ca.pem`])
        assert.strictEqual(loaded.status, 0, loaded.stderr)
      }
    }))

  it.live("ways that exclude each other, and what is no proxy, are usage errors", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [["--unix", "/tmp/s", "--proxy", "http://localhost:1"], "--unix and --proxy"],
        [["--unix", "/tmp/s", "--http2"], "--unix and --http2"],
        [["--proxy", "ftp://localhost"], "the proxy's URL is none of"]
      ]
      for (const [args, text] of wrong) {
        const { status, stderr } = yield* cli(["connect", "ws://localhost/", ...args])
        assert.strictEqual(status, 2)
        assert.include(stderr, text)
      }
    }))
})
