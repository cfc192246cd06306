import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type { CloseWith } from "../../src/CloseCode.ts"
import * as TestServer from "../../src/testing/TestServer.ts"
import * as WebSocketServer from "../../src/WebSocketServer.ts"

describe("what a connection is closed with where its handler fails", () => {
  const cases: ReadonlyArray<readonly [given: number | CloseWith, code: number, reason: string]> = [
    [4001, 4001, ""],
    [{ code: 4001 }, 4001, ""],
    [{ code: 4001, reason: "no such room" }, 4001, "no such room"],
    [{ code: 4001, reason: "x".repeat(124) }, 4001, ""],
    [{ code: 1006, reason: "not to be sent" }, 1011, ""]
  ]
  for (const [given, code, reason] of cases) {
    it.effect(`closeCodeFor gives ${JSON.stringify(given).slice(0, 50)}: ${code} "${reason}"`, () =>
      Effect.gen(function*() {
        const { client } = yield* TestServer.connect("/")
        assert.deepInclude(yield* client.closed, { code, reason })
      }).pipe(Effect.provide(
        HttpRouter.serve(
          HttpRouter.add("GET", "/", WebSocketServer.handle(() => Effect.fail("no"), { closeCodeFor: () => given })),
          { disableLogger: true, disableListenLog: true }
        ).pipe(Layer.provideMerge(TestServer.layer()))
      )))
  }
})
