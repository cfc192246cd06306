import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { bundle } from "../page/bundle.ts"

describe("the script of the chat's page", () => {
  it.live("is small, and holds nothing of servers, of bytes on the wire or of codecs that it does not use", () =>
    Effect.gen(function*() {
      const script = yield* bundle(fileURLToPath(new URL("../chat/page/main.ts", import.meta.url)))
      assert.isBelow(script.length, 280_000)
      assert.isBelow(gzipSync(script, { level: 9 }).length, 90_000)
      // A word of each: the table of refusals, the head of a 101, masks in WebAssembly, the binary codec.
      for (const word of ["TooManyFromAddress", "Switching Protocols", "WebAssembly", "Binary layout"]) {
        assert.isFalse(script.includes(word), word)
      }
      assert.isTrue(script.includes("chat.v1"))
    }))
})
