/** nginx and HAProxy in front of a server, configured as docs/proxies.md says, but for ports and timeouts. */
import { assert, describe, it } from "@effect/vitest"
import { Origin, WebSocketClient, WebSocketServer } from "@effect-ws/core"
import { NodeWebSocketClient } from "@effect-ws/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { settles } from "../support/RawPeer.ts"
import { serve } from "../support/Serve.ts"

const blocks = (language: string): ReadonlyArray<string> =>
  readFileSync(`${import.meta.dirname}/../../../../docs/proxies.md`, "utf8").split(`\`\`\`${language}\n`).slice(1)
    .map((part) => part.slice(0, part.indexOf("```")))

const [nginx] = blocks("nginx")
const [haproxy, overHttp2] = blocks("haproxy")

/** Short timeouts, and the ports of a test. */
const adapted = (text: string, from: number, to: number): string =>
  text.replaceAll("60s", "2s").replaceAll("8080", String(from)).replaceAll("9001", String(to))

const withoutForwarded = (text: string): string =>
  text.split("\n").filter((line) => !line.includes("X-Forwarded-")).join("\n")

const freePort = Effect.promise(async () => {
  const server = Net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  server.close()
  await once(server, "close")
  return port
})

const answers = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.once("connect", () => resume(Effect.succeed(true)))
    socket.once("error", () => resume(Effect.succeed(false)))
    socket.once("connect", () => socket.destroy())
  })

// Debian's place for both, which a user's PATH may leave out.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

/** Runs a proxy until the scope ends. */
const run = (program: "nginx" | "haproxy", text: string, to: number) =>
  Effect.gen(function*() {
    const port = yield* freePort
    const folder = mkdtempSync(join(tmpdir(), "effect-ws-proxy-"))
    const file = join(folder, "conf")
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`)
    const config = adapted(text, port, to)
    writeFileSync(
      file,
      program === "haproxy"
        ? config
        : `daemon off; pid ${folder}/pid; error_log stderr; events {}\nhttp { access_log off; ${temporary.join(" ")}\n${config} }`
    )
    const args = program === "haproxy" ? ["-db", "-f", file] : ["-p", folder, "-e", "stderr", "-c", file]
    const child = spawn(program, args, { stdio: "ignore", env })
    const gone = once(child, "exit")
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        child.kill("SIGTERM")
        await gone
        rmSync(folder, { recursive: true, force: true })
      })
    )
    yield* settles(`${program} listens`, answers(port), (open) => open)
    return port
  })

const served = HttpRouter.add(
  "GET",
  "/*",
  WebSocketServer.handle((ws) =>
    Stream.runForEach(ws.messages, (message) =>
      Effect.gen(function*() {
        if (message === "close") yield* ws.close(4001, "asked")
        else yield* ws.send(message)
      })), {
    compression: { threshold: 0 },
    origin: Origin.sameHost
  })
)

const routes = Layer.mergeAll(
  served,
  HttpRouter.middleware(
    HttpMiddleware.xForwardedHeaders({ trustedProxies: [IpNetwork.fromStringUnsafe("127.0.0.0/8")] }),
    { global: true }
  )
)

const http2 = () => Http2.createServer({ settings: { enableConnectProtocol: true } })

const ways = [
  ["nginx", (to: number) => run("nginx", nginx!, to), undefined],
  ["HAProxy", (to: number) => run("haproxy", haproxy!, to), undefined],
  [
    "HAProxy, with HTTP/2 to the server",
    (to: number) => run("haproxy", haproxy!.replace(/^ *server .*\n/m, () => overHttp2!), to),
    http2
  ],
  [
    "nginx, then HAProxy",
    (to: number) => Effect.flatMap(run("haproxy", withoutForwarded(haproxy!), to), (port) => run("nginx", nginx!, port)),
    undefined
  ]
] as const

const programs = ["nginx", "haproxy"].filter((name) => spawnSync(name, ["-v"], { env }).status !== 0)
const missing = programs.length === 0 ? undefined : `${programs.join(" and ")}: not installed`

for (const [name, start, evaluate] of ways) {
  describe(`in front: ${name}`, () => {
    if (missing !== undefined) {
      it("is there", (context) => context.skip(missing))
      return
    }

    it.live("echo, large, compressed, close codes, origins, idle and shutdown", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { port: to } = yield* Scope.provide(serve(routes, { ...(evaluate !== undefined && { evaluate }) }), scope)
        const port = yield* start(to)
        const url = `ws://localhost:${port}/`
        const large = Array.from({ length: 60_000 }, (_, i) => i).join(" ")

        for (const compression of [true, false]) {
          const ws = yield* WebSocketClient.connect(url, { compression })
          assert.strictEqual(ws.extension !== undefined, compression)
          for (const text of ["hello", large]) {
            yield* ws.send(text)
            assert.isTrue((yield* ws.receive) === text)
          }
          yield* ws.send("close")
          yield* ws.drain
          const { clean, code, reason } = yield* ws.closed
          assert.deepStrictEqual([clean, code, reason], [true, 4001, "asked"])
        }

        yield* WebSocketClient.connect(url, { headers: { origin: `http://localhost:${port}` } })
        const refused = yield* Effect.flip(WebSocketClient.connect(url, { headers: { origin: "http://evil.example" } }))
        assert.strictEqual(refused._tag === "HandshakeError" && refused.status, 403)

        // The one without pings is cut by the proxy's timeout; by then the other one was idle as long.
        const kept = yield* WebSocketClient.connect(url, { keepAlive: { interval: 400 } })
        const idle = yield* WebSocketClient.connect(url)
        assert.isFalse((yield* idle.closed).clean)
        yield* kept.send("still here")
        assert.strictEqual(yield* kept.receive, "still here")

        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* kept.drain
        assert.strictEqual((yield* kept.closed).code, 1001)
        closing.interruptUnsafe()
      }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layerDirect)))
  })
}
