import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Codec } from "../../src/deflate/Codec.ts"
import { fakeCodec } from "../support/FakeCodec.ts"

describe("Codec", () => {
  it.effect("is a service that a platform provides", () =>
    Effect.gen(function*() {
      const { codec } = fakeCodec()
      assert.strictEqual(Codec.key, "@effect-ws/core/PerMessageDeflate/Codec")
      assert.strictEqual(yield* Codec.pipe(Effect.provideService(Codec, codec)), codec)
    }))
})
