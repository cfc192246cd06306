import { assert, describe, it } from "@effect/vitest"
import { TopicsContract } from "../../../src/realtime/wire/TopicsContract.ts"

describe("TopicsContract", () => {
  it("is spoken as JSON text, so that other languages can speak it", () => {
    assert.deepStrictEqual(TopicsContract.subprotocols, ["effect-ws.topics.v1+json"])
  })
})
