import { assert, describe, it } from "@effect/vitest"
import { Broker } from "@effect-ws/core/realtime"

describe("BrokerError", () => {
  it("says whether something may have been done", () => {
    const message = (applied: "no" | "unknown") => new Broker.BrokerError({ operation: "publish", applied }).message
    assert.strictEqual(message("no"), "The broker failed to publish")
    assert.strictEqual(message("unknown"), "The broker failed to publish, or has not answered")
  })
})
