/** DEFLATE by documented interfaces: that its work and memory stay bounded. What it does is proved in NodeDeflate.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import type { PerMessageDeflate } from "@effect-ws/core"
import { Buffer } from "node:buffer"
import * as Zlib from "node:zlib"
import { collect } from "../../../../soak/holdings.ts"
import * as MessageCodec from "../../src/deflate/MessageCodec.ts"

const mebibyte = 1024 * 1024

/** How much a message inflates to until a limit is passed, or what is wrong with it. */
const inflate = (
  decompressor: PerMessageDeflate.Decompressor,
  parts: ReadonlyArray<Uint8Array>,
  limit = Number.MAX_SAFE_INTEGER
): number | string => {
  let total = 0
  let steps = 0
  for (const [i, part] of parts.entries()) {
    decompressor.push(part, i === parts.length - 1)
    for (let step = decompressor.next(); step !== undefined; step = decompressor.next()) {
      if (!(step instanceof Uint8Array)) return step.detail
      assert.isAtMost(step.length, 64 * 1024)
      // Each begins with the message anew.
      assert.isAtMost(++steps, 1000)
      total += step.length
      if (total > limit) return total
    }
  }
  return total
}

const deflated = (bytes: Uint8Array) =>
  Zlib.deflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4)

describe("MessageCodec", () => {
  it("inflates no more than twice of what was asked for", async () => {
    const bomb = deflated(new Uint8Array(64 * mebibyte))
    const decompressor = MessageCodec.decompressor({ windowBits: 15 })
    await collect()
    const before = process.memoryUsage().arrayBuffers
    assert.isBelow(inflate(decompressor, [bomb], mebibyte) as number, 1.2 * mebibyte)
    await collect()
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 3 * mebibyte)
    decompressor.close()
  })

  it("inflates all of a message that is large, or comes in many small parts, in linear time", () => {
    const bytes = new Uint8Array(24 * mebibyte).map((_, i) => (i * i) >>> 7)
    const message = deflated(bytes)
    const decompressor = MessageCodec.decompressor({ windowBits: 15 })
    assert.strictEqual(inflate(decompressor, [message]), bytes.length)
    const small = deflated(bytes.subarray(0, mebibyte))
    const parts = Array.from({ length: Math.ceil(small.length / 2) }, (_, i) => small.subarray(2 * i, 2 * i + 2))
    assert.isAbove(parts.length, 10_000)
    assert.strictEqual(inflate(decompressor, parts), mebibyte)
    decompressor.close()
  })

  it("refuses a message of nothing but blocks without content, or of very many streams", () => {
    const stored = Uint8Array.of(0, 0, 0, 0xff, 0xff)
    const blocks = (count: number) => new Uint8Array(Buffer.concat([...Array.from({ length: count }, () => stored), Uint8Array.of(0)]))
    assert.strictEqual(inflate(MessageCodec.decompressor({ windowBits: 15 }), [blocks(1000)]), 0)
    assert.include(String(inflate(MessageCodec.decompressor({ windowBits: 15 }), [blocks(20_000)])), "without content")
    const finals = (count: number) => new Uint8Array(2 * count).map((_, i) => i % 2 === 0 ? 3 : 0)
    assert.strictEqual(inflate(MessageCodec.decompressor({ windowBits: 15 }), [finals(50)]), 0)
    assert.include(String(inflate(MessageCodec.decompressor({ windowBits: 15 }), [finals(500)])), "final blocks")
  })
})
