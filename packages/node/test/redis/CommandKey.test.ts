import { assert, describe, it } from "@effect/vitest"
import { keyOf } from "../../src/redis/CommandKey.ts"

describe("keyOf", () => {
  it("is the first key of a command, where it has one", () => {
    assert.strictEqual(keyOf("GET", ["a"]), "a")
    assert.strictEqual(keyOf("evalsha", ["sha", "2", "a", "b", "c"]), "a")
    assert.strictEqual(keyOf("EVAL", ["return 1", "0", "a"]), undefined)
    assert.strictEqual(keyOf("SPUBLISH", ["channel", "message"]), "channel")
    for (const command of ["PING", "publish", "Info"]) assert.strictEqual(keyOf(command, ["a", "b"]), undefined)
  })
})
