/** Upgrades that a client sends behind requests, without waiting for their answers. */
import { assert, describe, it } from "@effect/vitest"
import { Opcode, WebSocketServer } from "@effect-ws/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { clientFrame, connectRaw, connectUpgraded, settles, until, upgradeRequest } from "../support/RawPeer.ts"
import { openSockets, serve } from "../support/Serve.ts"

/** A server whose route /slow answers when the test says so. */
const slowly = Effect.gen(function*() {
  const answer = yield* Deferred.make<void>()
  const state = { accepted: 0, interrupted: 0 }
  const { node, port } = yield* serve(Layer.mergeAll(
    HttpRouter.add("GET", "/", WebSocketServer.handle((ws) => {
      state.accepted++
      return Stream.run(ws.messages, ws.sink)
    })),
    HttpRouter.add("GET", "/slow", Deferred.await(answer).pipe(
      Effect.as(HttpServerResponse.text("slow")),
      Effect.onInterrupt(() => Effect.sync(() => state.interrupted++))
    ))
  ))
  return { answer, node, port, state }
})

const slow = (headers = "") => `GET /slow HTTP/1.1\r\nHost: a\r\n${headers}\r\n`

describe("an upgrade behind requests that are not answered yet", () => {
  it.live("waits for their answers, and what was sent behind it is received", () =>
    Effect.gen(function*() {
      const { answer, port } = yield* slowly
      const peer = yield* connectRaw(port)
      peer.write(slow(), slow(), upgradeRequest("/"), clientFrame(Opcode.Text, "early"))
      // The others are served meanwhile.
      yield* connectUpgraded(port)
      assert.strictEqual(peer.text, "")
      yield* Deferred.succeed(answer, undefined)
      for (let i = 0; i < 2; i++) {
        const head = yield* peer.head
        assert.deepInclude(head, { status: 200 })
        yield* until("the body", () => peer.bytes.length >= 4)
        assert.isTrue(peer.text.startsWith("slow"))
        peer.bytes = peer.bytes.subarray(4)
      }
      assert.strictEqual((yield* peer.head).status, 101)
      yield* peer.untilFrames(1)
      assert.deepStrictEqual(peer.texts(), ["early"])
    }))

  it.live("is not taken behind an answer that ends the connection", () =>
    Effect.gen(function*() {
      const { answer, port, state } = yield* slowly
      const peer = yield* connectRaw(port)
      peer.write(slow("Connection: close\r\n"), upgradeRequest("/"))
      yield* Deferred.succeed(answer, undefined)
      yield* peer.untilEnded
      assert.isTrue(peer.text.endsWith("\r\n\r\nslow"))
      assert.strictEqual(state.accepted, 0)
    }))

  it.live("goes with a client that leaves meanwhile", () =>
    Effect.gen(function*() {
      const { answer, node, port, state } = yield* slowly
      const peer = yield* connectRaw(port)
      peer.write(slow(), upgradeRequest("/"))
      const other = yield* connectUpgraded(port)
      peer.reset()
      yield* until("the interruption", () => state.interrupted === 1)
      yield* Deferred.succeed(answer, undefined)
      yield* settles("one open socket", openSockets(node), (count) => count === 1)
      assert.strictEqual(state.accepted, 1)
      other.socket.destroy()
    }))
})
