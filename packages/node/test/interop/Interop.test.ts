/** Real peers against this library, in both directions. Those that are not installed are skipped with the reason. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { behaviours } from "./behaviours.ts"
import { asClient, asServer, type OpenPair, refusal, refusedBy, refusedWith, serve, servedHeaders } from "./ours.ts"
import type { Found, PeerClient, PeerServer } from "./peer.ts"
import { chromiumClient } from "./peers/chromium.ts"
import { pythonClient, pythonServer } from "./peers/python.ts"
import { nodeClient, undiciClient } from "./peers/whatwg.ts"
import { wsClient, wsServer } from "./peers/ws.ts"
import { withPeer } from "./withPeer.ts"

const testBehaviours = <A>(found: Found<A>, open: OpenPair): void => {
  for (const { name, needs, run } of behaviours) {
    if (needs.every((ability) => found.abilities.has(ability))) it.live(name, () => run(open))
  }
}

const foreign = { origin: "http://elsewhere.example" }

const testClient = <A extends PeerClient>(found: Found<A>, more: (peer: () => A) => void = () => undefined): void =>
  withPeer("our server and", found, (peer) => {
    testBehaviours(found, (options) => asServer(peer())(options))

    if (found.abilities.has("seenHeaders")) {
      it.live("headers and cookies of the 101", () =>
        Effect.gen(function*() {
          const pair = yield* asServer(peer())()
          for (const [name, value] of Object.entries(servedHeaders)) assert.strictEqual(pair.peer.headers[name], value)
        }))
    }

    if (found.abilities.has("requestHeaders")) {
      it.live("a foreign origin is refused with 403", () =>
        Effect.gen(function*() {
          const { status } = yield* refusedBy(peer(), { headers: foreign })
          assert.strictEqual(status, found.abilities.has("refusalStatus") ? 403 : undefined)
        }))
    }
    more(peer)
  })

const testServer = (found: Found<PeerServer>): void =>
  withPeer("our client and", found, (peer) => {
    testBehaviours(found, (options) => asClient(peer())(options))

    it.live("a refusal shows its status and body", () =>
      Effect.gen(function*() {
        const error = yield* refusedWith(peer(), 401)
        assert.strictEqual(error._tag, "HandshakeError")
        if (error._tag !== "HandshakeError") return
        assert.strictEqual(error.status, 401)
        assert.strictEqual(error.body.trim(), "no entry")
      }))

    it.live("subprotocols of which it speaks none fail the handshake", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(asClient(peer())({ protocols: ["chat.v9"], supported: ["chat.v1"] }))
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) assert.include(Cause.pretty(exit.cause), "HandshakeError")
      }))
  })

testClient(wsClient)
testClient(undiciClient)
testClient(nodeClient)
testClient(pythonClient)

testClient(chromiumClient, (peer) => {
  it.live("its page's cookies go with the handshake, and the 101 sets one", () =>
    Effect.gen(function*() {
      const { requestHeaders } = yield* asServer(peer())()
      assert.include(requestHeaders["cookie"], "page=1")
      assert.include(requestHeaders["origin"], "http://127.0.0.1:")
      assert.include(yield* Effect.promise(() => peer().page.evaluate(() => document.cookie)), "seen=yes")
    }))

  it.live("a page of another origin is refused: an error event, no connection", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const home = yield* serve(scope)
      const other = yield* serve(scope)
      yield* refusal(() => peer().connectFrom(home.url, other.url))
      assert.isTrue(peer().seen.some((line) => line.includes("403")), peer().seen.join("\n"))
    }))
})

testServer(wsServer)
testServer(pythonServer)
