import type { PerMessageDeflate } from "@effect-ws/core"
import { assert, describe, it } from "@effect/vitest"
import * as HandleCodec from "../../src/deflate/HandleCodec.ts"
import * as MessageCodec from "../../src/deflate/MessageCodec.ts"
import { works } from "../../src/deflate/Probe.ts"

const { compressor, decompressor } = HandleCodec

/** A codec whose decompressor does something else with each message. */
const decompressing = (change: (one: PerMessageDeflate.Decompressor) => Partial<PerMessageDeflate.Decompressor>) => ({
  compressor,
  decompressor: (options: PerMessageDeflate.DecompressorOptions): PerMessageDeflate.Decompressor => {
    const one = decompressor(options)
    const methods = { push: one.push.bind(one), next: one.next.bind(one), reset: one.reset.bind(one), close: one.close.bind(one) }
    return { ...methods, ...change(one) }
  }
})

/** The same for compressors. */
const compressing = (change: (one: PerMessageDeflate.Compressor) => Partial<PerMessageDeflate.Compressor>) => ({
  decompressor,
  compressor: (options: PerMessageDeflate.CompressorOptions): PerMessageDeflate.Compressor => {
    const one = compressor(options)
    return { push: one.push.bind(one), reset: one.reset.bind(one), close: one.close.bind(one), ...change(one) }
  }
})

describe("Probe", () => {
  it("accepts what is right, by handles and by documented functions", () => {
    assert.isTrue(works(HandleCodec))
    assert.strictEqual(works(MessageCodec), MessageCodec.isSupported())
  })

  it("sees a decompressor that forgets its window, as Deno's functions do", () => {
    assert.isFalse(works(decompressing((one) => ({ push: (bytes, last) => (one.reset(), one.push(bytes, last)) }))))
  })

  it("sees a decompressor that accepts everything", () => {
    assert.isFalse(works(decompressing((one) => ({
      next: () => {
        const step = one.next()
        return step instanceof Uint8Array ? step : undefined
      }
    }))))
  })

  it("sees a compressor that forgets its window, and one that does not", () => {
    assert.isFalse(works(compressing((one) => ({ push: (bytes, last) => (one.reset(), one.push(bytes, last)) }))))
    assert.isFalse(works(compressing(() => ({ reset: () => {} }))))
  })

  it("sees one that throws", () => {
    assert.isFalse(works(compressing(() => ({
      push: () => {
        throw new Error("not implemented")
      }
    }))))
  })
})
