import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { eraOf, shardOf, unwritten, written } from "../../../src/realtime/redis/Names.ts"

const unit = Arbitrary.schema(Schema.Literals([0, 10, 13, 34, 47, 92, 97, 0x2028, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xffff]))

describe("written", () => {
  it("has no line break, no quote and no surrogate that stands alone", () => {
    assert.strictEqual(written("room/7"), "room/7")
    assert.strictEqual(written("a\nb\"c\\\ud800"), "a\\nb\\\"c\\\\\\ud800")
  })

  it.prop("is undone, for any text", { units: Arbitrary.array(unit, { maxLength: 12 }) }, ({ units }) => {
    const text = String.fromCharCode(...units)
    assert.strictEqual(unwritten(written(text)), text)
    assert.notInclude(written(text), "\n")
  })
})

describe("shardOf", () => {
  // Another hash would lead processes of two versions to different shards.
  it("never changes", () => {
    assert.deepStrictEqual(["", "room/7", "room/8", "ünïcödé/😀"].map((topic) => shardOf(topic, 16)), [5, 10, 13, 0])
    assert.strictEqual(shardOf("room/7", 1), 0)
  })

  it("spreads topics evenly", () => {
    const counts = Array.from({ length: 16 }, () => 0)
    for (let i = 0; i < 16_000; i++) counts[shardOf(`room/${i}`, 16)]++
    for (const count of counts) assert.isTrue(count > 800 && count < 1200, `${counts}`)
  })
})

describe("eraOf", () => {
  it("is the count in an epoch's name, 0 where there is none", () => {
    assert.deepStrictEqual(["", "3", ".a", "x.a", "-1.a", "0.a", "1.a", "12.abc", "1e99.a"].map(eraOf), [0, 0, 0, 0, 0, 0, 1, 12, 0])
  })
})
