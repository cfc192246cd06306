import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as WebSocket from "../src/WebSocket.ts"
import * as WebSocketServer from "../src/WebSocketServer.ts"
import * as WorkersHttpServer from "../src/WorkersHttpServer.ts"
import { FakeNative } from "./support/FakeNative.ts"
import { global } from "./support/PlatformGlobal.ts"

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")),
  HttpRouter.add(
    "GET",
    "/echo",
    WebSocketServer.handle((ws) => WebSocket.relay(ws, ws), { selectSubprotocol: ["a"], headers: { "x-a": "1" } })
  )
)

class Accepting extends FakeNative {
  accept(): void {
    this.happens("open")
  }
}

class Pair {
  static readonly made: Array<Pair> = []
  readonly 0 = new FakeNative()
  readonly 1 = new Accepting()
  constructor() {
    Pair.made.push(this)
  }
}

/** What a `Response` of Workers may have, and none of Node's: the status 101, and a WebSocket. */
class WorkersResponse {
  readonly init: { readonly status: number; readonly headers: Headers; readonly webSocket?: unknown }
  constructor(_: unknown, init: WorkersResponse["init"]) {
    this.init = init
  }
}

const fetchOf = Effect.sync(() =>
  WorkersHttpServer.toFetch(HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true })))

const settled = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

describe("WorkersHttpServer", () => {
  it.live("answers ordinary requests, by what is built for the first", () =>
    Effect.gen(function*() {
      const fetch = yield* fetchOf
      for (let i = 0; i < 2; i++) {
        const response = yield* Effect.promise(() => fetch(new Request("https://worker.example/hello")))
        assert.strictEqual(yield* Effect.promise(() => response.text()), "hello")
      }
    }))

  it.live("answers an upgrade with one end of a pair, and holds the other, which answers the peer's Close", () =>
    Effect.gen(function*() {
      const fetch = yield* fetchOf
      yield* global("WebSocketPair", Pair)
      yield* global("Response", WorkersResponse)
      // Workers see no `connection`, and no key.
      const request = new Request("https://worker.example/echo", {
        headers: { upgrade: "websocket", "sec-websocket-protocol": "a" }
      })
      const response = (yield* Effect.promise(() => fetch(request))) as unknown as WorkersResponse
      const pair = Pair.made.at(-1)!
      assert.deepInclude(response.init, { status: 101, webSocket: pair[0] })
      assert.deepStrictEqual([...response.init.headers], [["sec-websocket-protocol", "a"], ["x-a", "1"]])
      yield* settled
      pair[1].happens("message", { data: "hello" })
      yield* settled
      pair[1].happens("close", { code: 4000, reason: "bye" })
      assert.deepStrictEqual(pair[1].sent, ["hello", "close 4000 bye"])
    }))
})
