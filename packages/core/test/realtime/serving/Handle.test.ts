import { assert, describe, it } from "@effect/vitest"
import { Topics } from "@effect-ws/core/realtime"
import * as Effect from "effect/Effect"
import { authenticate, byHeader, everybody, identityOf, Rights, rooms } from "../../support/TopicsRights.ts"
import { serveAlone } from "../../support/TopicsWire.ts"

describe("credentials of the request", () => {
  it.effect("let in, or are refused by a status", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byHeader())
      const dial = (authorization: string) => server.dial({ headers: { authorization } })
      const ws = yield* dial("ann:a")
      assert.include(yield* ws.receive, "welcome")
      for (const [token, status] of [["nobody", 401], ["banned:a", 403]] as const) {
        assert.deepInclude(yield* Effect.flip(dial(token)), { _tag: "HandshakeError", status })
      }
    }))

  it.effect("or by a close, which a page can see", () =>
    Effect.gen(function*() {
      const { server } = yield* serveAlone(byHeader({ refuse: "close" }))
      for (const [token, code, reason] of [["nobody", 4401, "no such token: nobody"], ["banned:a", 4403, "banned"]] as const) {
        const ws = yield* server.dial({ headers: { authorization: token } })
        yield* Effect.ignore(ws.drain)
        assert.deepInclude(yield* ws.closed, { code, reason })
      }
      const long = yield* server.dial({ headers: { authorization: "é".repeat(200) } })
      yield* Effect.ignore(long.drain)
      assert.isTrue((yield* long.closed).reason.endsWith("é..."))
    }))

  it.effect("may be left to a token", () =>
    Effect.gen(function*() {
      const route = Topics.handle([rooms], { authenticate: { request: Effect.undefined, token: identityOf } })
      const { server } = yield* serveAlone(Effect.provideService(route, Rights, everybody))
      const peer = yield* server.connect
      yield* authenticate(peer, "ann:a")
      yield* peer.expect("done")
    }))

  it.effect("are missing where there is no token either", () =>
    Effect.gen(function*() {
      const route = Topics.handle([rooms], { authenticate: { request: Effect.undefined } })
      const { server } = yield* serveAlone(Effect.provideService(route, Rights, everybody))
      assert.deepInclude(yield* Effect.flip(server.dial()), { _tag: "HandshakeError", status: 401 })
    }))
})
