/** Masking in WebAssembly: the module is that of its text, and does what the words do. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import wabt from "wabt"
import { maskInPlace } from "../../src/codec/Mask.ts"
import { maskShared, sharedBuffer } from "../../src/codec/Simd.ts"
import { simdModule } from "../../src/codec/SimdModule.ts"

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("Simd", () => {
  it("is made of Simd.wat", async () => {
    const { parseWat } = await wabt()
    const text = readFileSync(new URL("../../src/codec/Simd.wat", import.meta.url), "utf8")
    const { buffer } = parseWat("Simd.wat", text, { simd: true }).toBinary({})
    assert.strictEqual(Buffer.from(buffer).toString("base64"), simdModule, "run node scripts/build-simd.ts")
  })

  const shared = sharedBuffer(1024)

  it("hands out memory of one buffer until that is used up, then other memory", () => {
    const first = sharedBuffer(10)
    const second = sharedBuffer(10)
    assert.strictEqual(first.buffer, shared.buffer)
    assert.isAtLeast(second.byteOffset, first.byteOffset + 10)
    const tooLarge = sharedBuffer(3 * 1024 * 1024)
    assert.strictEqual(tooLarge.length, 3 * 1024 * 1024)
    assert.notStrictEqual(tooLarge.buffer, shared.buffer)
  })

  it.prop("masks as the bytes are masked one by one, and nothing beside them", {
    start: between(0, 200),
    size: between(0, 800),
    key: between(-0x80000000, 0x7fffffff),
    phase: between(0, 3)
  }, ({ key, phase, size, start }) => {
    for (let i = 0; i < shared.length; i++) shared[i] = i * 7
    const expected = Array.from(shared, (byte, i) =>
      i < start || i >= start + size ? byte : byte ^ ((key >>> (((i - start + phase) & 3) * 8)) & 0xff))
    maskInPlace(shared, start, start + size, key, phase)
    assert.deepStrictEqual([...shared], expected)
  })

  it("leaves memory that is not its own to others", () => {
    const bytes = new Uint8Array(100)
    assert.isFalse(maskShared(bytes, 0, 100, -1))
    assert.isTrue(bytes.every((byte) => byte === 0))
    assert.isTrue(maskShared(shared.subarray(4, 68), 0, 64, 0))
  })
})
