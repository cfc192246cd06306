import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Connection } from "../../src/connection/Connection.ts"
import { failsAtEnd } from "../../src/connection/Ended.ts"
import { isPending, make, start, turn } from "../support/Harness.ts"

describe("failsAtEnd", () => {
  it.effect("waits until the connection has closed, then and later it fails; interrupted, it is forgotten", () =>
    Effect.gen(function*() {
      const { close, transport, ws } = yield* make()
      const { link, writer } = ws as Connection
      const waiting = yield* start(Effect.flip(failsAtEnd(writer)))
      const leaving = yield* start(failsAtEnd(writer))
      assert.isTrue(isPending(waiting))
      assert.strictEqual(link.listeners!.size, 2)
      yield* Fiber.interrupt(leaving)
      assert.strictEqual(link.listeners!.size, 1)
      transport.push(close(1000))
      yield* start(ws.drain)
      yield* turn
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "ConnectionClosed")
      assert.strictEqual((yield* Effect.flip(failsAtEnd(writer)))._tag, "ConnectionClosed")
    }))
})
