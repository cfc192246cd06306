import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as DenoHttpServer from "../src/DenoHttpServer.ts"
import * as WebSocket from "../src/WebSocket.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import { FakeNative } from "./support/FakeNative.ts"
import { start, turn } from "./support/Harness.ts"
import { global } from "./support/PlatformGlobal.ts"

type Handler = (request: Request, info: { readonly remoteAddr: { readonly hostname: string } }) => Promise<Response>

/** `Deno.serve` and `Deno.upgradeWebSocket`, played. */
const fakeDeno = () => {
  const calls: Array<unknown> = []
  const sockets: Array<FakeNative> = []
  let handler: Handler | undefined
  const deno = {
    serve: (options: object, handle: Handler) => {
      calls.push({ ...options, onListen: undefined })
      handler = handle
      return { addr: { hostname: "127.0.0.1", port: 4000 }, shutdown: async () => void calls.push("shutdown") }
    },
    upgradeWebSocket: (_: Request, options: object) => {
      calls.push(options)
      const socket = new FakeNative()
      sockets.push(socket)
      return { socket, response: new Response() }
    }
  }
  const ask = (path: string, headers: Record<string, string> = {}) =>
    Effect.promise(() =>
      handler!(new Request(`http://127.0.0.1:4000${path}`, { headers }), { remoteAddr: { hostname: "10.0.0.1" } })
    )
  return { ask, calls, deno, sockets }
}

const Echo = HttpRouter.add(
  "GET",
  "/echo",
  WebSocketServer.handle((ws) => WebSocket.relay(ws, ws), { selectSubprotocol: ["a"], headers: { "x-a": "1" } })
)

const serving = Effect.fnUntraced(function*(options: DenoHttpServer.Options) {
  const fake = fakeDeno()
  yield* global("Deno", fake.deno)
  const scope = yield* Scope.make()
  const app = HttpRouter.serve(Echo, { disableLogger: true, disableListenLog: true })
  yield* Scope.provide(Layer.build(Layer.provide(app, DenoHttpServer.layer(options))), scope)
  return { ...fake, scope }
})

const websocket = { upgrade: "websocket", "sec-websocket-protocol": "a" }

describe("DenoHttpServer", () => {
  it.effect("listens as asked, upgrades by Deno with what was chosen, and shuts down behind its connections", () =>
    Effect.gen(function*() {
      const { ask, calls, scope, sockets } = yield* serving({ port: 0, hostname: "127.0.0.1", idleTimeout: 5 })
      assert.deepStrictEqual(calls, [{ port: 0, hostname: "127.0.0.1", onListen: undefined }])
      const response = yield* ask("/echo", websocket)
      assert.strictEqual(response.headers.get("x-a"), "1")
      assert.deepStrictEqual(calls[1], { protocol: "a", idleTimeout: 5 })
      const [socket] = sockets
      socket!.happens("open")
      socket!.happens("message", { data: "hello" })
      yield* turn
      assert.deepStrictEqual(socket!.sent, ["hello"])
      const closing = yield* start(Scope.close(scope, Exit.void))
      // A server's socket may send any code.
      assert.deepStrictEqual(socket!.sent, ["hello", "close 1001"])
      assert.notInclude(calls, "shutdown")
      socket!.happens("close", { code: 1001 })
      yield* turn
      yield* Effect.promise(() => Promise.resolve())
      yield* turn
      assert.isDefined(closing.pollUnsafe())
      assert.include(calls, "shutdown")
    }))

  it.effect("a client that is gone before its socket opens leaves its place", () =>
    Effect.gen(function*() {
      const { ask, sockets } = yield* serving({ maxConnections: 1 })
      yield* ask("/echo", websocket)
      sockets[0]!.happens("error", { message: "reset" })
      sockets[0]!.happens("close", { code: 1006 })
      yield* turn
      yield* ask("/echo", websocket)
      assert.lengthOf(sockets, 2, "there is room for the next one")
      sockets[1]!.happens("open")
      yield* turn
      assert.strictEqual((yield* ask("/echo", websocket)).status, 503)
    }))

  it.effect("says where it runs", () =>
    Effect.gen(function*() {
      // These tests run on Deno, too.
      yield* global("Deno", undefined)
      const exit = yield* Effect.exit(Effect.scoped(DenoHttpServer.make()))
      assert.isTrue(Exit.hasDies(exit))
    }))
})
