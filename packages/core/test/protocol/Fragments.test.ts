import { assert, describe, it } from "@effect/vitest"
import { Fragments } from "../../src/protocol/Fragments.ts"

describe("Fragments", () => {
  it("keeps pieces in order until they are taken, and weighs them", () => {
    const fragments = new Fragments("text")
    assert.isFalse(fragments.hasPieces)
    fragments.push("a", 1)
    fragments.push("", 0)
    fragments.push("\u20ac\u20ac", 6)
    assert.isTrue(fragments.hasPieces)
    assert.strictEqual(fragments.queuedBytes, 7 + 2 * 64, "a piece counts 64 bytes besides what was received for it")
    assert.deepStrictEqual(fragments.take(), ["a", "\u20ac\u20ac"])
    assert.isFalse(fragments.hasPieces)
    assert.strictEqual(fragments.queuedBytes, 0)
    assert.deepStrictEqual(fragments.take(), [])
  })

  it("keeps nothing once it is discarded", () => {
    const fragments = new Fragments("binary")
    fragments.push(Uint8Array.of(1), 1)
    fragments.discard()
    assert.isTrue(fragments.discarded)
    fragments.push(Uint8Array.of(2), 1)
    assert.isFalse(fragments.hasPieces)
    assert.strictEqual(fragments.queuedBytes, 0)
  })
})
