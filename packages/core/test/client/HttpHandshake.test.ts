import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Handshake from "../../src/Handshake.ts"
import type { MessageExtension } from "../../src/MessageExtension.ts"
import * as WebSocketClient from "../../src/WebSocketClient.ts"
import type { HandshakeError } from "../../src/WebSocketError.ts"
import { FakeTransport } from "../support/FakeTransport.ts"
import * as RunLength from "../support/RunLength.ts"

type Answer = (request: Handshake.HandshakeRequest) => Partial<Handshake.HandshakeResponse>

const switching: Answer = ({ key }) => ({
  headers: [["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Accept", Handshake.acceptKey(key)]]
})

/** What a connector makes of an answer, and what it asked for. */
const opened = (
  answer: Answer,
  url: string | URL = "ws://a.example/b?c",
  options: WebSocketClient.ConnectOptions = {}
) => {
  const requests: Array<Handshake.HandshakeRequest> = []
  const connector = WebSocketClient.makeConnector({
    dial: (request) => {
      requests.push(request)
      const response = { status: 101, headers: [], ...answer(request) }
      const transport = response.status < 300 ? Effect.succeed(new FakeTransport()) : WebSocketClient.notSwitched
      return Effect.succeed({ response, transport })
    }
  })
  return { requests, result: Effect.scoped(connector.open(url, options)) }
}

/** The connection that a connector makes; its transport is taken away at the end. */
const connection = (make: WebSocketClient.Opened["make"]) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    return yield* Scope.provide(make({ role: "client" }), scope)
  })

const reasonOf = (result: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(result), (error) => (error as HandshakeError).reason)

describe("makeConnector: the opening handshake over any dialler", () => {
  it.effect("asks, and gives what was agreed on and the lines of the answer", () =>
    Effect.gen(function*() {
      const answer: Answer = (request) => ({
        headers: [
          ...switching(request).headers ?? [],
          ["Sec-WebSocket-Protocol", "v1"],
          ["Set-Cookie", "a=1"],
          ["set-cookie", "b=2"]
        ]
      })
      const { requests, result } = opened(answer, undefined, { subprotocols: ["v2", "v1"], headers: { "x-a": "1" } })
      const { make, responseHeaders, subprotocol } = yield* result
      assert.strictEqual(subprotocol, "v1")
      assert.isUndefined((yield* connection(make)).extension)
      assert.deepStrictEqual(responseHeaders.slice(-2), [["set-cookie", "a=1"], ["set-cookie", "b=2"]])
      assert.deepInclude(requests[0], { url: "http://a.example/b?c", method: "GET", transport: "http/1.1" })
      assert.deepInclude(requests[0].headers, ["x-a", "1"])
    }))

  it.effect("leaves a relative URL to its dialler, and judges no downgrade there", () =>
    Effect.gen(function*() {
      const { requests, result } = opened((request) => ({ ...switching(request), url: "http://base.example/ticks" }), "/ticks?a")
      yield* result
      assert.strictEqual(requests[0].url, "/ticks?a")
      const downgraded = opened((request) => ({ ...switching(request), url: "http://a.example/" }), "wss://a.example/")
      assert.strictEqual(yield* reasonOf(downgraded.result), "Downgraded")
    }))

  it.effect("takes the answer to an extended CONNECT by its own rules", () =>
    Effect.gen(function*() {
      const { result } = opened(() => ({ status: 200, transport: "connect" }))
      assert.strictEqual((yield* result).subprotocol, undefined)
      assert.strictEqual(yield* reasonOf(opened(() => ({ status: 200 })).result), "StatusNot101")
    }))

  it.effect("offers extensions, and opens the one that was agreed on", () =>
    Effect.gen(function*() {
      const answer: Answer = (request) => ({
        headers: [...switching(request).headers ?? [], ["Sec-WebSocket-Extensions", "x-run-length"]]
      })
      const extension: MessageExtension = {
        name: "x-run-length",
        offers: [[]],
        agree: () => Result.succeed({ open: () => RunLength.open() }),
        answer: () => undefined
      }
      const { requests, result } = opened(answer, undefined, { extensions: [extension] })
      assert.strictEqual((yield* connection((yield* result).make)).extension, "x-run-length")
      assert.deepInclude(requests[0].headers, ["Sec-WebSocket-Extensions", "x-run-length"])
      assert.strictEqual(yield* reasonOf(opened(answer).result), "ExtensionUnexpected")
    }))

  it.effect("fails before anything is sent, where a request cannot be made", () =>
    Effect.gen(function*() {
      for (const [url, options, reason] of [
        ["ftp://a/", {}, "UrlScheme"],
        ["ws://a/", { subprotocols: ["a b"] }, "SubprotocolsInvalid"],
        ["ws://a/", { headers: { upgrade: "h2c" } }, "HeaderReserved"]
      ] as const) {
        const { requests, result } = opened(switching, url, options)
        assert.strictEqual(yield* reasonOf(result), reason)
        assert.lengthOf(requests, 0)
      }
    }))

  it.effect("a refusal carries the answer, and there is no transport behind it", () =>
    Effect.gen(function*() {
      const { result } = opened(() => ({ status: 403, headers: [["X", "y"]], body: "no" }))
      assert.deepInclude(yield* Effect.flip(result), { status: 403, headers: [["x", "y"]], body: "no" })
      assert.deepInclude(yield* Effect.flip(WebSocketClient.notSwitched), { phase: "handshake", reason: "Aborted" })
    }))
})
